"""Kinds of feature: a field's values in, a column of numbers out."""

from typing import Any

import numpy as np
import pytest

from consumer.deadletter.causes import Code
from consumer.features.boolean import BooleanColumn
from consumer.features.category import CategoryColumn
from consumer.features.column import Column
from consumer.features.number import NumberColumn
from consumer.features.time import TimeColumn
from consumer.pipeline.features import BooleanFeature, CategoryFeature, NumberFeature, TimeFeature, TimePart
from consumer.types import Cause, Stage

NEW_YORK = "America/New_York"


def run(column: Column, *values: Any) -> tuple[list[float], dict[int, Cause]]:  # noqa: ANN401
    """Return the column and the causes of bad rows."""
    bad: dict[int, Cause] = {}
    return column.numbers(values, bad).tolist(), bad


def codes(bad: dict[int, Cause]) -> dict[int, str]:
    """Return the causes' codes; all are of the features' stage and name the field `f`."""
    assert {(cause.stage, cause.field) for cause in bad.values()} <= {(Stage.FEATURES, "f")}
    return {row: cause.code for row, cause in bad.items()}


# The kind number.


def test_a_number_is_scaled_by_mean_and_std() -> None:
    """(value - mean) / std, in double precision."""
    assert run(NumberColumn(NumberFeature(field="f", mean=10, std=4)), 10.0, 12.0, 0.0) == ([0.0, 0.5, -2.5], {})
    assert run(NumberColumn(NumberFeature(field="f")), 0.1, -3.0) == ([0.1, -3.0], {})


def test_missing_is_a_raw_value() -> None:
    """It stands in before scaling, as if the event had it."""
    assert run(NumberColumn(NumberFeature(field="f", missing=2, mean=1, std=2)), None, 3.0) == ([0.5, 1.0], {})


def test_without_missing_an_absent_number_is_a_dead_letter() -> None:
    """Only the rows where it is absent."""
    _, bad = run(NumberColumn(NumberFeature(field="f")), 1.0, None, 2.0, None)
    assert codes(bad) == {1: Code.MISSING, 3: Code.MISSING}


def test_a_range_takes_its_ends() -> None:
    """The lowest and the highest are inside; beyond is a dead letter; scaling comes after."""
    column = NumberColumn(NumberFeature(field="f", range=(0, 10), mean=5))
    numbers, bad = run(column, 0.0, 10.0, -0.001, 10.5)
    assert numbers[:2] == [-5.0, 5.0]
    assert codes(bad) == {2: Code.OUT_OF_RANGE, 3: Code.OUT_OF_RANGE}
    assert bad[3].message == "10.5 is not in 0 to 10"


def test_an_absent_number_in_a_range_is_missing() -> None:
    """It is not out of range as well."""
    _, bad = run(NumberColumn(NumberFeature(field="f", range=(0, 1))), None)
    assert codes(bad) == {0: Code.MISSING}


@pytest.mark.parametrize(
    "limits",
    [(0, 5), (0.5, 0.75), (7, 7), (0, float("inf")), (-float("inf"), 0), (-float("inf"), float("inf")),
     (-float("inf"), -1e12), (1e12, 2e30)],
)  # fmt: skip
def test_samples_of_a_range_are_in_it(limits: tuple[float, float]) -> None:
    """Also where it is wide, narrow, or has no end."""
    column = NumberColumn(NumberFeature(field="f", range=limits))
    samples = column.samples(50, np.random.default_rng(0))
    assert run(column, *samples)[1] == {}
    assert len(set(samples)) > 1 or limits[1] - limits[0] < 1


# The kind boolean.


def test_a_boolean_is_0_or_1_and_scaled() -> None:
    """As a number would be."""
    assert run(BooleanColumn(BooleanFeature(field="f")), True, False) == ([1.0, 0.0], {})  # noqa: FBT003
    assert run(BooleanColumn(BooleanFeature(field="f", mean=0.5, std=0.5, missing=True)), None, False) == (  # noqa: FBT003
        [1.0, -1.0],
        {},
    )


def test_a_missing_that_is_false_is_a_missing() -> None:
    """False is a value; only without one an absent boolean is a dead letter."""
    assert run(BooleanColumn(BooleanFeature(field="f", missing=False)), None) == ([0.0], {})
    assert codes(run(BooleanColumn(BooleanFeature(field="f")), None)[1]) == {0: Code.MISSING}


# The kind category.


