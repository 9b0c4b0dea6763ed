"""The column plan: decoded rows to the model's tensors."""

from typing import Any

import numpy as np
import pytest

from consumer.deadletter.causes import Code
from consumer.exits import RefusedError
from consumer.features.kinds import make_column
from consumer.features.matrix import Matrix
from consumer.features.plan import ColumnPlan
from consumer.model.tensors import Tensor, dequantise, quantise
from consumer.pipeline.features import (
    BooleanFeature,
    CategoryFeature,
    ColumnFeature,
    NumberFeature,
    NumbersFeature,
    TimeFeature,
)
from consumer.records.json_reader import JsonReader
from consumer.types import Cause


def tensor_plan(
    dtype: str, *features: ColumnFeature, name: str = "x", scale: float = 0.0, zero_point: int = 0
) -> Matrix:
    """Plan a tensor as wide as its features."""
    made = Tensor(name, 0, (-1, len(features)), dtype, scale, zero_point)
    return Matrix(made, [make_column(feature) for feature in features])


def mapped(plan: ColumnPlan, **values: list[Any]) -> tuple[dict[str, list[Any]], dict[int, Cause]]:
    """Map columns of values."""
    inputs, bad = plan.map(values, len(next(iter(values.values()))))
    return {name: array.tolist() for name, array in inputs.items()}, bad


def codes(bad: dict[int, Cause]) -> dict[int, tuple[str, str | None]]:
    """Return code and field of each cause."""
    return {row: (cause.code, cause.field) for row, cause in bad.items()}


def test_columns_stand_in_the_order_of_the_pipeline_file() -> None:
    """Each in its place, whatever its kind; the array has the tensor's type and shape."""
    plan = ColumnPlan(
        [
            tensor_plan("float32", NumberFeature(field="n"), BooleanFeature(field="b"), name="x"),
            tensor_plan("int32", CategoryFeature(field="c", vocabulary=["u", "v"]), name="y"),
        ]
    )
    inputs, bad = plan.map({"n": [1.5, 2.5], "b": [True, False], "c": ["v", "u"]}, 2)
    assert (inputs["x"].tolist(), inputs["y"].tolist(), bad) == ([[1.5, 1.0], [2.5, 0.0]], [[1], [0]], {})
    assert (inputs["x"].dtype.name, inputs["y"].dtype.name) == ("float32", "int32")


def test_a_row_costs_its_tensors_bytes() -> None:
    """Two floats and one byte are nine bytes."""
    plan = ColumnPlan(
        [
            tensor_plan("float32", NumberFeature(field="n"), NumberFeature(field="m"), name="x"),
            tensor_plan("int8", NumberFeature(field="n"), name="y", scale=1.0),
        ]
    )
    assert plan.row_bytes == 9


def test_a_list_of_one_and_a_column_of_one_key_are_columns_like_any() -> None:
    """One value wide, as an array of rows and columns."""
    one_hot = CategoryFeature(field="c", vocabulary=["u"], one_hot=True)
    plan = ColumnPlan([tensor_plan("float32", NumbersFeature(field="l", length=1), one_hot)])
    made, bad = mapped(plan, l=[[2.0], [3.0], []], c=["u", "u", "u"])
    assert (made, codes(bad)) == ({"x": [[2.0, 1.0], [3.0, 1.0]]}, {2: (Code.WRONG_LENGTH, "l")})


def test_a_tensor_may_have_any_shape_of_its_width() -> None:
    """Columns fill a row in row-major order; a tensor of one dimension has one value a row."""
    columns = [make_column(NumberFeature(field=name)) for name in "abcd"]
    square = ColumnPlan([Matrix(Tensor("x", 0, (-1, 2, 2), "float32"), columns)])
    assert mapped(square, a=[1.0], b=[2.0], c=[3.0], d=[4.0])[0] == {"x": [[[1.0, 2.0], [3.0, 4.0]]]}
    flat = ColumnPlan([Matrix(Tensor("x", 0, (-1,), "float32"), columns[:1])])
    assert mapped(flat, a=[1.0, 2.0])[0] == {"x": [1.0, 2.0]}


def test_bad_rows_fall_out_of_all_tensors() -> None:
    """A row that one tensor can't have is in none, and the others stay in order."""
    plan = ColumnPlan(
        [
            tensor_plan("float32", NumberFeature(field="a"), name="x"),
            tensor_plan("int32", CategoryFeature(field="c", vocabulary=["u"]), name="y"),
        ]
    )
    inputs, bad = mapped(plan, a=[1.0, None, 3.0, 4.0], c=["u", "u", "?", "u"])
    assert inputs == {"x": [[1.0], [4.0]], "y": [[0], [0]]}
    assert codes(bad) == {1: (Code.MISSING, "a"), 2: (Code.UNKNOWN_CATEGORY, "c")}


def test_all_rows_may_be_bad() -> None:
    """Then the tensors have no rows."""
    inputs, bad = mapped(ColumnPlan([tensor_plan("float32", NumberFeature(field="a"))]), a=[None, None])
    assert (inputs, len(bad)) == ({"x": []}, 2)


