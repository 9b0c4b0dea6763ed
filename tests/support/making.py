"""Short ways to make what tests are about."""

from collections.abc import Sequence

from consumer.lane import BatchRule
from consumer.types import PlainEvent


def event(offset: int, value: bytes = b"", partition: int = 0) -> PlainEvent:
    """Make an event."""
    return PlainEvent(value, offset=offset, partition=partition, topic="events")


def events(count: int, *, first: int = 0, size: int = 1, partition: int = 0) -> list[PlainEvent]:
    """Make events in a row, of ``size`` bytes each."""
    return [event(offset, b"x" * size, partition) for offset in range(first, first + count)]


def offsets(found: Sequence[object]) -> list[int]:
    """Return the offsets of events."""
    return [one.offset() for one in found if isinstance(one, PlainEvent)]


def rule(*, rows: int = 4, size: int = 1000, wait: float = 1.0, row_bytes: int = 0) -> BatchRule:
    """Make a batch rule; everything is far away that is not given."""
    return BatchRule(rows=rows, bytes=size, wait=wait, row_bytes=row_bytes)