def category(*entries: str | float, **more: Any) -> CategoryColumn:  # noqa: ANN401
    """Make a category column."""
    return CategoryColumn(CategoryFeature(field="f", vocabulary=list(entries), **more))


@pytest.mark.parametrize("entry", [12, 12.0, "12"])
def test_a_key_is_the_same_however_it_is_written(entry: str | float) -> None:
    """12, 12.0 and "12" are one entry, in the vocabulary and in events."""
    assert run(category("a", entry), 12, 12.0, "12") == ([1.0, 1.0, 1.0], {})


def test_an_entry_of_a_file_that_says_12_0_is_found_by_12_too() -> None:
    """Tables with gaps in them write whole numbers so."""
    assert run(category("a", "12.0", "1.5"), 12, 12.0, "12", "12.0", "1.5") == ([1.0, 1.0, 1.0, 1.0, 2.0], {})


def test_leading_zeros_are_text() -> None:
    """The text 007 is not the number 7, nor 1e3 the number 1000."""
    numbers, bad = run(category("007", "1e3"), "007", "1e3", 7, "7", 1000.0)
    assert numbers[:2] == [0.0, 1.0]
    assert codes(bad) == dict.fromkeys((2, 3, 4), Code.UNKNOWN_CATEGORY)


def test_no_identifier_passes_through_a_float() -> None:
    """Two integers that are one double are two entries."""
    column = category("9007199254740993", 9007199254740992)
    assert run(column, 9007199254740993, "9007199254740992", 9007199254740992) == ([0.0, 1.0, 1.0], {})


def test_fractions_are_keys_too() -> None:
    """1.5 and "1.5" are one; "nan" is a word."""
    assert run(category(1.5, "nan"), "1.5", 1.5, "nan") == ([0.0, 0.0, 1.0], {})


def test_an_unknown_category_is_a_dead_letter() -> None:
    """Without `unknown`; the message names the value, not the row."""
    _, bad = run(category("a"), "a", "b", None)
    assert codes(bad) == {1: Code.UNKNOWN_CATEGORY, 2: Code.MISSING}
    assert "'b'" in bad[1].message


def test_unknown_0_moves_the_entries() -> None:
    """Entries then begin at 1, and absent counts as unknown."""
    assert run(category("a", "b", unknown=0), "a", "b", "?", None) == ([1.0, 2.0, 0.0, 0.0], {})


def test_unknown_after_the_entries() -> None:
    """Entries begin at 0 and the unknown is their number."""
    assert run(category("a", "b", unknown=2), "a", "b", "?", None) == ([0.0, 1.0, 2.0, 2.0], {})


def test_missing_is_an_entry() -> None:
    """It stands in for an absent field only; without `unknown`, others are dead letters still."""
    assert run(category("a", 12, missing="12"), None) == ([1.0], {})
    assert run(category("a", "12", missing=12.0, unknown=0), None, "?") == ([2.0, 0.0], {})
    assert codes(run(category("a", missing="a"), "?")[1]) == {0: Code.UNKNOWN_CATEGORY}


def test_a_vocabulary_file_must_have_been_read() -> None:
    """A file name is never taken for a list of letters."""
    with pytest.raises(TypeError, match=r"'carriers\.txt' has not been read"):
        CategoryColumn(CategoryFeature(field="f", vocabulary="carriers.txt"))


# The kind time.


def part(name: TimePart, text: str | None, zone: str = "UTC", **more: Any) -> float:  # noqa: ANN401
    """Return the part of one time."""
    numbers, bad = run(TimeColumn(TimeFeature(field="f", part=name, zone=zone, **more)), text)
    assert bad == {}
    return numbers[0]


def bad_time(text: str, zone: str = "UTC") -> Cause:
    """Return why a time is bad."""
    _, bad = run(TimeColumn(TimeFeature(field="f", part="hour", zone=zone)), "2013-01-01T00:00:00Z", text)
    assert codes(bad) == {1: Code.BAD_TIME}
    return bad[1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("year", 2013), ("month", 11), ("day", 24), ("hour", 10), ("minute", 5), ("second", 59), ("weekday", 6),
     ("yearday", 328)],
)  # fmt: skip
def test_each_part_of_a_time(name: TimePart, expected: int) -> None:
    """2013-11-24 was a Sunday, the 328th day; seconds have no fraction."""
    assert part(name, "2013-11-24T10:05:59.999Z") == expected


