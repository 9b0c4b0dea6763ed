"""Does the mapping fit the model? Every misfit at once, with both sides named."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from consumer.exits import RefusedError
from consumer.features.block import Block
from consumer.features.hook import HookBlock
from consumer.features.kinds import content_block, make_column
from consumer.features.matrix import Matrix
from consumer.features.number import NumberColumn
from consumer.features.numbers import NumbersColumn
from consumer.features.plan import ColumnPlan
from consumer.features.text import TextBlock
from consumer.hooks import HookError, import_hook, samples_of
from consumer.model.file import Signature
from consumer.model.tensors import Tensor
from consumer.pipeline.features import ColumnFeature, ContentFeature, ImageFeature, PythonFeature, TextFeature
from consumer.pipeline.findings import Finding, Path, nearest
from consumer.pipeline.hooks import HookSource
from consumer.pipeline.outputs import (
    LabelOutput,
    NumberOutput,
    NumbersOutput,
    OverOutput,
    PythonOutput,
    TensorOutput,
    TopOutput,
)
from consumer.pipeline.spec import Model
from consumer.records.answers import LabelColumn, OutputColumn, OverColumn, TopColumn
from consumer.records.answers import NumberColumn as NumberPrediction
from consumer.records.answers import NumbersColumn as NumbersPrediction
from consumer.records.hook_answers import HookColumn
from consumer.types import Cause

_INPUT_TYPES = frozenset({"float32", "float64", "float16", "int8", "uint8", "int16", "int32", "int64", "bool"})
_OUTPUT_TYPES = _INPUT_TYPES - {"bool"}
# What numpy calls a tensor of strings.
_STRINGS = frozenset({"bytes", "object"})
_NO_HOOKS: Mapping[str, HookSource] = {}


def fit_inputs(
    model: Model, signature: Signature, findings: list[Finding], hooks: Mapping[str, HookSource] = _NO_HOOKS
) -> ColumnPlan:
    """Make the column plan; what does not fit goes to ``findings``."""
    blocks: list[Block] = []
    texts: dict[str, dict[str, tuple[Tensor, str]]] = {}
    known = signature.inputs
    for name, features in model.inputs.items():
        path: Path = ("model", "inputs", name)
        if name not in known:
            findings.append(Finding(path, "the model has no such input", nearest(name, known)))
        elif isinstance(features, TextFeature):
            misfits = _text(known[name], features, path)
            findings += misfits
            if not misfits:
                texts.setdefault(features.of or name, {})[name] = (known[name], features.part)
        elif isinstance(features, PythonFeature):
            blocks += _hook_block(known[name], features, hooks[features.function], path, findings)
        elif isinstance(features, ContentFeature):
            misfits = _content(known[name], features, path)
            findings += misfits
            if not misfits:
                blocks.append(content_block(features, known[name]))
        else:
            # A list of features holds columns only: the pipeline file has been refused if not.
            columns = cast("list[ColumnFeature]", features if isinstance(features, list) else [features])
            findings += _misfits(known[name], columns, path, listed=isinstance(features, list))
            blocks.append(Matrix(known[name], [make_column(feature) for feature in columns]))
    blocks += _text_blocks(model, texts, findings)
    findings.extend(
        Finding(("model", "inputs"), f"the model's input {tensor} is fed by nothing", f"add `{name}:`")
        for name, tensor in known.items()
        if name not in model.inputs
    )
    return ColumnPlan(blocks)


def _text_blocks(
    model: Model, texts: Mapping[str, Mapping[str, tuple[Tensor, str]]], findings: list[Finding]
) -> list[Block]:
    blocks: list[Block] = []
    for name, parts in texts.items():
        feature = model.inputs[name]
        widths = {tensor.shape[1] for tensor, _ in parts.values()}
        if len(widths) > 1:
            findings.append(
                Finding(("model", "inputs", name), "the parts of one text have tensors of several lengths")
            )
        elif isinstance(feature, TextFeature) and not findings:
            try:
                blocks.append(TextBlock(feature, parts))
            except RefusedError as error:
                findings.append(Finding(("model", "inputs", name), str(error)))
    return blocks


def _hook_block(
    tensor: Tensor, feature: PythonFeature, source: HookSource, path: Path, findings: list[Finding]
) -> list[Block]:
    function = _imported(source, path, findings)
    misfits = _type(tensor, path)
    if any(size < 0 for size in tensor.shape[1:]):
        misfits.append(Finding(path, f"the model's input {tensor} varies in more than the number of rows"))
    findings += misfits
    if function is None or misfits:
        return []
    block = HookBlock(feature, tensor, function, samples_of(source))
    try:
        told = block.misfit()
    except RefusedError as error:
        findings.append(Finding((*path, "function"), str(error)))
        return []
    if told:
        findings.append(
            Finding((*path, "function"), f"the hook {feature.function} {told}", "one item a row, rows first")
        )
        return []
    return [block]


def _type(tensor: Tensor, path: Path) -> list[Finding]:
    if tensor.dtype in _INPUT_TYPES:
        return []
    if tensor.dtype in _STRINGS:
        hint = "convert it to take numbers: kind category or text makes them of texts"
        return [Finding(path, f"the model's input {tensor} takes strings, which are not supported", hint)]
    return [Finding(path, f"the model's input {tensor} has a type that no feature makes")]


def _imported(source: HookSource, path: Path, findings: list[Finding]) -> Callable[..., Any] | None:
    try:
        return import_hook(source)
    except HookError as error:
        findings.append(Finding((*path, "function"), str(error)))
        return None


def _text(tensor: Tensor, feature: TextFeature, path: Path) -> list[Finding]:
    if tensor.dtype not in ("int32", "int64"):
        return [Finding(path, f"the model's input {tensor} takes no tokens", "int32 and int64 do")]
    if len(tensor.shape) != 2:  # noqa: PLR2004 - rows and tokens
        return [Finding(path, f"the model's input {tensor} is not one of rows and tokens")]
    width = tensor.shape[1]
    if 0 <= width < (feature.max_tokens or 0):
        return [Finding((*path, "max_tokens"), f"the model's input {tensor} has room for {width} tokens")]
    return []


def _content(tensor: Tensor, feature: ContentFeature, path: Path) -> list[Finding]:
    if tensor.dtype not in _INPUT_TYPES or tensor.dtype == "bool":
        return [Finding(path, f"the model's input {tensor} has a type that bytes can't fill")]
    if any(size < 0 for size in tensor.shape[1:]):
        return [Finding(path, f"the model's input {tensor} varies in more than the number of rows")]
    if isinstance(feature, ImageFeature):
        shape = (*feature.size, 3 if feature.mode == "RGB" else 1)
        if tuple(tensor.shape[1:]) not in (shape, shape[:2] if shape[2] == 1 else shape):
            return [Finding(path, f"an image of {list(shape)} for the model's input {tensor}")]
    elif feature.shape is not None and tuple(feature.shape) != tuple(tensor.shape[1:]):
        return [Finding((*path, "shape"), f"{feature.shape} for the model's input {tensor}")]
    return []


def _misfits(tensor: Tensor, features: list[ColumnFeature], path: Path, *, listed: bool) -> list[Finding]:
    findings = _type(tensor, path)
    if findings:
        return findings
    if any(size < 0 for size in tensor.shape[1:]):
        findings.append(Finding(path, f"the model's input {tensor} varies in more than the number of rows"))
    elif tensor.width != (width := sum(make_column(feature).width for feature in features)):
        hint = "one entry a column, in order" if listed else "use a list of features"
        findings.append(Finding(path, f"{width} columns for the model's input {tensor}, {tensor.width} wide", hint))
    if tensor.dtype.startswith(("int", "uint")) and not tensor.scale:
        findings += _indices(tensor, features, path, listed=listed)
    for place, feature in enumerate(features):
        told = _stand_in(tensor, feature)
        if told:
            where = (*path, place, "missing") if listed else (*path, "missing")
            words = f"each event without `{feature.field}` would be a dead letter all the same: {told}"
            findings.append(Finding(where, words, "choose another, or leave it out"))
    return findings


def _stand_in(tensor: Tensor, feature: ColumnFeature) -> str:
    """Say why a tensor can't hold what stands in for an absent field; nothing where it can, or nothing stands in."""
    column = make_column(feature)
    if getattr(feature, "missing", None) is None:
        return ""
    bad: dict[int, Cause] = {}
    alone = msgspec.structs.replace(tensor, shape=(-1, column.width))
    Matrix(alone, [column]).build({feature.field: [None]}, 1, bad)
    return bad[0].message if bad else ""


