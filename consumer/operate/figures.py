"""The figures of a run: told once a batch, logged once a minute and once at the end."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import structlog

from consumer.lane import Reason
from consumer.types import DeadLetter, Result

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
        self.closed: Counter[str] = Counter()
        self.checkpoints = 0
        self.aborts = 0
        self._enrich_seconds = 0.0
        self._checkpoint_seconds = 0.0
        self._lanes: set[int] = set()
        self._held: set[int] = set()

    def batch(self, partition: int, results: Sequence[Result], reason: Reason, seconds: float) -> None:
        """Count a batch."""
        del partition
        self.events += len(results)
        self.closed[reason] += 1
        self._enrich_seconds += seconds
        self.dead.update([result.cause.code for result in results if type(result) is DeadLetter])

    def too_large(self, letters: Sequence[DeadLetter]) -> None:
        """Count results that became dead letters when they were written."""
        self.dead.update(letter.cause.code for letter in letters)

    def checkpoint(self, seconds: float) -> None:
        """Count a checkpoint."""
        self.checkpoints += 1
        self._checkpoint_seconds += seconds

    def aborted(self, why: str, culprits: Collection[int]) -> None:
        """Count and log an abort: what was counted since the last checkpoint will be counted again."""
        self.aborts += 1
        _log.warning("rewound to the last checkpoint", why=why, culprits=sorted(culprits))

    def held(self, partition: int, position: int, why: str) -> None:
        """Log a partition that was stopped."""
        self._held.add(partition)
        _log.error("partition stopped", partition=partition, offset=position, why=why)

    def lanes(self, partitions: Collection[int], event: str) -> None:
        """Log partitions that came or went."""
        if event == "assigned":
            self._lanes.update(partitions)
        else:
            self._lanes.difference_update(partitions)
        self._held.difference_update(partitions)
        _log.info(f"partitions {event}", partitions=sorted(partitions), lanes=len(self._lanes))

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
            "enriched": self.events - self.dead.total(),
            "dead_letters": {str(code): count for code, count in self.dead.items()},
            "batches": {str(reason): count for reason, count in self.closed.items()},
            "checkpoints": self.checkpoints,
            "aborts": self.aborts,
            "lanes": len(self._lanes),
            "held": sorted(self._held),
            "enrich_seconds": round(self._enrich_seconds, 3),
            "checkpoint_seconds": round(self._checkpoint_seconds, 3),
            "seconds": round(self._clock() - self._started, 1),
        }
