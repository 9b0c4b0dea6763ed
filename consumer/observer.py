"""The closed list of what happens in a worker: logs, figures, metrics and probes are all told the same."""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from consumer.broker import AbortedError
from consumer.hold import Hold
from consumer.lane import Reason
from consumer.types import DeadLetter, Filtered


class Change(StrEnum):
    """What a rebalance did with partitions."""

    ASSIGNED = "assigned"
    REVOKED = "revoked"
    LOST = "lost"


class Lag(msgspec.Struct, frozen=True):
    """How far a lane is behind.

    Attributes:
        events: between its position and the end of the partition, as far as that is known.
        reached: when its oldest event that is not enriched yet was written, else the last one that is: milliseconds
            since 1970, from the event; None where there is none.
    """

    events: int
    reached: int | None


class Observer(Protocol):
    """Is told what happens: once a batch, a checkpoint or a turn of the loop, never once a record.

    All on the worker's thread.
    """

    def joined(self) -> None:
        """The group has taken this worker in; told once."""

    def lanes(self, partitions: Collection[int], change: Change) -> None:
        """Partitions were assigned, revoked or lost."""

    def batch(self, partition: int, rows: int, letters: Sequence[DeadLetter], reason: Reason, seconds: float) -> None:
        """A batch was enriched in so many seconds; ``letters`` of its rows are dead letters."""

    def too_large(self, letters: Sequence[DeadLetter]) -> None:
        """Enriched records turned out too large to write, or were refused before: dead letters instead."""

    def filtered(self, results: Sequence[Filtered]) -> None:
        """Events of the batch were kept from the model, in a pipeline that has a filter."""

    def checkpoint(self, seconds: float) -> None:
        """A checkpoint made results durable."""

    def aborted(self, aborted: AbortedError) -> None:
        """What was written since the last checkpoint is undone."""

    def held(self, partition: int, position: int, hold: Hold) -> None:
        """A partition was stopped at a position."""

    def released(self, partition: int) -> None:
        """A partition that was held goes on."""

    def lag(self, lags: Mapping[int, Lag]) -> None:
        """How far each lane is behind; told about once a second."""

    def beat(self, now: float) -> None:
        """The loop came round at this monotonic second."""


class Observers:
    """Tells several observers, in order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def joined(self) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.joined()

    def lanes(self, partitions: Collection[int], change: Change) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.lanes(partitions, change)

    def batch(self, partition: int, rows: int, letters: Sequence[DeadLetter], reason: Reason, seconds: float) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.batch(partition, rows, letters, reason, seconds)

    def too_large(self, letters: Sequence[DeadLetter]) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.too_large(letters)

    def filtered(self, results: Sequence[Filtered]) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.filtered(results)

    def checkpoint(self, seconds: float) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.checkpoint(seconds)

    def aborted(self, aborted: AbortedError) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.aborted(aborted)

    def held(self, partition: int, position: int, hold: Hold) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.held(partition, position, hold)

    def released(self, partition: int) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.released(partition)

    def lag(self, lags: Mapping[int, Lag]) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.lag(lags)

    def beat(self, now: float) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.beat(now)
