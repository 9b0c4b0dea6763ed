"""What numbers, categories and presence can be told to do."""

import math
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consumer.deadletter.causes import Code
from consumer.features.category import CategoryColumn
from consumer.features.column import Column
from consumer.features.number import NumberColumn
from consumer.features.numbers import NumbersColumn
from consumer.features.present import PresentColumn
from consumer.features.time import TimeColumn
from consumer.pipeline.features import CategoryFeature, NumberFeature, NumbersFeature, PresentFeature, TimeFeature
from consumer.types import Cause
from tests.support.pipelines import changed, refused


def run(column: Column, *values: Any) -> tuple[Any, dict[int, str]]:  # noqa: ANN401
    """Return the column and the codes of bad rows."""
    bad: Any = {}
    found = column.numbers(values, bad).tolist()
    return found, {row: cause.code for row, cause in bad.items()}


def number(**more: Any) -> NumberColumn:  # noqa: ANN401
    """Make a number column."""
    return NumberColumn(NumberFeature(field="f", **more))


def category(**more: Any) -> CategoryColumn:  # noqa: ANN401
    """Make a category column."""
    return CategoryColumn(CategoryFeature(field="f", **more))


def test_a_number_may_be_text_where_it_is_allowed() -> None:
    """As JSON writes numbers, and in no other way."""
    assert run(number(text="allow", missing=0), "12.5", 1.0, "-1e3", None) == ([12.5, 1.0, -1000.0, 0.0], {})
    for text in ("", " 1", "1_0", "nan", "inf", "0x1", "01", "+1", ".5", "one"):
        assert run(number(text="allow"), 1.0, text)[1] == {1: Code.WRONG_TYPE}, text
    assert str not in number().accepts.__args__


def test_a_clipped_number_is_moved_to_the_nearest_end() -> None:
    """It is no dead letter; what is out of `range` is one even so."""
    assert run(number(clip=(0, 10)), -5.0, 5.0, 50.0) == ([0.0, 5.0, 10.0], {})
    assert run(number(clip=(0, 10), range=(-1, 20)), -5.0, 15.0)[1] == {0: Code.OUT_OF_RANGE}


def test_a_number_is_clipped_then_transformed_then_scaled() -> None:
    """In this order; missing comes first."""
    column = number(clip=(0, 99), transform="log1p", mean=1, std=2, missing=500)
    (first, second, third), bad = run(column, 0.0, 99.0, None)
    assert (first, bad) == (-0.5, {})
    assert second == third == pytest.approx((math.log(100) - 1) / 2)
    assert run(number(transform="sqrt"), 9.0)[0] == [3.0]
    assert run(number(transform="log"), math.e)[0] == [1.0]


@pytest.mark.parametrize(("transform", "value"), [("log1p", -1.0), ("log1p", -2.0), ("log", 0.0), ("sqrt", -1.0)])
def test_a_value_without_its_transform_is_a_dead_letter(transform: Any, value: float) -> None:  # noqa: ANN401
    """NaN and infinity never reach the model."""
    assert run(number(transform=transform), 1.0, value)[1] == {1: Code.OUT_OF_RANGE}


def test_a_bucket_is_the_crc_of_the_keys_text() -> None:
    """12, 12.0 and "12" are one key; identifiers keep all their digits; the hash is the documented one."""
    column = category(buckets=50)
    expected = float(zlib.crc32(b"12") % 50)
    assert run(column, 12, 12.0, "12") == ([expected] * 3, {})
    assert zlib.crc32(b"123456789") == 0xCBF43926  # the check value of CRC-32/ISO-HDLC
    many = [2**53 + step for step in range(100)]
    assert run(column, *many)[0] == [zlib.crc32(str(key).encode()) % 50 for key in many]
    assert column.highest == 49


def test_an_absent_key_has_no_bucket() -> None:
    """It is a dead letter, or the bucket of `missing`; also after more keys than are remembered."""
    assert run(category(buckets=50), None, 1)[1] == {0: Code.MISSING}
    column = category(buckets=50, missing="none")
    expected = float(zlib.crc32(b"none") % 50)
    column.numbers(list(range(70_000)), {})
    assert run(column, None) == ([expected], {})


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (category(buckets=50), "{}"),
        (TimeColumn(TimeFeature(field="f", part="hour")), "2013-01-01T00:00:00.{}Z"),  # as many digits as one likes
    ],
)
def test_invariant_8_long_texts_are_not_remembered(column: Column, text: str) -> None:
    """Thousands of short ones are; an event may be of a megabyte."""
    tracemalloc.start()
    for number in range(1000):
        column.numbers([text.format(str(10**9 + number) * 1000)], {})
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000


