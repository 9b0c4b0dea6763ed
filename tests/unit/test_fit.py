"""Does the mapping fit the model: every misfit at once, with both sides named."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from consumer.fit import fit_inputs, fit_outputs
from consumer.model.file import Signature
from consumer.model.tensors import Tensor
from consumer.pipeline.findings import Finding, dotted
from consumer.records.answers import NumberColumn, OverColumn
from tests.support.pipelines import changed, loaded

X = Tensor("x", 0, (-1, 3), "float32")
Y = Tensor("y", 1, (-1, 1), "float32")
Z = Tensor("z", 2, (-1, 2), "float32")


def misfits(
    folder: Path, *changes: tuple[str, str], inputs: Sequence[Tensor] = (X,), outputs: Sequence[Tensor] = (Y, Z)
) -> list[str]:
    """Return what does not fit of the small pipeline; `late` reads the second value of `z`."""
    text = changed("threshold: 0.5", "threshold: 0.5, index: 1")
    for old, new in changes:
        text = changed(old, new, text)
    signature = Signature({tensor.name: tensor for tensor in inputs}, {tensor.name: tensor for tensor in outputs})
    found: list[Finding] = []
    spec = loaded(folder, text).spec
    fit_inputs(spec.model, signature, found)
    fit_outputs(spec.model, signature, found)
    return [f"{dotted(finding.path)}: {finding.message}; {finding.hint}".removesuffix("; ") for finding in found]


def test_what_fits_has_no_findings(tmp_path: Path) -> None:
    """And comes out as columns and their tensors."""
    assert misfits(tmp_path) == []
    spec = loaded(tmp_path, changed("threshold: 0.5", "threshold: 0.5, index: 1")).spec
    signature = Signature({"x": X}, {"y": Y, "z": Z})
    assert fit_inputs(spec.model, signature, []).row_bytes == 12
    columns = fit_outputs(spec.model, signature, [])
    assert [type(column) for column in columns.values()] == [NumberColumn, OverColumn]
    row = np.array([[5.0, 7.0]])
    found = [(*column.tensors, column.take({"y": row, "z": row}, {}).tolist()) for column in columns.values()]
    assert found == [("y", [5.0]), ("z", [7.0])]


def test_an_input_that_is_fed_by_nothing(tmp_path: Path) -> None:
    """The model's input is named with its shape."""
    extra = Tensor("w", 3, (-1, 4), "int32")
    assert misfits(tmp_path, inputs=(X, extra)) == [
        "model.inputs: the model's input `w` (int32[?, 4]) is fed by nothing; add `w:`"
    ]


def test_an_input_that_the_model_has_not(tmp_path: Path) -> None:
    """With the nearest that it has."""
    xs = Tensor("xs", 0, (-1, 3), "float32")
    assert misfits(tmp_path, inputs=(xs,)) == [
        "model.inputs.x: the model has no such input; did you mean `xs`?",
        "model.inputs: the model's input `xs` (float32[?, 3]) is fed by nothing; add `xs:`",
    ]


def test_a_wrong_width(tmp_path: Path) -> None:
    """Both numbers are named, for a list and for a single feature."""
    wide = Tensor("x", 0, (-1, 2, 2), "float32")
    assert misfits(tmp_path, inputs=(wide,)) == [
        "model.inputs.x: 3 columns for the model's input `x` (float32[?, 2, 2]), 4 wide; one entry a column, in order"
    ]
    single = "    x: {field: n, kind: number}\n"
    block = (
        "    x:\n      - {field: n, kind: number}\n"
        "      - {field: c, kind: category, vocabulary: [a, b], unknown: 0}\n"
        "      - {field: t, kind: time, part: hour}\n"
    )
    assert misfits(tmp_path, (block, single)) == [
        "model.inputs.x: 1 columns for the model's input `x` (float32[?, 3]), 3 wide; use a list of features"
    ]


