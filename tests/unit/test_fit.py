"""Does the mapping fit the model: every misfit at once, with both sides named."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from consumer.fit import fit_inputs, fit_outputs
from consumer.model.file import Signature
from consumer.model.tensors import Tensor
from consumer.pipeline.findings import Finding, dotted
from consumer.records.answers import NumberColumn, OverColumn
from tests.support.pipelines import GOOD, changed, loaded

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


@pytest.mark.parametrize(
    ("dtype", "number", "told"),
    [
        ("float32", "missing: 1e308", "1e+308 is more than a float32 can hold"),
        ("float16", "missing: 70000", "70000 is more than a float16 can hold"),
        ("float16", "missing: 4, std: 0.00001", "400000 is more than a float16 can hold"),
        ("int8", "missing: 128, range: [0, 200]", "128 is more than int8 can hold"),
        ("int32", "missing: 0.5, range: [0, 9]", "0.5 is no whole number, and the tensor is int32"),
        ("float32", "missing: 10, range: [0, 9]", "10 is not in 0 to 9"),
        ("float32", "missing: -1, transform: log", "-1 has no log"),
    ],
)
def test_what_stands_in_for_absent_fields_must_go_into_the_tensor(
    dtype: str, number: str, told: str, tmp_path: Path
) -> None:
    """Else `missing` says that events without the field are fine, and each of them is a dead letter."""
    feature = ("{field: n, kind: number}", f"{{field: n, kind: number, {number}}}")
    words = f"each event without `n` would be a dead letter all the same: {told}; choose another, or leave it out"
    expected = [f"model.inputs.x[0].missing: {words}"]
    x = Tensor("x", 0, (-1, 3), dtype)
    rest = ("{field: t, kind: time, part: hour}", "{field: t, kind: category, vocabulary: [a], missing: a}")
    assert misfits(tmp_path, feature, rest, inputs=(x,)) == expected


def test_a_single_feature_and_a_quantised_tensor_are_held_to_it_too(tmp_path: Path) -> None:
    """With their own places; what only saturates is left to a sample of events."""
    block = GOOD[GOOD.index("    x:\n") : GOOD.index("  outputs:\n")]
    single = "    x: {field: n, kind: number, missing: 1e39}\n"
    x = Tensor("x", 0, (-1, 1), "int8", scale=0.5)
    (found,) = misfits(tmp_path, (block, single), inputs=(x,))
    assert found.startswith("model.inputs.x.missing: each event without `n` would be a dead letter")
    assert misfits(tmp_path, (block, single.replace("1e39", "1e30")), inputs=(x,)) == []
