"""A broker in memory, with faults to order, and a clock that tests turn by hand."""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence

from consumer.broker import AbortedError, Assignment, EndOfInputError, NotRewoundError
from consumer.deadletter.causes import Code
from consumer.types import Cause, DeadLetter, Enriched, Event, Notes, PlainEvent, Positions, Result, Stage

_TOO_LARGE = Cause(Stage.WRITE, Code.TOO_LARGE, "larger than the topic takes")


class Clock:
    """Monotonic seconds that pass only when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def pass_to(self, moment: float) -> None:
        """Let time pass until ``moment``; never backwards."""
        self.now = max(self.now, moment)

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.now += seconds


class Topics:
    """What is durable: the input, what is committed, and what a read_committed reader sees.

    Attributes:
        events: partition -> events in order; offsets may have gaps.
        ends: partition -> the offset after the last record, markers included.
        committed: partition -> offset.
        notes: partition -> what was committed beside it.
        results: partition -> results in the order in which they became durable.
        commits: how many checkpoints changed anything.
    """

    def __init__(self) -> None:
        self.events: defaultdict[int, list[Event]] = defaultdict(list)
        self.ends: defaultdict[int, int] = defaultdict(int)
        self.committed: defaultdict[int, int] = defaultdict(int)
        self.notes: dict[int, str] = {}
        self.results: defaultdict[int, list[Result]] = defaultdict(list)
        self.commits = 0

    def add(self, partition: int, values: Iterable[bytes | None]) -> None:
        """Append events."""
        for value in values:
            event = PlainEvent(value, offset=self.ends[partition], partition=partition, topic="events")
            self.events[partition].append(event)
            self.ends[partition] += 1

    def add_marker(self, partition: int) -> None:
        """Append what takes an offset and is never handed out, as the end of a transaction does."""
        self.ends[partition] += 1

    def offsets(self, partition: int) -> list[int]:
        """Return the offsets of the durable results."""
        return [result.event.offset() for result in self.results[partition]]

    def unanswered(self, partition: int) -> list[int]:
        """Return the offsets before the committed one that have no durable result: always none."""
        answered = set(self.offsets(partition))
        before = [event.offset() for event in self.events[partition] if event.offset() < self.committed[partition]]
        return [offset for offset in before if offset not in answered]


class MemoryBroker:
    """A member of a group of one topic, with exactly-once checkpoints.

    Faults are ordered by ``assign``, ``revoke`` and ``lose`` (inside the next poll), by ``faults`` (the next writes,
    checkpoints or releases that are aborted, or checkpoints that went through though they are said to be: ``after``),
    by ``refusals`` (how many commits of positions a rebalance goes past, as it can ``at_least_once`` with results
    that stay), by ``halfway`` (how many rewinds move some partitions and fail), by ``stop`` (inside the next poll, a
    partition can't be read on), and by ``slow`` (seconds that the next write takes).

    Args:
        topics: shared by all members.
        clock: an idle poll passes its time.
        ends: whether the input is finite: at its end ``poll`` raises EndOfInputError.
        limit: the most bytes of an enriched record.
    """

    def __init__(
        self, topics: Topics, clock: Clock | None = None, *, ends: bool = False, limit: int | None = None
    ) -> None:
        self._topics = topics
        self._clock = clock or Clock()
        self._ends = ends
        self._limit = limit
        self._next: dict[int, int] = {}
        self._taken: set[int] = set()
        self._went: set[int] = set()
        self._pending: list[Result] = []
        self._changes: deque[Callable[[], None]] = deque()
        self.faults: defaultdict[str, deque[AbortedError]] = defaultdict(deque)
        self._undone = False
        self.refusals = 0
        self.halfway = 0
        self._to_stop: set[int] = set()
        self._stopped: set[int] = set()
        self.slow = 0.0
        self.at_least_once = False
        self.held: set[int] = set()
        self._notes: dict[int, str] = {}
        self._joined = False
        self.closed = False
        self.limits: list[int] = []
        self.rewinds = 0

    # What tests order.

    def assign(self, *partitions: int) -> None:
        """Give partitions, each at its committed offset, inside the next poll."""
        self._changes.append(lambda: self._assign(partitions))

    def revoke(self, *partitions: int) -> None:
        """Take partitions back inside the next poll."""
        self._changes.append(lambda: self._revoke(partitions))

    def lose(self, *partitions: int) -> None:
        """Give partitions to another at once; this member is told inside the next poll."""
        self._taken.update(partitions)
        self._changes.append(lambda: self._lose(partitions))

    def stop(self, partition: int) -> None:
        """Have a partition that this member has not be readable any more, as the next poll tells."""
        self._to_stop.update({partition} & self._next.keys())

    @property
    def owned(self) -> frozenset[int]:
        """The partitions that this member has."""
        return frozenset(self._next)

    @property
    def settled(self) -> bool:
        """Whether no rebalance is ordered and not yet done."""
        return not self._changes

    # What a worker asks.

    def join(self, assignment: Assignment) -> None:
        """Begin."""
        self._assignment = assignment

    def poll(self, until: float, limit: int) -> Sequence[Event]:
        """Return events, and do the rebalances that were ordered while these are on their way.

        As with Kafka's client: inside a rebalance, positions may be past events that have not been handed over, an
        abort destroys them, and those of partitions that go are left out.
        """
        self.limits.append(limit)
        while self._to_stop:
            self._stop(self._to_stop.pop())
        on_their_way = self._read(limit)
        self._went.clear()
        self._rebalance()
        events = [event for event in on_their_way if event.partition() not in self._went] or self._read(limit)
        if self._undone:  # some may have been moved by a rewind that failed
            events = []
        if not events:
            if self._ends:
                raise EndOfInputError
            self._clock.pass_to(until)
        return events

    def write(self, results: Sequence[Result]) -> Sequence[DeadLetter]:
        """Keep results until the checkpoint; what is too large becomes a dead letter."""
        if self._undone:
            raise NotRewoundError
        self._clock.sleep(self.slow)
        self.slow = 0.0
        self._fail("write")
        written = [self._fitting(result) for result in results]
        self._pending += written
        return [new for new, old in zip(written, results, strict=True) if type(new) is DeadLetter and new is not old]

    def positions(self) -> Positions:
        """Return what was read up to, past markers where no event is left."""
        return {
            partition: place if self._left(partition) else max(place, self._topics.ends[partition])
            for partition, place in self._next.items()
        }

    def checkpoint(self, positions: Positions, *, last: bool = False) -> bool:
        """Make results and positions durable together."""
        del last
        if self._undone:
            raise NotRewoundError
        notes = self._topics.notes
        changed = {
            p: at
            for p, at in positions.items()
            if (self._topics.committed[p], notes.get(p, "")) != (at, self._notes.get(p, ""))
        }
        if not changed and not self._pending:
            return True
        if self.refusals and (self.at_least_once or not self._pending):
            self.refusals -= 1
            self._deliver()
            return False
        if self._taken & positions.keys():
            raise self._undo(AbortedError("fenced: the group has moved on"))
        self._fail("checkpoint")
        self._deliver()
        self._topics.committed.update(changed)
        notes.update({p: self._notes.get(p, "") for p in changed})
        self._topics.commits += 1
        self._fail("after")
        return True

    def rewind(self) -> tuple[Positions, Notes]:
        """Go back to what is committed."""
        self.rewinds += 1
        places = {partition: self._topics.committed[partition] for partition in self._next}
        if self.halfway:
            self.halfway -= 1
            self._next.update(list(places.items())[::2])
            return {}, {}
        self._undone = False
        self._next = places
        return dict(self._next), {p: note for p in self._next if (note := self._topics.notes.get(p))}

    def ends(self) -> Positions:
        """Return where each partition ends."""
        return {partition: self._topics.ends[partition] for partition in self._next}

    def hold(self, partition: int, note: str = "") -> None:
        """Read no more of a partition."""
        self.held.add(partition)
        self._notes[partition] = note

    def release(self, partition: int, position: int) -> None:
        """Read on in a partition that was held."""
        self.held.discard(partition)
        self._notes.pop(partition, None)
        self._fail("release")
        if partition in self._stopped:
            self._stop(partition)
        self._next[partition] = position

    def close(self) -> None:
        """Leave; what was not checkpointed is undone."""
        self._pending.clear()
        self.closed = True

    # How.

    def _fitting(self, result: Result) -> Result:
        if self._limit is not None and isinstance(result, Enriched) and len(result.value) > self._limit:
            return DeadLetter(result.event, _TOO_LARGE)
        return result

    def _rebalance(self) -> None:
        failure: AbortedError | None = None
        while self._changes:
            try:
                self._changes.popleft()()
            except AbortedError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def _read(self, limit: int) -> list[Event]:
        events: list[Event] = []
        for partition in sorted(self._next):
            if partition not in self.held | self._stopped:
                taken = self._left(partition)[: limit - len(events)]
                if taken:
                    self._next[partition] = taken[-1].offset() + 1
                events += taken
        return events

    def _left(self, partition: int) -> list[Event]:
        return [event for event in self._topics.events[partition] if event.offset() >= self._next[partition]]

    def _fail(self, where: str) -> None:
        if self.faults[where]:
            raise self._undo(self.faults[where].popleft())

    def _deliver(self) -> None:
        for result in self._pending:
            self._topics.results[result.event.partition()].append(result)
        self._pending.clear()

    def _undo(self, error: AbortedError) -> AbortedError:
        self._pending.clear()
        self._undone = True
        return error

    def _assign(self, partitions: Collection[int]) -> None:
        positions = {partition: self._topics.committed[partition] for partition in partitions}
        self._next.update(positions)
        self.held.difference_update(partitions)
        if not self._joined:
            self._joined = True
            self._assignment.joined()
        self._assignment.assigned(positions, {p: note for p in partitions if (note := self._topics.notes.get(p))})

    def _stop(self, partition: int) -> None:
        self._stopped.add(partition)
        self._assignment.stopped(partition, "its offset is gone")

    def _revoke(self, partitions: Collection[int]) -> None:
        try:
            self._assignment.revoked(partitions)
        finally:
            self._drop(partitions)

    def _lose(self, partitions: Collection[int]) -> None:
        self._assignment.lost(partitions)
        self._taken.difference_update(partitions)
        self._drop(partitions)
        if self._pending:
            raise self._undo(AbortedError("partitions were lost with results pending"))

    def _drop(self, partitions: Collection[int]) -> None:
        self._went.update(partitions)
        for partition in partitions:
            self._next.pop(partition, None)
            self._notes.pop(partition, None)
            self.held.discard(partition)
            self._to_stop.discard(partition)
            self._stopped.discard(partition)
