"""What can be seen of a worker from outside: kept by its own thread, read by the probes and the metrics."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import msgspec

from consumer.broker import AbortedError
from consumer.hold import Hold
from consumer.lane import Reason
from consumer.observer import Change, Lag
from consumer.operate.pulse import Doing, Pulse
from consumer.types import DeadLetter, Filtered

T = TypeVar("T")


class Holding(msgspec.Struct, frozen=True):
    """A partition that is held.

    Attributes:
        offset: where it stands.
        hold: why.
        since: monotonic seconds; of this worker, which may have found it held.
    """

    offset: int
    hold: Hold
    since: float


class Vitals(msgspec.Struct, frozen=True):
    """A worker at one moment. All times are seconds ago.

    Attributes:
        live: whether nothing is stuck.
        joined: whether the group has taken it in, once.
        draining: whether it was told to stop.
        doing: what its thread is at, and for how long.
        waiting: what it waits for from a broker, and for how long.
        lanes: its partitions, in order.
        held: those of them that are stopped.
        lags: events and seconds that each lane is behind.
        checkpoint: since results were last made durable; None before.
        loop: since the loop came round, or the start.
        age: since the start.
    """

    live: bool
    joined: bool
    draining: bool
    doing: tuple[Doing, float]
    waiting: tuple[str, float] | None
    lanes: tuple[int, ...]
    held: Mapping[int, tuple[Holding, float]]
    lags: Mapping[int, tuple[int, float]]
    checkpoint: float | None
    loop: float
    age: float

    @property
    def ready(self) -> bool:
        """Whether it does its share of the work: a spare worker without partitions does too."""
        return self.joined and not self.draining


class Watcher:
    """An observer that knows what the probes ask for.

    What several partitions share is replaced whole and never changed, so that other threads read it without a lock.

    Args:
        pulse: what the worker's thread is at.
        draining: whether the process was told to stop.
        clock: monotonic seconds.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        pulse: Pulse,
        draining: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._pulse = pulse
        self._draining = draining
        self._clock = clock
        self._wall = wall
        self._started = self._beat = clock()
        self._joined = False
        self._checkpoint: float | None = None
        self._lanes: frozenset[int] = frozenset()
        self._held: Mapping[int, Holding] = {}
        self._lags: Mapping[int, Lag] = {}

    def vitals(self) -> Vitals:
        """Return how the worker is now."""
        now, held, checkpoint = self._clock(), self._held, self._checkpoint
        return Vitals(
            live=not self._pulse.stuck,
            joined=self._joined,
            draining=self._draining(),
            doing=self._pulse.doing,
            waiting=self._pulse.waiting,
            lanes=tuple(sorted(self._lanes)),
            held={partition: (held[partition], now - held[partition].since) for partition in sorted(held)},
            lags={partition: (lag.events, self._behind(lag)) for partition, lag in sorted(self._lags.items())},
            checkpoint=None if checkpoint is None else now - checkpoint,
            loop=now - self._beat,
            age=now - self._started,
        )

    def _behind(self, lag: Lag) -> float:
        """Return the age of the oldest event to come: computed when asked, it grows also while nothing moves."""
        if lag.events <= 0 or lag.reached is None:
            return 0.0
        return max(0.0, self._wall() - lag.reached / 1000)

    # What the worker tells.

    def joined(self) -> None:
        """Remember it."""
        self._joined = True

    def lanes(self, partitions: Collection[int], change: Change) -> None:
        """Know the lanes. One that comes may have been told as held already: by a note of its earlier owner."""
        if change is Change.ASSIGNED:
            self._lanes |= frozenset(partitions)
            return
        gone = frozenset(partitions)
        self._lanes -= gone
        self._held = _without(self._held, gone)
        self._lags = _without(self._lags, gone)

    def held(self, partition: int, position: int, hold: Hold) -> None:
        """Know a held partition."""
        self._held = {**self._held, partition: Holding(position, hold, self._clock())}

    def released(self, partition: int) -> None:
        """Forget a held partition."""
        self._held = _without(self._held, {partition})

    def lag(self, lags: Mapping[int, Lag]) -> None:
        """Know the lags."""
        self._lags = dict(lags)

    def checkpoint(self, seconds: float) -> None:
        """Know when it was."""
        del seconds
        self._checkpoint = self._clock()

    def beat(self, now: float) -> None:
        """Know when it was."""
        self._beat = now

    def batch(self, partition: int, rows: int, letters: Sequence[DeadLetter], reason: Reason, seconds: float) -> None:
        """Nothing to see from outside."""

    def too_large(self, letters: Sequence[DeadLetter]) -> None:
        """Nothing to see from outside."""

    def filtered(self, results: Sequence[Filtered]) -> None:
        """Nothing to see from outside."""

    def aborted(self, aborted: AbortedError) -> None:
        """Nothing to see from outside."""


def _without(known: Mapping[int, T], gone: Collection[int]) -> Mapping[int, T]:
    return {partition: value for partition, value in known.items() if partition not in gone}
