"""The batch rule and the positions of a lane (invariant 7)."""

import pytest

from consumer.lane import NEVER, BatchRule, Lane, Reason, StaleEventError
from consumer.types import PlainEvent
from tests.support.making import event, events, offsets, rule


def lane(made: BatchRule, position: int = 0) -> Lane:
    """Open a lane."""
    return Lane(3, position, made)


def test_a_batch_closes_on_rows() -> None:
    """The row that fills the batch makes it due, and not the one before."""
    made = lane(rule(rows=3))
    made.extend(events(2), 0.0)
    assert (made.full, made.due(0.0)) == (False, None)
    made.extend(events(1, first=2), 0.0)
    assert (made.full, made.due(0.0)) == (True, Reason.ROWS)
    assert offsets(made.take()) == [0, 1, 2]


def test_a_batch_that_time_has_capped_says_so() -> None:
    """Where the model's speed capped the rows, a full batch is closed by time."""
    made = lane(BatchRule(rows=1, bytes=1000, wait=1.0, full=Reason.TIME))
    made.extend(events(1), 0.0)
    assert made.due(0.0) is Reason.TIME


def test_a_batch_closes_on_bytes() -> None:
    """The row that reaches the bytes makes the batch due."""
    made = lane(rule(rows=100, size=30))
    made.extend(events(2, size=10), 0.0)
    assert made.due(0.0) is None
    made.extend(events(1, first=2, size=10), 0.0)
    assert (made.full, made.due(0.0)) == (True, Reason.BYTES)
    assert offsets(made.take()) == [0, 1, 2]


def test_a_batch_stays_within_bytes() -> None:
    """What would go beyond the bytes is left for the next batch."""
    made = lane(rule(rows=100, size=25))
    made.extend(events(4, size=10), 0.0)
    assert offsets(made.take()) == [0, 1]
    assert offsets(made.take()) == [2, 3]


def test_tensor_bytes_are_counted() -> None:
    """A row costs its value and its tensors: 3 rows of 1 + 9 bytes reach 30."""
    made = lane(rule(rows=100, size=30, row_bytes=9))
    made.extend(events(3), 0.0)
    assert made.due(0.0) is Reason.BYTES
    made.extend(events(1, first=3), 0.0)
    assert offsets(made.take()) == [0, 1, 2]
    assert made.due(0.0) is None


def test_an_event_larger_than_bytes_goes_alone() -> None:
    """It is neither dropped nor does it take its neighbours along."""
    made = lane(rule(rows=100, size=10))
    made.extend([event(0, b"x"), event(1, b"x" * 50), event(2, b"x")], 0.0)
    assert [offsets(made.take()) for _ in range(3)] == [[0], [1], [2]]


def test_the_reason_is_bytes_where_bytes_close_before_rows() -> None:
    """A poll that brings both limits at once is labelled with the one that cut the batch."""
    made = lane(rule(rows=3, size=10))
    made.extend(events(3, size=8), 0.0)
    assert made.due(0.0) is Reason.BYTES
    assert offsets(made.take()) == [0]


def test_the_reason_is_rows_where_rows_close_before_bytes() -> None:
    """Bytes of rows that are left for later close nothing."""
    made = lane(rule(rows=2, size=25))
    made.extend(events(4, size=10), 0.0)
    assert made.due(0.0) is Reason.ROWS
    assert offsets(made.take()) == [0, 1]


def test_the_wait_counts_from_the_first_row() -> None:
    """Rows that come later do not put the batch off."""
    made = lane(rule(wait=1.0))
    made.extend(events(1), 10.0)
    made.extend(events(1, first=1), 10.9)
    assert made.deadline == 11.0
    assert (made.due(10.999), made.due(11.0)) == (None, Reason.WAIT)


def test_the_wait_of_leftovers_counts_from_their_own_first_row() -> None:
    """After a batch was taken, the deadline is that of the oldest row that was left."""
    made = lane(rule(rows=3, wait=1.0))
    made.extend(events(2), 10.0)
    made.extend(events(4, first=2), 20.0)
    assert offsets(made.take()) == [0, 1, 2]
    assert made.deadline == 21.0
    made.extend(events(1, first=6), 30.0)
    assert offsets(made.take()) == [3, 4, 5]
    assert made.deadline == 31.0
    assert offsets(made.take()) == [6]
    assert made.deadline == NEVER


def test_rows_beat_the_wait_in_the_label() -> None:
    """A batch that is full and late was closed by its rows."""
    made = lane(rule(rows=1, wait=1.0))
    made.extend(events(1), 0.0)
    assert made.due(99.0) is Reason.ROWS


def test_the_position_is_that_of_the_oldest_open_event() -> None:
    """What is open is not done with; an empty lane stands at the event to come."""
    made = lane(rule(rows=2), position=5)
    assert made.position == 5
    made.extend(events(3, first=7), 0.0)
    assert (made.position, made.size) == (7, 3)
    made.take()
    assert made.position == 9
    made.take()
    assert (made.position, made.size) == (10, 0)


def test_an_empty_lane_moves_past_markers() -> None:
    """Once something was read, a client's position further on is believed."""
    made = lane(rule(), position=0)
    made.extend(events(1), 0.0)
    made.take()
    made.advance(7)
    assert made.position == 7
    made.advance(3)
    assert made.position == 7


def test_a_lane_with_open_events_does_not_move() -> None:
    """The position of the client is past events that are still open here."""
    made = lane(rule())
    made.extend(events(1), 0.0)
    made.advance(7)
    assert made.position == 0


def test_a_lane_that_has_read_nothing_moves_past_markers() -> None:
    """What a predecessor left behind at the end of a partition may hold no event at all."""
    made = lane(rule(), position=2)
    made.advance(7)
    assert made.position == 7


def test_a_restart_drops_the_open_batch() -> None:
    """After a rewind nothing of the old batch is left, neither rows, bytes nor waiting time."""
    made = lane(rule(rows=9, size=50))
    made.extend(events(4, size=10), 0.0)
    made.restart(1)
    assert (made.position, made.size, made.deadline, made.full) == (1, 0, NEVER, False)
    made.extend(events(4, first=1, size=10), 5.0)
    assert (made.full, made.deadline) == (False, 6.0)


@pytest.mark.parametrize("offset", [0, 4])
def test_a_stale_event_is_refused(offset: int) -> None:
    """An event from before the position would be enriched twice; the message names the place."""
    made = lane(rule(), position=5)
    with pytest.raises(StaleEventError, match=f"partition 3: offset {offset} came after 4"):
        made.extend(events(1, first=offset), 0.0)


def test_a_held_lane_takes_nothing_and_moves_past_nothing() -> None:
    """Events may be on their way to it when it is held: they come again once it is released."""
    made = lane(rule(rows=2))
    made.extend(events(3), 0.0)
    made.hold(1)
    made.extend(events(5, first=3), 0.0)
    made.advance(8)
    assert (made.size, made.position, made.due(1e9), made.deadline) == (0, 1, None, NEVER)
    made.release()
    made.extend(events(2, first=1), 0.0)
    assert offsets(made.take()) == [1, 2]


def test_a_lane_knows_when_its_oldest_open_event_was_written() -> None:
    """Or the last one taken; an event without a timestamp tells nothing."""
    made = lane(rule(rows=2))
    assert made.reached is None
    made.extend([PlainEvent(b"", offset=0, timestamp=(1, 7)), PlainEvent(b"", offset=1, timestamp=(1, 9))], 0.0)
    assert made.reached == 7
    made.take()
    assert made.reached == 9
    made.extend([PlainEvent(b"", offset=2)], 0.0)
    assert made.reached is None
