"""The worker: one loop, one thread, one member of the group.

    poll; put events into lanes; enrich one lane that is due; write; checkpoint when it is due

It polls between any two batches, so that no batch, however slow the model, keeps it from its group for longer than
one batch takes. Whatever goes wrong with what was written ends in one of two ways: rewind, or the end of the process.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Final

from consumer.broker import AbortedError, Broker, EndOfInputError, NotRewoundError
from consumer.exits import HeldError
from consumer.holds import HoldRule, Holds
from consumer.lane import OPEN_BYTES, BatchRule, Lane, Reason
from consumer.observer import Change, Lag, Observer
from consumer.types import DeadLetter, Enriching, Event, Filtered, Notes, NotYetError, Positions, Result

# The longest wait in one poll, in seconds: how soon a signal is seen when nothing happens.
_IDLE: Final = 0.5
# How often an idle worker looks whether positions moved past markers, in seconds.
_SETTLE: Final = 1.0
# How often the observer is told of the lag, in seconds.
_TELL: Final = 1.0
# Pause after an abort, doubled each time up to the longest, in seconds.
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
# Events asked for at once, where batches are smaller.
_LEAST_POLL: Final = 64

_NONE: Final[Mapping[int, DeadLetter]] = {}

_deadline: Final = attrgetter("deadline")


class Worker:
    """Runs lanes between a broker and enrichers.

    Args:
        broker: not joined yet.
        enrichers: makes one for a lane.
        rule: when batches close.
        checkpoint: seconds from the start of one checkpoint to the next.
        drain: seconds that open batches may take once it is told to stop.
        observer: is told what happens.
        filters: whether events may be kept from the model, which is counted then.
        holds: when partitions are held; never, by default, but for records that the broker refuses.
        clock: monotonic seconds.
        sleep: waits, after an abort.
    """

    def __init__(
        self,
        broker: Broker,
        enrichers: Callable[[], Enriching],
        rule: BatchRule,
        *,
        checkpoint: float,
        drain: float,
        observer: Observer,
        filters: bool = False,
        holds: HoldRule | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._broker = broker
        self._make_enricher = enrichers
        self._rule = rule
        self._interval = checkpoint
        self._drain_limit = drain
        self._observer = observer
        self._filters = filters
        self._clock = clock
        self._sleep = sleep
        self._lanes: dict[int, Lane] = {}
        self._enrichers: dict[int, Enriching] = {}
        # Lanes that have had open events lately: of hundreds, most have none, and each turn looks at all of these.
        self._open: dict[int, Lane] = {}
        self._written = False
        self._checkpoint_at = clock() + checkpoint
        self._settle_at = self._checkpoint_at
        self._tell_at = clock()
        self._pause = _FIRST_PAUSE
        # Partitions to blame for aborts, until a rewind tells where they stand.
        self._culprits: set[int] = set()
        self._holds = Holds(holds or HoldRule(), broker, observer, clock)
        self._poll_limit = max(rule.rows, _LEAST_POLL)

    def run(self, stopping: Callable[[], bool]) -> None:
        """Work until ``stopping`` says so or the input ends; then drain, checkpoint and leave.

        Raises:
            FatalBrokerError: there is no going on; nothing was committed that is not durable.
            HeldError: a partition is held, and that was to end it.
        """
        self._broker.join(self)
        leaving = ""
        try:
            while not (leaving or stopping()):
                self._recovering(self.step)
                self._tell()
                leaving = self._holds.leaving
        except EndOfInputError:
            pass
        try:
            self._finish()
        except AbortedError as aborted:  # the next owner begins at what is committed: there is no going back for it
            self._observer.aborted(aborted)
        leaving = leaving or self._holds.leaving  # of what was open, too
        self._broker.close()
        if leaving:
            raise HeldError(leaving)

    def step(self) -> None:
        """Go round once."""
        now = self._clock()
        due = self._due(now)
        events = self._broker.poll(now if due else self._wake(now), 1 if self._full else self._poll_limit)
        now = self._clock()
        if events:
            self._take_in(events, now)
        self._holds.retry(self._lanes)
        lane = self._due(now)
        if lane is not None and (why := lane.due(now)) is not None:
            self._enrich(lane, why)
        self._checkpoint_if_due()

    # What the broker tells from inside poll.

    def joined(self) -> None:
        """Pass it on."""
        self._observer.joined()

    def assigned(self, positions: Positions, notes: Notes) -> None:
        """Open a lane for each partition."""
        for partition, position in positions.items():
            self._lanes[partition] = lane = Lane(partition, position, self._rule)
            self._holds.open(lane, notes.get(partition, ""))
        self._observer.lanes(positions.keys(), Change.ASSIGNED)

    def revoked(self, partitions: Collection[int]) -> None:
        """Checkpoint, then drop the lanes: what is open in them is the next owner's."""
        try:
            self._checkpoint()
        finally:
            self._drop(partitions)
            self._observer.lanes(partitions, Change.REVOKED)

    def lost(self, partitions: Collection[int]) -> None:
        """Drop the lanes; nothing of theirs may be committed."""
        self._drop(partitions)
        self._observer.lanes(partitions, Change.LOST)

    def stopped(self, partition: int, why: str) -> None:
        """Tell of a partition that the broker can't read on; what is open of it is enriched all the same."""
        if partition in self._lanes:
            self._holds.stopped(self._lanes[partition], why)

    # The loop's parts.

    def _take_in(self, events: Sequence[Event], now: float) -> None:
        partitions = [event.partition() for event in events]
        if partitions.count(partitions[0]) == len(partitions):  # as in a backlog: a fetch is of one partition
            self._extend(partitions[0], events, now)
            return
        placed = zip(partitions, events, strict=True)
        for partition, run in groupby(placed, key=itemgetter(0)):
            self._extend(partition, [event for _, event in run], now)

    def _extend(self, partition: int, events: Sequence[Event], now: float) -> None:
        self._open[partition] = lane = self._lanes[partition]
        lane.extend(events, now)

    @property
    def _full(self) -> bool:
        """Whether there is enough to do: one event a turn then keeps the group alive and memory bounded."""
        lanes = self._open.values()
        return any(lane.full for lane in lanes) or sum(lane.footprint for lane in lanes) >= OPEN_BYTES

    def _due(self, now: float) -> Lane | None:
        """Return the lane to serve next: of those that are due, the one whose oldest event has waited longest.

        A full lane does not go first: with a backlog it is full at every turn, and the others would never be served.
        """
        for partition in [partition for partition, lane in self._open.items() if not lane.size]:
            del self._open[partition]
        due = [lane for lane in self._open.values() if lane.full or lane.deadline <= now]
        return min(due, key=_deadline, default=None)

    def _wake(self, now: float) -> float:
        """Return until when the loop may sleep in a poll."""
        deadlines = [lane.deadline for lane in self._open.values()]
        if self._written:
            deadlines.append(self._checkpoint_at)
        return min([now + _IDLE, *deadlines])

    def _enrich(self, lane: Lane, why: Reason) -> None:
        began = self._clock()
        events = lane.take()
        try:
            results = self._enricher(lane.partition).enrich(events)
        except NotYetError as error:
            self._holds.unread(lane, events[0].offset(), str(error))
            return
        self._holds.read(lane.partition)
        now = self._clock()
        dead = _dead(results)
        trip = self._holds.foresee(lane, dead, now)
        if trip is not None:  # what comes after it is read again when the partition is released
            results = results[: trip.rows]
        letters = [result for result in results if type(result) is DeadLetter] if dead else []
        self._observer.batch(lane.partition, len(results), letters, why, now - began)
        self._written = True
        late = self._broker.write(results)
        if late:
            self._observer.too_large(late)
            dead = _dead(results, {letter.event.offset(): letter for letter in late})
        if self._filters:
            self._observer.filtered([r for row, r in enumerate(results) if type(r) is Filtered and row not in dead])
        self._holds.count(lane, results, dead, now, trip)

    def _enricher(self, partition: int) -> Enriching:
        """Return a lane's enricher, made with its first batch: one a turn of the loop, however many lanes came."""
        if partition not in self._enrichers:
            self._enrichers[partition] = self._make_enricher()
        return self._enrichers[partition]

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

    def _checkpoint(self, *, last: bool = False) -> None:
        began = self._clock()
        positions = {partition: lane.position for partition, lane in self._lanes.items()}
        durable = self._broker.checkpoint(positions, last=last)
        now = self._clock()
        # However slow the commit was, half the interval is for events.
        self._checkpoint_at = max(began + self._interval, now + self._interval / 2)
        if not durable:
            return
        if self._written:
            self._observer.checkpoint(now - began)
            self._pause = _FIRST_PAUSE
        self._holds.durable()
        self._written = False

    def _finish(self) -> None:
        """Enrich what is open, as long as there is time, and checkpoint. What is left will be read again."""
        deadline = self._clock() + self._drain_limit
        for lane in list(self._lanes.values()):
            while lane.size and self._clock() < deadline:
                self._enrich(lane, Reason.DRAIN)
                self._checkpoint_if_due()  # a slow model's drain takes longer than a transaction may
        self._checkpoint(last=True)

    def _drop(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._lanes.pop(partition, None)
            self._open.pop(partition, None)
            self._enrichers.pop(partition, None)
            self._culprits.discard(partition)
        self._holds.drop(partitions)

    def _tell(self) -> None:
        now = self._clock()
        self._observer.beat(now)
        if now >= self._tell_at:
            self._tell_at = now + _TELL
            ends = self._broker.ends()
            self._observer.lag(
                {
                    partition: Lag(max(0, ends[partition] - lane.position), lane.reached)
                    for partition, lane in self._lanes.items()
                    if partition in ends and lane.position >= 0  # it has none where nothing is committed any more
                }
            )

    # When what was written is undone.

    def _recovering(self, act: Callable[[], None]) -> None:
        try:
            act()
        except AbortedError as aborted:
            if not isinstance(aborted, NotRewoundError):
                self._observer.aborted(aborted)
            self._culprits |= aborted.culprits
            self._recovering(self._rewind)  # a lane that it lets go on may be lost by then

    def _rewind(self) -> None:
        self._written = False
        positions, notes = self._broker.rewind()
        for partition, position in positions.items():
            if partition in self._lanes:
                self._lanes[partition].restart(position)
        self._holds.undone(self._lanes, positions, notes)
        for partition in self._culprits & positions.keys() & self._lanes.keys():
            self._holds.refused(self._lanes[partition])
        self._culprits -= positions.keys()
        self._sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def _dead(results: Sequence[Result], late: Mapping[int, DeadLetter] = _NONE) -> dict[int, str]:
    """Return the rows that are dead letters, with their causes; ``late`` are those found in writing, by offset."""
    if not late:
        if DeadLetter not in map(type, results):
            return {}
        return {row: result.cause.code for row, result in enumerate(results) if type(result) is DeadLetter}
    told = [late.get(result.event.offset(), result) for result in results]
    return _dead(told)
