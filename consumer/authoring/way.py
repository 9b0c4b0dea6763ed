"""The way of one event through a pipeline: what each step made of it, by the code that a worker runs."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from consumer.assembly import Assembly
from consumer.features.kinds import make_column
from consumer.formats import record_reader
from consumer.model.runner import Runner
from consumer.model.tensors import Array, Tensor, dequantise
from consumer.pipeline.features import ContentFeature, Feature, PythonFeature, TextFeature, fields_of
from consumer.types import Cause, DeadLetter, Enriched, Event, Filtered, Stage, outcome

# An image has thousands of values; nobody reads more of them.
_SHOWN: Final = 16


class Placed(msgspec.Struct, frozen=True):
    """What a feature put into an input tensor.

    Attributes:
        tensor: of the model.
        start: its first place among a row's values.
        stop: the place after its last.
        kind: of the feature.
        fields: what it read.
        values: what it read there, as decoded; None for absent and null.
        stored: its values in the tensor, the first of them.
        numbers: the same, dequantised, where the tensor is quantised.
    """

    tensor: str
    start: int
    stop: int
    kind: str
    fields: list[str]
    values: list[Any]
    stored: list[Any]
    numbers: list[float] | None = None


class Answered(msgspec.Struct, frozen=True):
    """What the model answered.

    Attributes:
        tensor: of the model.
        stored: the first of the row's values.
        numbers: the same, dequantised, where the tensor is quantised.
        count: how many there are.
    """

    tensor: str
    stored: list[Any]
    count: int
    numbers: list[float] | None = None


class Way(msgspec.Struct):
    """How far an event came, and how.

    Attributes:
        inputs: what features made of it; none if it could not be decoded, or is not for the model.
        outputs: what the model answered; none if it did not come so far.
        became: enriched, passed, dropped or dead letter.
        value: the enriched record.
        predictions: what is in it under the output field, where it is not JSON that says so itself.
        cause: why it is a dead letter.
    """

    inputs: list[Placed]
    outputs: list[Answered]
    became: str
    value: bytes | None = None
    predictions: dict[str, Any] | None = None
    cause: Cause | None = None


def explain(event: Event, assembly: Assembly) -> Way:
    """Send one event through a pipeline, and look at each step.

    Raises:
        NotYetError: the registry does not tell what a schema is.
    """
    (result,) = assembly.enrichers()().enrich([event])
    if isinstance(result, Filtered):
        return Way([], [], str(outcome(result)))
    way = (
        Way([], [], "dead letter", cause=result.cause) if isinstance(result, DeadLetter) else Way([], [], "enriched")
    )
    if isinstance(result, Enriched):
        way.value = result.value
        if assembly.file.spec.output_format != "json":
            way.predictions = record_reader(assembly.file.spec, assembly.formats)(result.value)
    rows, unread = assembly.formats.reader.read([event.value()])
    if unread:
        return way
    bad: dict[int, Cause] = {}
    columns = assembly.columns().of(rows, [event], bad)
    tensors, bad = assembly.plan.map(columns, 1, bad)
    if bad:
        way.inputs = [_read(tensor, kind, feature, columns) for tensor, kind, feature, _ in _features(assembly)]
        return way
    (_, row), *_ = assembly.plan.groups(tensors, 1)
    for name, _, feature, (start, width) in _features(assembly):
        way.inputs.append(_placed(assembly.signature.inputs[name], feature, (start, width), columns, row[name]))
    if way.cause is None or way.cause.stage is Stage.OUTPUTS:
        runner = Runner(assembly.engine, assembly.model, assembly.signature, (1,))
        way.outputs = [
            _answered(assembly.signature.outputs[name], array) for name, array in runner.raw_outputs(row).items()
        ]
    return way


def _features(assembly: Assembly) -> Iterator[tuple[str, str, Feature, tuple[int, int]]]:
    """Return each feature with its tensor, and where in it its values are: the first, and how many."""
    for tensor, features in assembly.file.spec.model.inputs.items():
        start = 0
        for feature in features if isinstance(features, list) else [features]:
            if isinstance(feature, TextFeature | ContentFeature | PythonFeature):
                yield tensor, _kind(feature), feature, (0, -1)
            else:
                width = make_column(feature).width
                yield tensor, _kind(feature), feature, (start, width)
                start += width


def _kind(feature: Feature) -> str:
    return str(feature.__struct_config__.tag)


def _read(tensor: str, kind: str, feature: Feature, columns: Mapping[str, Sequence[Any]]) -> Placed:
    """Return what a feature read, of an event that can't be mapped."""
    fields = fields_of(feature)
    return Placed(tensor, 0, 0, kind, fields, [_plain(columns[field][0]) for field in fields], [])


def _placed(
    tensor: Tensor, feature: Feature, place: tuple[int, int], columns: Mapping[str, Sequence[Any]], array: Array
) -> Placed:
    values = array[0].reshape(-1)
    start, width = place
    stop = len(values) if width < 0 else start + width
    fields = fields_of(feature)
    stored = values[start:stop][:_SHOWN]
    return Placed(
        tensor=tensor.name,
        start=start,
        stop=stop,
        kind=_kind(feature),
        fields=fields,
        values=[_plain(columns[field][0]) for field in fields],
        stored=stored.tolist(),
        numbers=dequantise(stored, tensor).tolist() if tensor.scale else None,
    )


def _answered(tensor: Tensor, array: Array) -> Answered:
    values = np.asarray(array)[0].reshape(-1)
    stored = values[:_SHOWN]
    numbers = dequantise(stored, tensor).tolist() if tensor.scale else None
    return Answered(tensor.name, stored.tolist(), len(values), numbers)


def _plain(value: Any) -> Any:  # noqa: ANN401
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