def test_parts_are_read_in_the_zone() -> None:
    """The same moment is another hour and another day elsewhere, however its offset is written."""
    for text in ("2013-11-24T03:00:00Z", "2013-11-24T04:00:00+01:00", "2013-11-23T22:00:00-05:00"):
        assert (part("hour", text, NEW_YORK), part("day", text, NEW_YORK)) == (22, 23)
        assert (part("hour", text), part("day", text)) == (3, 24)


def test_the_zone_knows_summer_time() -> None:
    """One second before the clocks go forward in New York it is 1:59, then 3:00; and 1:59 comes twice in autumn."""
    assert part("hour", "2013-03-10T06:59:59Z", NEW_YORK) == 1
    assert part("hour", "2013-03-10T07:00:00Z", NEW_YORK) == 3
    assert part("hour", "2013-11-03T05:59:59Z", NEW_YORK) == 1
    assert part("hour", "2013-11-03T06:59:59Z", NEW_YORK) == 1
    assert part("hour", "2013-11-03T07:00:00Z", NEW_YORK) == 2


def test_a_time_without_offset_is_in_the_zone() -> None:
    """It is not moved, also where the clocks never showed it."""
    assert part("hour", "2013-07-01T10:00:00", NEW_YORK) == 10
    assert part("hour", "2013-03-10T02:30:00", NEW_YORK) == 2


def test_leap_days() -> None:
    """2024 has a 29th of February, the 60th day; 2013 has none."""
    assert (part("day", "2024-02-29T12:00:00Z"), part("yearday", "2024-02-29T12:00:00Z")) == (29, 60)
    bad_time("2013-02-29T12:00:00Z")


@pytest.mark.parametrize(
    "text", ["2016-12-31T23:59:60Z", "2016-12-31T23:59:60.5Z", "2017-01-01T08:59:60+09:00", "2016-12-31T18:59:60"]
)
def test_a_leap_second_is_the_second_before_it(text: str) -> None:
    """At the end of a month of UTC, wherever it is told, where RFC 3339 allows it."""
    parts: dict[TimePart, int] = {"second": 59, "minute": 59, "hour": 18, "day": 31, "year": 2016}
    for name, expected in parts.items():
        assert part(name, text, NEW_YORK) == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2013-11-24", "10:00:00Z", "1385287200", "2013-13-01T00:00:00Z", "2013-11-24T24:00:00Z",
     "2013-11-24T10:05Z",
     "2013-11-24T23:59:60Z", "2016-12-31T23:58:60Z", "2016-12-31T22:59:60", "2016-12-31T23:59:61Z",
     "2016-12-31T23:59:60X", "2016-12-31T23:59:60+01:00"],
)  # fmt: skip
def test_what_is_no_rfc_3339_time_is_a_dead_letter(text: str) -> None:
    """Dates, numbers and times that no clock shows."""
    assert bad_time(text).message == f"not an RFC 3339 time: {text!r}"


@pytest.mark.parametrize(
    ("text", "zone"), [("0001-01-01T00:00:00Z", NEW_YORK), ("9999-12-31T23:59:59Z", "Asia/Tokyo")]
)
def test_the_edges_of_the_calendar_are_dead_letters(text: str, zone: str) -> None:
    """A time that its zone moves out of the years 1 to 9999."""
    assert bad_time(text, zone).message == f"outside the calendar: {text!r}"


def test_a_missing_time_is_a_part() -> None:
    """`missing` is a value of the part, scaled like one; without it an absent time is a dead letter."""
    assert part("hour", None, missing=13, mean=12, std=2) == 0.5
    column = TimeColumn(TimeFeature(field="f", part="hour"))
    assert codes(run(column, None, "2013-11-24T10:00:00Z")[1]) == {0: Code.MISSING}


def test_a_bad_time_beside_an_absent_one() -> None:
    """Each row has its own cause."""
    column = TimeColumn(TimeFeature(field="f", part="hour"))
    numbers, bad = run(column, "x", None, "2013-11-24T10:00:00Z")
    assert codes(bad) == {0: Code.BAD_TIME, 1: Code.MISSING}
    assert numbers[2] == 10


def test_remembered_times_are_of_their_own_column() -> None:
    """Two columns that read one text give each their own part, again and again."""
    hour = TimeColumn(TimeFeature(field="f", part="hour"))
    day = TimeColumn(TimeFeature(field="f", part="day"))
    for _ in range(2):
        assert (run(hour, "2013-11-24T10:00:00Z"), run(day, "2013-11-24T10:00:00Z")) == (([10.0], {}), ([24.0], {}))
        assert codes(run(hour, "x")[1]) == {0: Code.BAD_TIME}