@pytest.mark.parametrize(
    ("dtype", "largest", "over"), [("float16", 65504.0, 65520.0), ("float32", 3e38, 4e38), ("float64", 1e308, None)]
)
def test_what_a_float_tensor_cannot_hold_is_a_dead_letter(dtype: str, largest: float, over: float | None) -> None:
    """A number that would become infinite in the tensor is out of range; the message names value and type."""
    plan = ColumnPlan([tensor_plan(dtype, NumberFeature(field="a"))])
    inputs, bad = plan.map({"a": [largest, -largest, *([over] if over else [])]}, 2 + (over is not None))
    assert inputs["x"].dtype == dtype
    assert np.isfinite(inputs["x"]).all()
    if over is None:
        assert bad == {}
    else:
        assert codes(bad) == {2: (Code.OUT_OF_RANGE, "a")}
        assert bad[2].message == f"{over:g} is more than a {dtype} can hold"


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1e-10), (-1e308, 0.5)])
def test_what_scaling_makes_infinite_is_a_dead_letter_without_a_word_on_stderr(
    dtype: str, mean: float, std: float
) -> None:
    """An event's number may be as large as it likes: a warning of numpy's is an error in these tests."""
    plan = ColumnPlan([tensor_plan(dtype, NumberFeature(field="a", mean=mean, std=std))])
    assert codes(mapped(plan, a=[1e308])[1]) == {0: (Code.OUT_OF_RANGE, "a")}


def test_a_float64_tensor_keeps_its_digits() -> None:
    """2^24 + 1 does not pass through a float32."""
    assert mapped(ColumnPlan([tensor_plan("float64", NumberFeature(field="a"))]), a=[16777217.0])[0] == {
        "x": [[16777217.0]]
    }


@pytest.mark.parametrize(
    ("dtype", "lowest", "highest"),
    [("int8", -128, 127), ("uint8", 0, 255), ("int16", -32768, 32767), ("int32", -(2**31), 2**31 - 1),
     ("int64", -(2**53) + 1, 2**53 - 1)],
)  # fmt: skip
def test_an_integer_tensor_takes_its_range(dtype: str, lowest: int, highest: int) -> None:
    """Not one more, and for int64 nothing that a double can't tell from its neighbour; nothing wraps around."""
    plan = ColumnPlan([tensor_plan(dtype, NumberFeature(field="a"))])
    values = [float(lowest), float(highest), float(lowest) * 2 - 2, float(highest) * 2 + 2]
    inputs, bad = mapped(plan, a=values)
    assert inputs == {"x": [[lowest], [highest]]}
    assert codes(bad) == {2: (Code.OUT_OF_RANGE, "a"), 3: (Code.OUT_OF_RANGE, "a")}


def test_an_integer_tensor_takes_no_fractions() -> None:
    """They are dead letters, neither rounded nor cut."""
    inputs, bad = mapped(ColumnPlan([tensor_plan("int32", NumberFeature(field="a"))]), a=[1.0, 1.5, -0.5, 2.0])
    assert inputs == {"x": [[1], [2]]}
    assert codes(bad) == {1: (Code.NOT_INTEGER, "a"), 2: (Code.NOT_INTEGER, "a")}


def test_a_boolean_tensor() -> None:
    """Takes 0 and 1 as what they are."""
    assert mapped(ColumnPlan([tensor_plan("bool", BooleanFeature(field="b"))]), b=[True, False])[0] == {
        "x": [[True], [False]]
    }


def test_a_quantised_tensor_saturates() -> None:
    """Beyond its ends a value is the end, as in the quantisation that the model was made with."""
    plan = ColumnPlan([tensor_plan("int8", NumberFeature(field="a"), scale=0.5, zero_point=-3)])
    assert mapped(plan, a=[0.0, 1.0, 1000.0, -1000.0])[0] == {"x": [[-3], [-1], [127], [-128]]}


def test_halves_are_rounded_away_from_zero() -> None:
    """As the quantisation's definition has it; numpy's rint would take them to the even neighbour."""
    tensor = Tensor("x", 0, (-1, 1), "int8", scale=1.0, zero_point=0)
    halves = np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5], dtype=np.float32)
    assert quantise(halves, tensor).tolist() == [1, 2, 3, -1, -2, -3]


def test_a_quantised_tensor_takes_no_infinity() -> None:
    """What no float32 holds is a dead letter, not the end of the type."""
    plan = ColumnPlan([tensor_plan("uint8", NumberFeature(field="a"), scale=0.5)])
    assert codes(mapped(plan, a=[1e300])[1]) == {0: (Code.OUT_OF_RANGE, "a")}


