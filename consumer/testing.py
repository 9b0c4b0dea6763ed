"""For the tests of those who write pipelines and hooks: events through a pipeline, rows through a hook, no broker.

from consumer.testing import enrich, call

def test_a_late_flight():
    (flight,) = enrich("pipeline.yaml", [{"dep_delay": 90}])
    assert flight.predictions["late"]
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson

from consumer.assembly import assemble
from consumer.formats import record_reader
from consumer.hooks import WrongRowsError, call_hook
from consumer.pipeline.load import load
from consumer.types import Cause, Enriched, Filtered, Outcome, PlainEvent, Result, Stage, outcome


class Became(msgspec.Struct, frozen=True):
    """What became of an event; one of ``value``, ``cause`` and ``filtered`` is there.

    Attributes:
        value: the enriched record.
        predictions: what is in it under the output field.
        cause: why it is a dead letter: ``stage``, ``code``, ``message``, ``field``.
        filtered: what becomes of an event that is not for the model.
    """

    value: bytes | None = None
    predictions: Mapping[str, Any] | None = None
    cause: Cause | None = None
    filtered: Outcome | None = None


class HookCall(msgspec.Struct, frozen=True):
    """What a hook made of rows.

    Attributes:
        made: row -> its item of what the hook returned.
        bad: row -> why it would be a dead letter.
    """

    made: Mapping[int, Any]
    bad: Mapping[int, str]


def enrich(pipeline: str | Path, events: Iterable[Mapping[str, Any] | bytes | PlainEvent]) -> list[Became]:
    """Send events through a pipeline, as one batch, by the code that a worker runs.

    Args:
        pipeline: the file.
        events: each as what its JSON says, as its value's bytes, or with key, headers and timestamp.

    Returns:
        What became of each, in order.

    Raises:
        PipelineError: something is wrong in the file; the message has a line a finding.
        RefusedError: the mapping does not fit the model.
    """
    assembly = assemble(load(Path(pipeline)))
    made = [_event(event, place) for place, event in enumerate(events)]
    read = record_reader(assembly.file.spec, assembly.formats)
    return [_became(result, read) for result in assembly.enrichers()().enrich(made)]


def call(hook: Callable[[Mapping[str, Any]], Any], rows: Sequence[Mapping[str, Any]]) -> HookCall:
    """Call a feature hook as a worker does: with columns; where it fails, halved down to the rows that it fails on.

    Args:
        hook: the function.
        rows: fields with their values; one that a row lacks is None, as one that is absent from an event.
    """
    fields = dict.fromkeys(field for row in rows for field in row)

    def run(places: list[int]) -> Any:  # noqa: ANN401
        items = hook({field: [rows[place].get(field) for place in places] for field in fields})
        if len(items) != len(places):
            raise WrongRowsError(f"returned {len(items)} items for {len(places)} rows")
        return items

    called = call_hook(hook, run, range(len(rows)), Stage.FEATURES, "")
    made = {row: array[place] for places, array in called.parts for place, row in enumerate(places)}
    return HookCall(made, {row: cause.message for row, cause in called.bad.items()})


def _event(event: Mapping[str, Any] | bytes | PlainEvent, offset: int) -> PlainEvent:
    if isinstance(event, PlainEvent):
        return event
    return PlainEvent(event if isinstance(event, bytes) else orjson.dumps(dict(event)), offset=offset)


def _became(result: Result, read: Callable[[bytes], Mapping[str, Any]]) -> Became:
    if isinstance(result, Enriched):
        return Became(value=result.value, predictions=read(result.value))
    if isinstance(result, Filtered):
        return Became(filtered=outcome(result))
    return Became(cause=result.cause)
