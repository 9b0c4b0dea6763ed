"""The figures of a run and what is told in the log: one observer, with a line a minute and one at the end."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import structlog

from consumer.broker import AbortedError
from consumer.hold import RELEASED_BY, Hold
from consumer.lane import Reason
from consumer.observer import Change, Lag
from consumer.types import DeadLetter, Filtered, Outcome, outcome

_EVERY: Final = 60.0

_log = structlog.get_logger()


class Figures:
    """Counts what a worker does; an observer of it.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = self._said = clock()
        self._said_events = 0
        self.events = 0
        self.dead: Counter[str] = Counter()
        self.apart: Counter[Outcome] = Counter()
        self.closed: Counter[str] = Counter()
        self.checkpoints = 0
        self.aborts = 0
        self._enrich_seconds = 0.0
        self._checkpoint_seconds = 0.0
        self._lanes: set[int] = set()
        self._held: set[int] = set()
        self._lag = 0

    def joined(self) -> None:
        """Log that the group has taken this worker in."""
        _log.info("joined the group")

    def batch(self, partition: int, rows: int, letters: Sequence[DeadLetter], reason: Reason, seconds: float) -> None:
        """Count a batch."""
        del partition
        self.events += rows
        self.closed[reason] += 1
        self._enrich_seconds += seconds
        self.dead.update(letter.cause.code for letter in letters)

    def too_large(self, letters: Sequence[DeadLetter]) -> None:
        """Count results that became dead letters when they were written."""
        self.dead.update(letter.cause.code for letter in letters)

    def filtered(self, results: Sequence[Filtered]) -> None:
        """Count events that the filter keeps from the model."""
        self.apart.update(outcome(result) for result in results)

    def checkpoint(self, seconds: float) -> None:
        """Count a checkpoint."""
        self.checkpoints += 1
        self._checkpoint_seconds += seconds

    def aborted(self, aborted: AbortedError) -> None:
        """Count and log an abort: what was counted since the last checkpoint will be counted again."""
        self.aborts += 1
        _log.warning(
            "rewound to the last checkpoint",
            why=str(aborted),
            kind=str(aborted.kind),
            culprits=sorted(aborted.culprits),
        )

    def held(self, partition: int, position: int, hold: Hold) -> None:
        """Log a partition that was stopped; the line that somebody should be woken for."""
        self._held.add(partition)
        cause = {"cause": hold.cause} if hold.cause else {}
        _log.error(
            "partition held",
            partition=partition,
            offset=position,
            kind=str(hold.kind),
            why=hold.why,
            **cause,
            released_by=RELEASED_BY[hold.kind],
        )

    def released(self, partition: int) -> None:
        """Log a partition that goes on."""
        self._held.discard(partition)
        _log.warning("partition released", partition=partition)

    def lanes(self, partitions: Collection[int], change: Change) -> None:
        """Log partitions that came or went."""
        if change is Change.ASSIGNED:
            self._lanes.update(partitions)
        else:
            self._lanes.difference_update(partitions)
            self._held.difference_update(partitions)
        _log.info(f"partitions {change}", partitions=sorted(partitions), lanes=len(self._lanes))

    def lag(self, lags: Mapping[int, Lag]) -> None:
        """Keep the sum, for the next line."""
        self._lag = sum(lag.events for lag in lags.values())

    def beat(self, now: float) -> None:
        """Log the figures once a minute."""
        if now - self._said < _EVERY:
            return
        rate = (self.events - self._said_events) / (now - self._said)
        self._said, self._said_events = now, self.events
        _log.info("figures", events_per_second=round(rate, 1), **self.summary())

    def summary(self) -> dict[str, Any]:
        """Return the figures since the start."""
        return {
            "events": self.events,
            "enriched": self.events - self.dead.total() - self.apart.total(),
            **{str(what): count for what, count in self.apart.items()},
            "dead_letters": {str(code): count for code, count in self.dead.items()},
            "batches": {str(reason): count for reason, count in self.closed.items()},
            "checkpoints": self.checkpoints,
            "aborts": self.aborts,
            "lanes": len(self._lanes),
            "lag": self._lag,
            "held": sorted(self._held),
            "enrich_seconds": round(self._enrich_seconds, 3),
            "checkpoint_seconds": round(self._checkpoint_seconds, 3),
            "seconds": round(self._clock() - self._started, 1),
        }