def test_one_hot_is_a_column_for_each_index() -> None:
    """The unknown's among them."""
    column = category(vocabulary=["a", "b"], unknown=0, one_hot=True)
    assert column.width == 3
    assert run(column, "b", "?", None) == ([[0, 0, 1], [1, 0, 0], [1, 0, 0]], {})
    assert run(category(vocabulary=["a", "b"], one_hot=True), "a", "?") == (
        [[1, 0], [1, 0]],
        {1: Code.UNKNOWN_CATEGORY},
    )


def test_multi_hot_is_a_one_for_each_entry() -> None:
    """An empty list has none; an absent one is a dead letter without `missing`."""
    column = category(vocabulary=["a", "b", "c"], multi_hot=True)
    assert run(column, ["a", "c"], [], ["b", "b"]) == ([[1, 0, 1], [0, 0, 0], [0, 1, 0]], {})
    assert run(column, None, ["a", "?"])[1] == {0: Code.MISSING, 1: Code.UNKNOWN_CATEGORY}
    assert run(category(vocabulary=["a", "b"], multi_hot=True, missing="b"), None)[0] == [[0, 1]]


def test_present_is_a_mask() -> None:
    """Anything but absent and null is there, also what is empty or false."""
    values = [0, "", False, [], {}, None]
    assert run(PresentColumn(PresentFeature(field="f")), *values) == ([1, 1, 1, 1, 1, 0], {})


def test_numbers_are_a_vector_of_one_length() -> None:
    """Each scaled by its own mean and std; another length is a dead letter."""
    column = NumbersColumn(NumbersFeature(field="f", length=2, mean=[1, 2], std=[1, 4]))
    assert run(column, [2.0, 6.0], [1.0], None, [1.0, 2.0])[1] == {1: Code.WRONG_LENGTH, 2: Code.MISSING}
    assert run(column, [2.0, 6.0])[0] == [[1.0, 1.0]]


def test_each_of_several_numbers_is_held_to_the_range() -> None:
    """Both ends are in it; the first item outside is named, and the row alone falls out."""
    column = NumbersColumn(NumbersFeature(field="f", length=2, range=(0, 9)))
    causes: dict[int, Cause] = {}
    column.numbers([[0.0, 9.0], [5.0, 10.0], [-1.0, 11.0], [1.0]], causes)
    assert {row: found.message for row, found in causes.items()} == {
        1: "item 1: 10 is not in 0 to 9",
        2: "item 0: -1 is not in 0 to 9",
        3: "a list of 1 numbers, where 2 are needed",
    }
    assert causes[1].code == Code.OUT_OF_RANGE


@pytest.mark.parametrize(
    "column",
    [
        number(text="allow", clip=(0, 10), transform="log1p"),
        number(transform="sqrt"),
        category(buckets=7),
        category(vocabulary=["a", 1], one_hot=True),
        category(vocabulary=["a", 1], multi_hot=True),
        NumbersColumn(NumbersFeature(field="f", length=3)),
        NumbersColumn(NumbersFeature(field="f", length=3, range=(0, 999))),
        PresentColumn(PresentFeature(field="f")),
    ],
)
def test_samples_pass_their_own_column(column: Column) -> None:
    """And differ."""
    samples = column.samples(30, np.random.default_rng(0))
    found, bad = run(column, *samples)
    assert bad == {}
    assert len({str(row) for row in found}) > 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("vocabulary: [a, b], unknown: 0", "unknown: 0", "give one of `vocabulary` and `buckets`"),
        ("vocabulary: [a, b], unknown: 0", "buckets: 5, unknown: 0", "every key has a bucket"),
        ("unknown: 0", "one_hot: true, multi_hot: true", "is for lists, one_hot for single entries"),
        ("field: n, kind: number", "field: n, kind: number, clip: [2, 1]", "the lowest is above the highest"),
        ("field: n, kind: number", "field: n, kind: numbers, length: 2, mean: [1]", "1 numbers, where `length` is 2"),
        ("field: n, kind: number", "field: n, kind: numbers, length: 2, std: 0", "must be finite and above 0"),
    ],
)
def test_what_can_not_be_meant_is_refused(old: str, new: str, words: str, tmp_path: Path) -> None:
    """With its place."""
    found = refused(tmp_path, changed(old, new))
    assert any(words in line for line in found), found