def _indices(tensor: Tensor, features: list[ColumnFeature], path: Path, *, listed: bool) -> list[Finding]:
    """Numbers in an integer tensor may be indices, and -1 into an embedding silently answers as its last row."""
    return [
        Finding(
            (*path, place) if listed else path,
            f"kind {feature.__struct_config__.tag} for the integer input {tensor} needs `range`",
            "the lowest and highest value that the model knows",
        )
        for place, feature in enumerate(features)
        if isinstance(column := make_column(feature), NumberColumn | NumbersColumn) and not column.ranged
    ]


def fit_outputs(
    model: Model, signature: Signature, findings: list[Finding], hooks: Mapping[str, HookSource] = _NO_HOOKS
) -> dict[str, OutputColumn]:
    """Make the output columns; what does not fit goes to ``findings``."""
    columns: dict[str, OutputColumn] = {}
    known = signature.outputs
    for name, output in model.outputs.items():
        path: Path = ("model", "outputs", name)
        if isinstance(output, PythonOutput):
            _check_tensors(known, output, path, findings)
            function = _imported(hooks[output.function], path, findings)
            if function is not None:
                columns[name] = HookColumn(name, output, function)
            continue
        tensor = known.get(output.tensor)
        if tensor is None:
            hint = nearest(output.tensor, known)
            findings.append(Finding((*path, "tensor"), f"the model has no output `{output.tensor}`", hint))
            continue
        before = len(findings)
        _check_output(tensor, output, path, findings)
        if len(findings) == before:
            columns[name] = _output_column(output)
    return columns


