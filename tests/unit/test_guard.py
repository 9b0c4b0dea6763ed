"""The dead-letter guard: counts, and nothing else."""

from consumer.deadletter.causes import Code
from consumer.guard import Guard, Limits, Trip

BAD = Code.MALFORMED


def dead(*rows: int, cause: str = BAD) -> dict[int, str]:
    """Return dead letters in these rows."""
    return dict.fromkeys(rows, cause)


def test_so_many_in_a_row_trip_it_at_the_last_of_them() -> None:
    """Across batches; the row is counted from the batch's first."""
    guard = Guard(Limits(in_a_row=5))
    assert guard.count(3, dead(1, 2), 0.0) is None
    assert guard.count(4, dead(0, 1, 2, 3), 0.0) == Trip(3, "5 dead letters in a row", BAD)


def test_a_good_event_ends_a_row() -> None:
    """Wherever in a batch it is, and when a whole batch is good."""
    guard = Guard(Limits(in_a_row=3))
    assert guard.count(5, dead(0, 1, 3, 4), 0.0) is None
    assert guard.count(1, {}, 0.0) is None
    assert guard.count(4, dead(0, 1), 0.0) is None
    assert guard.count(2, dead(0, 1), 0.0) is None


def test_a_ratio_is_of_the_last_events() -> None:
    """Every second one is bad: 4 of the last 8 are too many, whatever was before."""
    guard = Guard(Limits(ratio=0.5, of_last=8))
    for _ in range(10):
        assert guard.count(4, dead(0), 0.0) is None
    assert guard.count(8, dead(0, 2, 4, 6), 0.0) == Trip(7, "4 dead letters among the last 8 events", BAD)


def test_a_ratio_need_not_wait_for_so_many_events() -> None:
    """Half of a thousand is reached with the 500th dead letter."""
    guard = Guard(Limits(ratio=0.5, of_last=1000))
    assert guard.count(499, dead(*range(499)), 0.0) is None
    assert guard.count(1, dead(0), 0.0) is not None


def test_so_many_within_a_minute_trip_it() -> None:
    """By the clock that it is given, and older ones do not count."""
    guard = Guard(Limits(per_minute=3))
    assert guard.count(9, dead(0, 8), 0.0) is None
    assert guard.count(9, dead(0), 61.0) is None
    assert guard.count(9, dead(0), 100.0) is None
    assert guard.count(9, dead(3), 120.0) == Trip(4, "3 dead letters within a minute", BAD)


def test_the_most_frequent_cause_is_of_those_that_tripped_it() -> None:
    """An old one does not count, however often it was there."""
    guard = Guard(Limits(in_a_row=3))
    for _ in range(5):
        guard.count(3, dead(0, 1, cause=Code.MISSING), 0.0)
    mixed = {0: Code.MALFORMED, 1: Code.OUT_OF_RANGE, 2: Code.OUT_OF_RANGE}
    assert guard.count(3, mixed, 0.0) == Trip(3, "3 dead letters in a row", Code.OUT_OF_RANGE)


def test_foreseeing_changes_nothing() -> None:
    """It says where a batch would trip, as often as it is asked."""
    guard = Guard(Limits(in_a_row=3))
    guard.count(2, dead(0, 1), 0.0)
    assert guard.foresee({}, 0.0) is None
    assert guard.foresee(dead(1, 2), 0.0) is None
    assert [guard.foresee(dead(0), 0.0), guard.foresee(dead(0), 0.0)] == [Trip(1, "3 dead letters in a row", BAD)] * 2
    assert guard.count(1, {}, 0.0) is None
    assert guard.foresee(dead(0), 0.0) is None


def test_what_was_undone_is_not_counted() -> None:
    """It comes again, and is counted then; what was durable stays counted."""
    guard = Guard(Limits(in_a_row=3))
    guard.count(1, dead(0), 0.0)
    guard.mark()
    guard.count(1, dead(0), 0.0)
    guard.rewind()
    assert guard.count(1, dead(0), 0.0) is None
    assert guard.count(1, dead(0), 0.0) is not None


def test_what_was_undone_is_not_among_the_last_minutes() -> None:
    """Nor among the last events."""
    for limits in (Limits(per_minute=3), Limits(ratio=0.75, of_last=4)):
        guard = Guard(limits)
        guard.count(1, dead(0), 0.0)
        guard.mark()
        guard.count(1, dead(0), 0.0)
        guard.rewind()
        assert guard.count(1, dead(0), 0.0) is None
        assert guard.count(1, dead(0), 0.0) is not None


def test_without_limits_it_never_trips() -> None:
    """All may be switched off."""
    guard = Guard(Limits())
    assert guard.count(5000, dead(*range(5000)), 0.0) is None
