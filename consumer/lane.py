"""A lane: the open batch and the positions of one assigned partition. It holds no model and knows no broker."""

from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from consumer.types import Event

NEVER: Final = float("inf")
# What lanes may hold together, in bytes, before a worker takes in one event a turn; and what an event takes beside
# its own bytes.
OPEN_BYTES: Final = 64 * 1024 * 1024
_EVENT_BYTES: Final = 512


class Reason(StrEnum):
    """Why a batch was closed; a label of its metric."""

    ROWS = "rows"
    TIME = "time"
    BYTES = "bytes"
    WAIT = "wait"
    DRAIN = "drain"


class BatchRule(msgspec.Struct, frozen=True):
    """When a batch closes: on the first of rows, bytes, and the wait counted from its first row.

    Attributes:
        rows: the most rows of a batch.
        bytes: the most bytes, of values and tensors; a single row may be larger.
        wait: seconds from the first row's arrival.
        row_bytes: tensor bytes of a row, counted for each.
        full: what a batch of ``rows`` is said to be closed by: rows, or time where time is what capped the rows.
    """

    rows: int
    bytes: int
    wait: float
    row_bytes: int = 0
    full: Reason = Reason.ROWS


class StaleEventError(AssertionError):
    """An event came from before the lane's position. librdkafka promises otherwise; going on would double it."""


class Lane:
    """The open batch of a partition.

    Args:
        partition: whose events these are.
        position: offset of the first event to come.
        rule: when a batch closes.
    """

    __slots__ = ("_arrivals", "_bytes", "_events", "_next", "_reached", "_rule", "_sizes", "held", "partition")

    def __init__(self, partition: int, position: int, rule: BatchRule) -> None:
        self.partition = partition
        self.held = False
        self._rule = rule
        self._reached: int | None = None
        self.restart(position)

    def restart(self, position: int) -> None:
        """Drop the open batch and expect the event at ``position``."""
        self._next = position
        self._events: list[Event] = []
        # Bytes of each open event: of a message they are asked for once.
        self._sizes: list[int] = []
        self._bytes = 0
        # (number of events, when they arrived), oldest first: the wait counts from a batch's own first row.
        self._arrivals: deque[tuple[int, float]] = deque()

    def hold(self, position: int) -> None:
        """Drop the open batch and stay at ``position``, whatever comes, until released."""
        self.held = True
        self.restart(position)

    def stop(self) -> None:
        """Take no more events and move past nothing; what is open is still to be enriched."""
        self.held = True

    def release(self) -> None:
        """Take events again, from where the lane was held."""
        self.held = False

    def extend(self, events: Sequence[Event], now: float) -> None:
        """Take events of this partition, in order; a held lane leaves them, to be read again.

        Raises:
            StaleEventError: the first is older than the lane's position.
        """
        if self.held:
            return
        first = events[0].offset()
        if first < self._next:
            raise StaleEventError(f"partition {self.partition}: offset {first} came after {self._next - 1}")
        self._next = events[-1].offset() + 1
        self._events += events
        sizes = list(map(len, events))
        self._sizes += sizes
        self._bytes += sum(sizes) + self._rule.row_bytes * len(events)
        self._arrivals.append((len(events), now))

    def advance(self, position: int) -> None:
        """Move past what holds no events (transaction markers, compacted records), where nothing is open."""
        if not self._events and position > self._next and not self.held:
            self._next = position

    @property
    def position(self) -> int:
        """Offset of the oldest open event; for an empty lane, of the next event to come."""
        return self._events[0].offset() if self._events else self._next

    @property
    def end(self) -> int:
        """Offset after the last open event; for an empty lane, of the next event to come."""
        return self._next

    @property
    def reached(self) -> int | None:
        """When the oldest open event was written, else the last one taken, in milliseconds since 1970."""
        if self._events:
            kind, milliseconds = self._events[0].timestamp()
            return milliseconds if kind else None
        return self._reached

    @property
    def size(self) -> int:
        """How many events are open."""
        return len(self._events)

    @property
    def footprint(self) -> int:
        """Bytes of memory that the open events take, about."""
        return self._bytes + _EVENT_BYTES * len(self._events)

    @property
    def deadline(self) -> float:
        """When the oldest open event has waited long enough."""
        return self._arrivals[0][1] + self._rule.wait if self._arrivals else NEVER

    @property
    def full(self) -> bool:
        """Whether a batch is due whatever the time."""
        return len(self._events) >= self._rule.rows or self._bytes >= self._rule.bytes

    def due(self, now: float) -> Reason | None:
        """Return why a batch is due, if it is."""
        if len(self._events) >= self._rule.rows:
            return self._rule.full if self._fitting() == self._rule.rows else Reason.BYTES
        if self._bytes >= self._rule.bytes:
            return Reason.BYTES
        return Reason.WAIT if now >= self.deadline else None

    def take(self) -> list[Event]:
        """Close a batch: the oldest open events, as many as the rule allows, at least one."""
        count = self._fitting()
        batch, self._events = self._events[:count], self._events[count:]
        sizes, self._sizes = self._sizes[:count], self._sizes[count:]
        self._bytes -= sum(sizes) + self._rule.row_bytes * count
        self._forget(count)
        kind, milliseconds = batch[-1].timestamp()
        self._reached = milliseconds if kind else None
        return batch

    def _fitting(self) -> int:
        """Return how many of the oldest events make a batch."""
        count = min(len(self._events), self._rule.rows)
        if self._bytes <= self._rule.bytes:
            return count
        total = 0
        for place, size in enumerate(self._sizes[:count]):
            total += size + self._rule.row_bytes
            if total > self._rule.bytes:
                return max(1, place)
        return count

    def _forget(self, count: int) -> None:
        while count:
            many, arrived = self._arrivals.popleft()
            if many > count:
                self._arrivals.appendleft((many - count, arrived))
                return
            count -= many
