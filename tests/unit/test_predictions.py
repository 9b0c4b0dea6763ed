"""Outputs to JSON."""

from typing import Any

import numpy as np
import pytest

from consumer.deadletter.causes import Code
from consumer.records.answers import NumberColumn, OutputColumn, OverColumn
from consumer.records.predictions import Predictions
from consumer.types import Cause, Stage


def encoded(
    outputs: dict[str, Any], provenance: dict[str, str] | None = None, **columns: OutputColumn
) -> tuple[list[bytes], dict[int, Cause]]:
    """Write outputs."""
    arrays = {name: np.asarray(array) for name, array in outputs.items()}
    return Predictions(columns, provenance or {"m": "v"}).encode(arrays)


def f32(*numbers: float) -> Any:  # noqa: ANN401
    """Make a float32 column."""
    return np.array(numbers, dtype=np.float32)


def test_a_float32_has_the_fewest_digits_that_give_it_back() -> None:
    """9.31 is not 9.3100004196167, and whole numbers stay floats."""
    pieces, bad = encoded({"y": f32(9.31, 0.1, 2.0, -0.0, 1e-7, 16777216.0)}, v=NumberColumn("y", 0))
    assert bad == {}
    values = [piece[5:-9] for piece in pieces]
    assert values == [b"9.31", b"0.1", b"2.0", b"-0.0", b"1e-7", b"16777216.0"]


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32", "int64", "float16", "float64"])
def test_every_type_of_output_is_written(kind: str) -> None:
    """Integers as integers, other floats with the digits of their own type."""
    pieces, _ = encoded({"y": np.array([3, 100], dtype=kind)}, v=NumberColumn("y", 0))
    point = b".0" if kind.startswith("float") else b""
    assert pieces == [b'{"v":3' + point + b',"m":"v"}', b'{"v":100' + point + b',"m":"v"}']


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 1, 1)])
def test_a_tensor_of_one_value_a_row(shape: tuple[int, ...]) -> None:
    """However many dimensions of one it has."""
    pieces, _ = encoded({"y": f32(1.5, 2.5).reshape(shape)}, v=NumberColumn("y", 0))
    assert pieces == [b'{"v":1.5,"m":"v"}', b'{"v":2.5,"m":"v"}']


@pytest.mark.parametrize("shape", [(2, 4), (2, 2, 2)])
def test_index_counts_the_values_of_a_row(shape: tuple[int, ...]) -> None:
    """In row-major order, over all dimensions."""
    tensor = np.arange(8, dtype=np.float32).reshape(shape)
    pieces, _ = encoded({"y": tensor}, third=NumberColumn("y", 2), last=NumberColumn("y", 3))
    assert pieces == [b'{"third":2.0,"last":3.0,"m":"v"}', b'{"third":6.0,"last":7.0,"m":"v"}']


def test_over_is_strictly_over() -> None:
    """The threshold itself is not over it; it is compared as the tensor's type."""
    pieces, _ = encoded({"y": f32(0.49, 0.5, 0.51)}, late=OverColumn("y", 0, 0.5))
    assert [b"true" in piece for piece in pieces] == [False, False, True]
    pieces, _ = encoded({"y": f32(0.1)}, late=OverColumn("y", 0, 0.1))
    assert pieces == [b'{"late":false,"m":"v"}']


def test_over_of_integers() -> None:
    """A threshold between two integers, and one beyond the type."""
    tensor = np.array([2, 3], dtype=np.int8)
    pieces, _ = encoded({"y": tensor}, a=OverColumn("y", 0, 2.5), b=OverColumn("y", 0, 300.0))
    assert pieces == [b'{"a":false,"b":false,"m":"v"}', b'{"a":true,"b":false,"m":"v"}']


def test_names_are_escaped() -> None:
    """Quotes, percent signs and other scripts are fine in names and in provenance."""
    names: dict[str, OutputColumn] = {
        '100 %d "x"': NumberColumn("y", 0),
        "%b%%": OverColumn("y", 0, 0),
        "ü": NumberColumn("y", 0),
    }
    pieces, _ = encoded({"y": f32(1.0)}, {"model": '50% "m"@ab'}, **names)
    assert pieces == ['{"100 %d \\"x\\"":1.0,"%b%%":true,"ü":1.0,"model":"50% \\"m\\"@ab"}'.encode()]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_row_that_is_not_finite_is_a_dead_letter(number: float) -> None:
    """It names the output field; the rows beside it are written."""
    pieces, bad = encoded({"y": f32(1.0, number, 3.0)}, v=NumberColumn("y", 0))
    assert pieces == [b'{"v":1.0,"m":"v"}', b'{"v":3.0,"m":"v"}']
    assert bad == {1: Cause(Stage.OUTPUTS, Code.NOT_FINITE, f"the model answered {number}", "v")}


def test_a_row_is_bad_once() -> None:
    """Where several fields are not finite, the first is named, and each field's rows fall out of all."""
    pieces, bad = encoded(
        {"y": f32(np.nan, 1.0, 2.0), "z": f32(np.nan, np.inf, 5.0)}, a=NumberColumn("y", 0), b=OverColumn("z", 0, 1.0)
    )
    assert pieces == [b'{"a":2.0,"b":true,"m":"v"}']
    assert {row: cause.field for row, cause in bad.items()} == {0: "a", 1: "b"}


def test_values_that_are_not_read_may_be_anything() -> None:
    """Only the values that the pipeline reads must be finite."""
    pieces, bad = encoded({"y": np.array([[1.0, np.nan]], dtype=np.float32)}, v=NumberColumn("y", 0))
    assert (len(pieces), bad) == (1, {})


def test_all_rows_may_be_bad() -> None:
    """Then nothing is written, and nothing raises."""
    pieces, bad = encoded({"y": f32(np.nan, np.inf)}, v=NumberColumn("y", 0), w=OverColumn("y", 0, 1.0))
    assert (pieces, list(bad)) == ([], [0, 1])