@pytest.mark.parametrize(("dtype", "zero_point"), [("int8", -128), ("int8", 5), ("uint8", 128), ("int16", 0)])
def test_quantise_and_dequantise_are_inverse(dtype: str, zero_point: int) -> None:
    """Each stored value comes back, and any value in range comes back within half a step."""
    tensor = Tensor("x", 0, (-1,), dtype, 0.1, zero_point)
    limits = np.iinfo(dtype)
    stored = np.arange(limits.min, limits.max + 1).astype(dtype)
    values = dequantise(stored, tensor)
    assert values.dtype.name == "float32"
    assert (quantise(values, tensor) == stored).all()
    between = (values[:-1] + values[1:]) / 2
    assert np.abs(dequantise(quantise(between, tensor), tensor) - between).max() <= 0.05 * 1.01


def test_tensors_that_are_not_quantised_stay_as_they_are() -> None:
    """The very same array."""
    array = np.array([1, 2], dtype=np.int32)
    assert dequantise(array, Tensor("x", 0, (-1,), "int32")) is array


def test_a_tensor_is_named_with_type_and_shape() -> None:
    """As messages have it; a varying dimension is a question mark."""
    assert str(Tensor("x", 0, (-1, 3), "float32")) == "`x` (float32[?, 3])"


# Two kinds that read one field.


def both() -> ColumnPlan:
    """A field that is a number to one tensor and a category to another."""
    return ColumnPlan(
        [
            tensor_plan("float32", NumberFeature(field="a"), name="x"),
            tensor_plan("int32", CategoryFeature(field="a", vocabulary=[1, "2"], unknown=0), name="y"),
        ]
    )


def test_two_kinds_may_read_one_field() -> None:
    """It is decoded once, and each kind takes it as its own."""
    plan = both()
    reader = JsonReader(plan.fields)
    rows, _ = reader.read([b'{"a":1}', b'{"a":2.0}', b'{"a":3}'])
    inputs, bad = plan.map(reader.columns(rows), len(rows))
    assert (inputs["x"].tolist(), inputs["y"].tolist(), bad) == ([[1.0], [2.0], [3.0]], [[1], [2], [0]], {})


@pytest.mark.parametrize("wrong", [b'"1"', b"9" * 400])
def test_each_kind_checks_a_field_that_two_read(wrong: bytes) -> None:
    """What one kind takes and the other does not is a wrong type, as if that kind had read it alone."""
    plan = both()
    reader = JsonReader(plan.fields)
    rows, bad = reader.read([b'{"a":' + wrong + b"}", b'{"a":1}'])
    assert (len(rows), bad) == (2, {})
    inputs, bad = plan.map(reader.columns(rows), len(rows))
    assert codes(bad) == {0: (Code.WRONG_TYPE, "a")}
    assert inputs["x"].tolist() == [[1.0]]


def test_one_kind_twice_needs_no_checks() -> None:
    """Two parts of one time are read from one field."""
    plan = ColumnPlan(
        [tensor_plan("float32", TimeFeature(field="t", part="hour"), TimeFeature(field="t", part="minute"))]
    )
    assert mapped(plan, t=["2013-11-24T10:05:00Z", None])[0] == {"x": [[10.0, 5.0]]}
    assert plan.fields == {"t": str | None}


# Samples for the load probe.


def test_samples_are_the_same_each_time_and_distinct() -> None:
    """So that what the probe finds can be found again, and rows that are mixed up show."""
    plan = ColumnPlan(
        [
            tensor_plan(
                "float32",
                NumberFeature(field="n", mean=5, std=2),
                BooleanFeature(field="b"),
                TimeFeature(field="t", part="hour"),
            ),
            tensor_plan("int32", CategoryFeature(field="c", vocabulary=["u", "v", "w"], unknown=0), name="y"),
        ]
    )
    first, second = plan.samples(16), plan.samples(16)
    assert all((first[name] == second[name]).all() for name in first)
    assert len({tuple(row) for row in first["x"].tolist()}) == 16
    assert set(first["y"].ravel().tolist()) == {1, 2, 3}


@pytest.mark.parametrize(
    ("dtype", "features"),
    [
        ("uint8", [NumberFeature(field="a", range=(0, 1000))]),
        ("float32", [NumberFeature(field="a"), CategoryFeature(field="a", vocabulary=["1", "2", "3"])]),
        ("float32", [CategoryFeature(field="a", vocabulary=["1", "2", "3"]), NumberFeature(field="a")]),
    ],
)
def test_samples_are_made_up_until_there_are_enough_that_pass(dtype: str, features: list[ColumnFeature]) -> None:
    """Also where few of them fit the tensor, or two kinds read one field and ask different things of it."""
    made = ColumnPlan([tensor_plan(dtype, *features)]).samples(2)
    assert made["x"].shape == (2, len(features))


def test_a_mapping_that_no_value_passes_is_refused_with_the_reason() -> None:
    """What a load probe can't be given, no event could be either."""
    plan = ColumnPlan(
        [tensor_plan("float32", NumberFeature(field="a"), CategoryFeature(field="a", vocabulary=["x", "y"]))]
    )
    with pytest.raises(RefusedError, match="refuses the values that its own features make up: a: "):
        plan.samples(2)
