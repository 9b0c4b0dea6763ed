"""The worker: one loop, one thread, one member of the group.

    poll; put events into lanes; enrich one lane that is due; write; checkpoint when it is due

It polls between any two batches, so that no batch, however slow the model, keeps it from its group for longer than
one batch takes. Whatever goes wrong with what was written ends in one of two ways: rewind, or the end of the process.
"""

import time
from collections.abc import Callable, Collection, Sequence
from itertools import groupby
from operator import attrgetter, methodcaller
from typing import Final, Protocol

from consumer.broker import AbortedError, Broker, EndOfInputError
from consumer.lane import BatchRule, Lane, Reason
from consumer.types import DeadLetter, Event, Positions, Result

# The longest wait in one poll, in seconds: how soon a signal is seen when nothing happens.
_IDLE: Final = 0.5
# How often an idle worker looks whether positions moved past markers, in seconds.
_SETTLE: Final = 1.0
# Pause after an abort, doubled each time up to the longest, in seconds.
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
# A record that was refused so often at one offset is not going to be taken.
_ABORTS: Final = 3
# Events asked for at once, where batches are smaller.
_LEAST_POLL: Final = 64

_partition: Final = methodcaller("partition")
_deadline: Final = attrgetter("deadline")


class Enricher(Protocol):
    """Turns events into results; see ``consumer.enrich``."""

    def enrich(self, events: Sequence[Event]) -> list[Result]:
        """Return one result an event, in order."""
        ...


class Observer(Protocol):
    """Is told what happens: once a batch and once a checkpoint, never once a record."""

    def batch(self, partition: int, results: Sequence[Result], reason: Reason, seconds: float) -> None:
        """A batch was enriched."""
        ...

    def too_large(self, letters: Sequence[DeadLetter]) -> None:
        """Results turned out too large to write."""
        ...

    def checkpoint(self, seconds: float) -> None:
        """A checkpoint was made, or found nothing to do."""
        ...

    def aborted(self, why: str, culprits: Collection[int]) -> None:
        """What was written since the last checkpoint is undone."""
        ...

    def held(self, partition: int, position: int, why: str) -> None:
        """A partition was stopped."""
        ...

    def lanes(self, partitions: Collection[int], event: str) -> None:
        """Partitions were assigned, revoked or lost."""
        ...

    def beat(self, now: float) -> None:
        """The loop came round."""
        ...