def _check_tensors(known: Mapping[str, Tensor], output: PythonOutput, path: Path, findings: list[Finding]) -> None:
    for place, name in enumerate(output.tensors):
        if name not in known:
            where: Path = (*path, "tensors", place)
            findings.append(Finding(where, f"the model has no output `{name}`", nearest(name, known)))


def _check_output(tensor: Tensor, output: TensorOutput, path: Path, findings: list[Finding]) -> None:
    if tensor.dtype not in _OUTPUT_TYPES:
        hint = "convert it to give numbers, and name them with `labels`" if tensor.dtype in _STRINGS else ""
        findings.append(Finding(path, f"the model's output {tensor} holds no numbers", hint))
    if any(size < 0 for size in tensor.shape[1:]):
        findings.append(Finding(path, f"the model's output {tensor} varies in more than the number of rows"))
        return
    if isinstance(output, NumberOutput | OverOutput):
        if output.index is None and tensor.width > 1:
            findings.append(
                Finding(path, f"the model's output {tensor} has {tensor.width} values a row", "say which: `index:`")
            )
        elif output.index is not None and output.index >= tensor.width:
            findings.append(
                Finding((*path, "index"), f"the model's output {tensor} has {tensor.width} values a row, from 0")
            )
    if isinstance(output, LabelOutput | TopOutput):
        if tensor.width == 1:
            hint = "use `over`, or `number`"
            findings.append(Finding(path, f"the model's output {tensor} has one value a row: no choice", hint))
        if output.labels is not None and len(output.labels) != tensor.width:
            findings.append(
                Finding((*path, "labels"), f"{len(output.labels)} labels for {tensor}, {tensor.width} wide")
            )
    if isinstance(output, TopOutput) and output.k > tensor.width:
        findings.append(Finding((*path, "k"), f"the model's output {tensor} has {tensor.width} values a row"))


def _output_column(output: TensorOutput) -> OutputColumn:
    if isinstance(output, OverOutput):
        return OverColumn(output.tensor, output.index or 0, output.threshold, output.apply)
    if isinstance(output, NumbersOutput):
        return NumbersPrediction(output.tensor, output.apply)
    if isinstance(output, NumberOutput):
        return NumberPrediction(output.tensor, output.index or 0, output.apply)
    labels = output.labels
    if isinstance(labels, str):
        raise TypeError(f"the labels {labels!r} have not been read")
    if isinstance(output, TopOutput):
        return TopColumn(output.tensor, output.k, labels, output.apply)
    return LabelColumn(output.tensor, labels)
