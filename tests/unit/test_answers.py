"""Kinds of output: labels, the best of them, vectors, and what is applied before."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from consumer.records.answers import LabelColumn, NumberColumn, NumbersColumn, OutputColumn, OverColumn, TopColumn
from consumer.records.predictions import Predictions
from tests.support.pipelines import changed, loaded, refused


def written(column: OutputColumn, *rows: list[Any], dtype: str = "float32") -> list[Any]:
    """Return what a column says of rows, and NaN-free ones only."""
    pieces, bad = Predictions({"v": column}, {"m": "v"}).encode({"y": np.array(rows, dtype=dtype)})
    assert bad == {}
    return [orjson.loads(piece)["v"] for piece in pieces]


def test_a_label_is_that_of_the_largest_value() -> None:
    """Of equal ones the first; without labels, its place."""
    rows = [[0.1, 0.7, 0.2], [3.0, 3.0, 1.0], [-1.0, -2.0, -3.0]]
    assert written(LabelColumn("y", ["a", 'b"', "ü"]), *rows) == ['b"', "a", "a"]
    assert written(LabelColumn("y", None), *rows) == [1, 0, 0]


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
def test_top_are_the_largest_in_order(dtype: str) -> None:
    """With their scores; of equal ones the first comes first; the smallest integer is smallest."""
    top = TopColumn("y", 2, ["a", "b", "c"])
    assert written(top, [1, 3, 2], [5, 5, 0], dtype=dtype) == [
        [{"label": "b", "score": 3}, {"label": "c", "score": 2}],
        [{"label": "a", "score": 5}, {"label": "b", "score": 5}],
    ]
    lowest = written(TopColumn("y", 3, None), [-128, 127, 0], dtype="int8")
    assert [best["label"] for best in lowest[0]] == [1, 2, 0]


def test_numbers_are_all_of_a_row() -> None:
    """Over all its dimensions, with the fewest digits that give each back."""
    assert written(NumbersColumn("y"), [9.31, 0.1], [2.0, -1.5]) == [[9.31, 0.1], [2.0, -1.5]]


def test_softmax_is_over_the_row_and_does_not_overflow() -> None:
    """exp(x) / sum(exp(x))."""
    (row,) = written(NumbersColumn("y", "softmax"), [1.0, 2.0, 3.0])
    assert row == pytest.approx([0.09003057, 0.24472847, 0.66524096])
    assert written(NumberColumn("y", 1, "softmax"), [1e4, 1e4], [-1e4, 1e4]) == [0.5, 1.0]


def test_sigmoid_is_of_each_value_and_does_not_overflow() -> None:
    """1 / (1 + exp(-x)); a threshold is one of the result."""
    (row,) = written(NumbersColumn("y", "sigmoid"), [0.0, 2.0, -2.0, 1e4, -1e4])
    assert row == pytest.approx([0.5, 0.8807971, 0.11920292, 1.0, 0.0])
    assert written(OverColumn("y", 0, 0.5, "sigmoid"), [0.1], [-0.1]) == [True, False]


@pytest.mark.parametrize(
    "column", [LabelColumn("y", None), TopColumn("y", 1, None, "softmax"), NumbersColumn("y", "sigmoid")]
)
def test_a_row_with_a_value_that_is_not_finite_is_a_dead_letter(column: OutputColumn) -> None:
    """Wherever in the row it stands; the others go on."""
    rows = np.array([[1, 2], [np.nan, 1], [0, np.nan], [3, 4]], dtype=np.float32)
    pieces, bad = Predictions({"v": column}, {"m": "v"}).encode({"y": rows})
    assert (len(pieces), list(bad)) == (2, [1, 2])
    assert bad[1].message == "the model answered nan"


def test_infinity_has_no_softmax() -> None:
    """It is a dead letter, not a chance of 1."""
    rows = np.array([[np.inf, 0], [0, 1]], dtype=np.float32)
    _, bad = Predictions({"v": TopColumn("y", 1, None, "softmax")}, {"m": "v"}).encode({"y": rows})
    assert list(bad) == [0]


def test_labels_are_read_from_a_file(tmp_path: Path) -> None:
    """One a line; other labels make another pipeline."""
    text = changed("y: {tensor: y, kind: number}", "y: {tensor: y, kind: label, labels: l.txt}")
    (tmp_path / "l.txt").write_text("a\nb\n")
    first = loaded(tmp_path, text)
    assert first.spec.model.outputs["y"].labels == ["a", "b"]  # type: ignore[union-attr]
    (tmp_path / "l.txt").write_text("a\nc\n")
    assert loaded(tmp_path, text).label != first.label
    (tmp_path / "l.txt").unlink()
    (found,) = refused(tmp_path, text)
    assert "model.outputs.y.labels: " in found
    assert "can't be read" in found