def test_a_number_for_an_integer_tensor_needs_a_range(tmp_path: Path) -> None:
    """Since -1 into an embedding silently answers as its last row; categories have theirs."""
    ints = Tensor("x", 0, (-1, 3), "int32")
    (found,) = misfits(tmp_path, inputs=(ints,))
    assert found.startswith("model.inputs.x[0]: kind number for the integer input `x` (int32[?, 3]) needs `range`; ")
    assert misfits(tmp_path, ("field: n,", "field: n, range: [0, 9],"), inputs=(ints,)) == []


def test_a_quantised_tensor_needs_no_range(tmp_path: Path) -> None:
    """It holds values, not indices, and saturates."""
    assert misfits(tmp_path, inputs=(Tensor("x", 0, (-1, 3), "int8", 0.1, 3),)) == []


def test_a_tensor_that_varies_in_more_than_rows(tmp_path: Path) -> None:
    """Nothing says how wide a row is."""
    loose = Tensor("x", 0, (-1, -1), "float32")
    assert misfits(tmp_path, inputs=(loose,), outputs=(Y, Tensor("z", 2, (-1, -1), "float32"))) == [
        "model.inputs.x: the model's input `x` (float32[?, ?]) varies in more than the number of rows",
        "model.outputs.late: the model's output `z` (float32[?, ?]) varies in more than the number of rows",
    ]


def test_a_type_that_no_feature_makes(tmp_path: Path) -> None:
    """Strings and complex numbers, in and out; booleans are no numbers to read."""
    text = Tensor("x", 0, (-1, 3), "str")
    flags = Tensor("y", 1, (-1, 1), "bool")
    assert misfits(tmp_path, inputs=(text,), outputs=(flags, Z)) == [
        "model.inputs.x: the model's input `x` (str[?, 3]) has a type that no feature makes",
        "model.outputs.y: the model's output `y` (bool[?, 1]) holds no numbers",
    ]


def test_an_output_that_the_model_has_not(tmp_path: Path) -> None:
    """With the nearest that it has, or all of them."""
    assert misfits(tmp_path, ("y: {tensor: y,", "y: {tensor: zz,")) == [
        "model.outputs.y.tensor: the model has no output `zz`; did you mean `z`?"
    ]
    assert misfits(tmp_path, ("y: {tensor: y,", "y: {tensor: minutes,")) == [
        "model.outputs.y.tensor: the model has no output `minutes`; known: y, z"
    ]


def test_an_output_of_several_values_needs_an_index(tmp_path: Path) -> None:
    """Which is not guessed."""
    assert misfits(tmp_path, (", index: 1", "")) == [
        "model.outputs.late: the model's output `z` (float32[?, 2]) has 2 values a row; say which: `index:`"
    ]


def test_an_index_out_of_range(tmp_path: Path) -> None:
    """They count from 0."""
    assert misfits(tmp_path, ("index: 1", "index: 2")) == [
        "model.outputs.late.index: the model's output `z` (float32[?, 2]) has 2 values a row, from 0"
    ]


def test_all_misfits_are_told_at_once(tmp_path: Path) -> None:
    """Of inputs and outputs."""
    found = misfits(tmp_path, ("y: {tensor: y,", "y: {tensor: q,"), ("index: 1", "index: 9"), inputs=(Y,))
    assert len(found) == 4


def test_tensors_of_strings_are_refused_with_the_way_out(tmp_path: Path) -> None:
    """By name: an input and an output."""
    strings = Tensor("x", 0, (-1, 3), "bytes")
    assert misfits(tmp_path, inputs=(strings,)) == [
        (
            "model.inputs.x: the model's input `x` (bytes[?, 3]) takes strings, which are not supported; "
            "convert it to take numbers: kind category or text makes them of texts"
        )
    ]
    words = Tensor("y", 1, (-1, 1), "bytes")
    assert misfits(tmp_path, outputs=(words, Z)) == [
        (
            "model.outputs.y: the model's output `y` (bytes[?, 1]) holds no numbers; "
            "convert it to give numbers, and name them with `labels`"
        )
    ]
