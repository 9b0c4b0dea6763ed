"""The guard against a slow and obvious one, on any sequence of batches."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.guard import Guard, Limits

LIMITS = st.builds(
    Limits,
    in_a_row=st.none() | st.integers(1, 6),
    ratio=st.none() | st.floats(0.1, 1),
    of_last=st.integers(1, 12),
    per_minute=st.none() | st.integers(1, 6),
)
# Batches: (seconds that pass before, which rows are bad).
BATCHES = st.lists(st.tuples(st.floats(0, 40), st.lists(st.booleans(), min_size=1, max_size=6)), max_size=12)


def obvious(limits: Limits, history: list[tuple[bool, float]]) -> bool:
    """Return whether the newest event is a dead letter too many."""
    bad, now = history[-1]
    if not bad:
        return False
    row = 0
    for event, _ in reversed(history):
        if not event:
            break
        row += 1
    last = sum(event for event, _ in history[-limits.of_last :])
    minute = sum(event for event, when in history if when > now - 60)
    return (
        (limits.in_a_row is not None and row >= limits.in_a_row)
        or (limits.among_last is not None and last >= limits.among_last)
        or (limits.per_minute is not None and minute >= limits.per_minute)
    )


@given(LIMITS, BATCHES)
def test_the_guard_trips_at_the_first_dead_letter_that_is_too_many(
    limits: Limits, batches: list[tuple[float, list[bool]]]
) -> None:
    """At exactly that row, foreseen and counted alike, and never before."""
    guard, history, now = Guard(limits), list[tuple[bool, float]](), 0.0
    for pause, rows in batches:
        now += pause
        dead = {row: "Malformed" for row, bad in enumerate(rows) if bad}
        foreseen, counted = guard.foresee(dead, now), guard.count(len(rows), dead, now)
        assert foreseen == counted
        for row, bad in enumerate(rows):
            history.append((bad, now))
            if obvious(limits, history):
                assert counted is not None
                assert counted.rows == row + 1
                return
        assert counted is None