class Worker:
    """Runs lanes between a broker and enrichers.

    Args:
        broker: not joined yet.
        enrichers: makes one for a lane.
        rule: when batches close.
        checkpoint: seconds between the end of one checkpoint and the next.
        drain: seconds that open batches may take once it is told to stop.
        observer: is told what happens.
        clock: monotonic seconds.
        sleep: waits, after an abort.
    """

    def __init__(
        self,
        broker: Broker,
        enrichers: Callable[[], Enricher],
        rule: BatchRule,
        *,
        checkpoint: float,
        drain: float,
        observer: Observer,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._broker = broker
        self._make_enricher = enrichers
        self._rule = rule
        self._interval = checkpoint
        self._drain_limit = drain
        self._observer = observer
        self._clock = clock
        self._sleep = sleep
        self._lanes: dict[int, Lane] = {}
        self._enrichers: dict[int, Enricher] = {}
        self._written = False
        self._checkpoint_at = clock() + checkpoint
        self._settle_at = self._checkpoint_at
        self._pause = _FIRST_PAUSE
        # Partition -> (committed offset, aborts there that its own records caused).
        self._aborts: dict[int, tuple[int, int]] = {}
        self._poll_limit = max(rule.rows, _LEAST_POLL)

    def run(self, stopping: Callable[[], bool]) -> None:
        """Work until ``stopping`` says so or the input ends; then drain, checkpoint and leave.

        Raises:
            FatalBrokerError: there is no going on; nothing was committed that is not durable.
        """
        self._broker.join(self)
        try:
            while not stopping():
                self._recovering(self.step)
                self._observer.beat(self._clock())
        except EndOfInputError:
            pass
        self._recovering(self._finish)
        self._broker.close()

    def step(self) -> None:
        """Go round once."""
        now = self._clock()
        due = self._due(now)
        # With a full batch waiting, one event keeps the group alive and memory bounded.
        full = any(lane.full for lane in self._lanes.values())
        events = self._broker.poll(now if due else self._wake(now), 1 if full else self._poll_limit)
        now = self._clock()
        self._equip()
        if events:
            self._take_in(events, now)
        lane = self._due(now)
        if lane is not None and (why := lane.due(now)) is not None:
            self._enrich(lane, why)
        self._checkpoint_if_due()

    # What the broker tells from inside poll.

    def assigned(self, positions: Positions) -> None:
        """Open a lane for each partition."""
        for partition, position in positions.items():
            self._lanes[partition] = Lane(partition, position, self._rule)
        self._observer.lanes(positions.keys(), "assigned")

    def revoked(self, partitions: Collection[int]) -> None:
        """Checkpoint, then drop the lanes: what is open in them is the next owner's."""
        try:
            self._checkpoint()
        finally:
            self._drop(partitions)
            self._observer.lanes(partitions, "revoked")

    def lost(self, partitions: Collection[int]) -> None:
        """Drop the lanes; nothing of theirs may be committed."""
        self._drop(partitions)
        self._observer.lanes(partitions, "lost")

    def stopped(self, partition: int, why: str) -> None:
        """Tell of a partition that the broker can't read on."""
        lane = self._lanes.get(partition)
        if lane is not None:
            self._observer.held(partition, lane.position, why)

    # The loop's parts.

    def _take_in(self, events: Sequence[Event], now: float) -> None:
        partitions = list(map(_partition, events))
        if partitions.count(partitions[0]) == len(partitions):  # as in a backlog: a fetch is of one partition
            self._lanes[partitions[0]].extend(events, now)
            return
        for partition, run in groupby(events, key=_partition):
            self._lanes[partition].extend(list(run), now)

    def _due(self, now: float) -> Lane | None:
        """Return the lane to serve next: of those that are due, the one whose oldest event has waited longest.

        A full lane does not go first: with a backlog it is full at every turn, and the others would never be served.
        """
        due = [lane for lane in self._lanes.values() if lane.full or lane.deadline <= now]
        return min(due, key=_deadline, default=None)

    def _wake(self, now: float) -> float:
        """Return until when the loop may sleep in a poll."""
        deadlines = [lane.deadline for lane in self._lanes.values()]
        if self._written:
            deadlines.append(self._checkpoint_at)
        return min([now + _IDLE, *deadlines])

    def _enrich(self, lane: Lane, why: Reason) -> None:
        began = self._clock()
        events = lane.take()
        results = self._enrichers[lane.partition].enrich(events)
        self._observer.batch(lane.partition, results, why, self._clock() - began)
        self._written = True
        too_large = self._broker.write(results)
        if too_large:
            self._observer.too_large(too_large)

    def _equip(self) -> None:
        """Make an enricher for each lane that came, outside the callback that told of it."""
        if len(self._enrichers) < len(self._lanes):
            for partition in self._lanes.keys() - self._enrichers.keys():
                self._enrichers[partition] = self._make_enricher()

    def _checkpoint_if_due(self) -> None:
        now = self._clock()
        if self._written and now >= self._checkpoint_at:
            self._settle()
            self._checkpoint()
        elif not self._written and now >= self._settle_at:
            self._settle_at = now + _SETTLE
            self._settle()
            self._checkpoint()

    def _settle(self) -> None:
        """Move empty lanes past transaction markers, so that an idle group shows no lag.

        Never inside a poll: there the client's position may be past events that have not been handed over.
        """
        for partition, position in self._broker.positions().items():
            if partition in self._lanes:
                self._lanes[partition].advance(position)

    def _checkpoint(self) -> None:
        began = self._clock()
        self._broker.checkpoint({partition: lane.position for partition, lane in self._lanes.items()})
        now = self._clock()
        if self._written:
            self._observer.checkpoint(now - began)
            self._pause = _FIRST_PAUSE
        self._written = False
        self._checkpoint_at = now + self._interval

    def _finish(self) -> None:
        """Enrich what is open, as long as there is time, and checkpoint. What is left will be read again."""
        deadline = self._clock() + self._drain_limit
        for lane in list(self._lanes.values()):
            while lane.size and self._clock() < deadline:
                self._enrich(lane, Reason.DRAIN)
                self._checkpoint_if_due()  # a slow model's drain takes longer than a transaction may
        self._checkpoint()

    def _drop(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._lanes.pop(partition, None)
            self._enrichers.pop(partition, None)
            self._aborts.pop(partition, None)

    # When what was written is undone.

    def _recovering(self, act: Callable[[], None]) -> None:
        try:
            act()
        except AbortedError as aborted:
            self._observer.aborted(str(aborted), aborted.culprits)
            self._rewind(aborted.culprits)

    def _rewind(self, culprits: Collection[int]) -> None:
        self._written = False
        for partition, position in self._broker.rewind().items():
            if partition in self._lanes:
                self._lanes[partition].restart(position)
        for partition in culprits:
            self._count_abort(partition)
        self._sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _count_abort(self, partition: int) -> None:
        """Stop a partition whose record is refused again and again, rather than spin."""
        lane = self._lanes.get(partition)
        if lane is None:
            return
        offset, aborts = self._aborts.get(partition, (lane.position, 0))
        aborts = aborts + 1 if offset == lane.position else 1
        self._aborts[partition] = (lane.position, aborts)
        if aborts >= _ABORTS:
            self._broker.hold(partition)
            self._observer.held(partition, lane.position, f"{aborts} aborts at one offset")
