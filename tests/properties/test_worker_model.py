"""Invariants 1 and 2 under random rebalances, losses and aborts, with two workers of one group."""

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from consumer.broker import AbortedError
from consumer.guard import Limits
from consumer.holds import HoldRule
from consumer.operate.pulse import Pulse
from consumer.operate.vitals import Watcher
from consumer.types import Event, PlainEvent
from consumer.worker import Worker
from tests.support.loops import Unread, worker
from tests.support.making import rule as batch_rule
from tests.support.memory import Clock, MemoryBroker, Topics

PARTITIONS = (0, 1, 2)
VALUES = (b"good", b"bad", b"", b"later")
members = st.integers(0, 1)
partitions = st.sampled_from(PARTITIONS)


class Checked(Topics):
    """Topics that know what was once in them, to compare with."""

    def unfinished(self) -> bool:
        """Whether events are left whose results are not durable."""
        return any(self.committed[partition] < self.ends[partition] for partition in PARTITIONS)


class GroupMachine(RuleBasedStateMachine):
    """Two members share three partitions; each partition has one owner or none."""

    holds = HoldRule()

    @initialize(rows=st.integers(1, 5), checkpoint=st.sampled_from([0.1, 1.0]))
    def begin(self, rows: int, checkpoint: float) -> None:
        """Start both, and give the first all partitions."""
        self.clock = Clock()
        self.topics = Checked()
        self.brokers = [MemoryBroker(self.topics, self.clock) for _ in range(2)]
        self.workers: list[Worker] = []
        self.watchers: list[Watcher] = []
        self.readers: list[Unread] = []
        for broker in self.brokers:
            watcher, reader = Watcher(Pulse(60), lambda: False, self.clock), Unread()
            made = worker(
                broker,
                self.clock,
                made=batch_rule(rows=rows),
                checkpoint=checkpoint,
                holds=self.holds,
                story=watcher,
                enrichers=lambda reader=reader: reader,  # type: ignore[misc]
            )
            broker.join(made)
            self.workers.append(made)
            self.watchers.append(watcher)
            self.readers.append(reader)
        self.owners: dict[int, int] = dict.fromkeys(PARTITIONS, 0)
        self.brokers[0].assign(*PARTITIONS)

    @rule(
        partition=partitions,
        values=st.lists(st.sampled_from([b"good", b"bad", b"", b"later"]), min_size=1, max_size=12),
    )
    def add(self, partition: int, values: Sequence[bytes]) -> None:
        """Events come."""
        self.topics.add(partition, values)

    @rule(partition=partitions)
    def add_marker(self, partition: int) -> None:
        """A transaction of someone else ends."""
        self.topics.add_marker(partition)

    @rule(member=members, count=st.integers(1, 6))
    def steps(self, member: int, count: int) -> None:
        """A member goes round."""
        for _ in range(count):
            self.workers[member]._recovering(self.workers[member].step)

    @rule(seconds=st.floats(0, 2))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.sleep(seconds)

    @rule(partition=partitions)
    def hand_over(self, partition: int) -> None:
        """A partition moves: its owner gives it back inside a poll before the other gets it."""
        owner = self.owners[partition]
        self.brokers[owner].revoke(partition)
        self.steps(owner, 1)
        self._give(partition, 1 - owner)

    @rule(partition=partitions)
    def take_away(self, partition: int) -> None:
        """A partition is another's before its owner knows."""
        owner = self.owners[partition]
        self.steps(owner, 1)  # what was assigned has arrived
        self.brokers[owner].lose(partition)
        self._give(partition, 1 - owner)

    @rule(member=members, where=st.sampled_from(["write", "checkpoint", "after", "release"]))
    def abort(self, member: int, where: str) -> None:
        """The next write, checkpoint or release of a member is undone, or goes through though it is told to be."""
        self.brokers[member].faults[where].append(AbortedError("ordered"))

    @rule(partition=partitions, times=st.integers(1, 4))
    def refuse_record(self, partition: int, times: int) -> None:
        """The next checkpoints of a partition's owner are undone for a record of it that is refused."""
        refusals = [AbortedError("ordered", [partition]) for _ in range(times)]
        self.brokers[self.owners[partition]].faults["checkpoint"].extend(refusals)

    @rule(member=members)
    def fail_halfway(self, member: int) -> None:
        """The next rewind of a member moves some of its partitions, and fails."""
        self.brokers[member].halfway += 1

    @rule(partition=partitions)
    def delete(self, partition: int) -> None:
        """What comes next in a partition is gone: its owner can't read on in it."""
        self.brokers[self.owners[partition]].stop(partition)

    @rule(member=members)
    def answer(self, member: int) -> None:
        """The registry begins to answer a member, or ceases to."""
        self.readers[member].known = not self.readers[member].known

    @rule(member=members)
    def refuse(self, member: int) -> None:
        """A rebalance goes past a member's next checkpoint."""
        self.brokers[member].refusals += 1

    @rule(member=members, seconds=st.floats(0, 70))
    def write_slowly(self, member: int, seconds: float) -> None:
        """The next write of a member takes long."""
        self.brokers[member].slow = seconds

    def _give(self, partition: int, member: int) -> None:
        self.owners[partition] = member
        self.brokers[member].assign(partition)

    @invariant()
    def invariant_1(self) -> None:
        """Nothing is committed whose result is not durable."""
        if hasattr(self, "topics"):
            assert not any(self.topics.unanswered(partition) for partition in PARTITIONS)

    @invariant()
    def invariant_2(self) -> None:
        """What a read_committed reader sees are the results of the first events, each once, in order."""
        if hasattr(self, "topics"):
            for partition in PARTITIONS:
                found = self.topics.offsets(partition)
                assert found == _offsets(self.topics.events[partition])[: len(found)]

    @invariant()
    def probes_tell_what_is_held(self) -> None:
        """And nothing else is: but what waits for the registry counts as held also while it is tried again."""
        for made, watcher in zip(self.workers, self.watchers, strict=True) if hasattr(self, "topics") else ():
            told, held = watcher.vitals().held.keys(), {p for p, lane in made._lanes.items() if lane.held}
            assert held <= told
            assert told - held <= made._holds._unread.keys()

    def teardown(self) -> None:
        """Left alone, the group gets everything done, markers included."""
        if not hasattr(self, "topics"):
            return
        for reader, broker in zip(self.readers, self.brokers, strict=True):
            reader.known = True
            broker.faults.clear()  # what is refused again and again is tried each minute
        for partition in PARTITIONS:  # to one who finds its offset
            self.hand_over(partition)
        for _ in range(400):
            if not self.topics.unfinished():
                break
            for member in (0, 1):
                self.steps(member, 1)
        for partition in PARTITIONS:
            assert self.topics.offsets(partition) == _offsets(self.topics.events[partition])
        self.invariant_1()


class HeldGroupMachine(GroupMachine):
    """The same with guards that trip soon."""

    holds = HoldRule(Limits(in_a_row=2, per_minute=3), serving="model@1")

    def __init__(self) -> None:
        super().__init__()
        # Partition -> how many results it had when a hold was first found committed.
        self.stopped_at: dict[int, int] = {}

    @invariant()
    def invariant_5(self) -> None:
        """Once a hold is committed nothing more of its partition is, whoever has it."""
        if hasattr(self, "topics"):
            for partition in PARTITIONS:
                found = len(self.topics.results[partition])
                if self.topics.notes.get(partition):
                    assert self.stopped_at.setdefault(partition, found) == found
                else:
                    assert partition not in self.stopped_at

    def teardown(self) -> None:
        """A mended pipeline gets everything done: nothing was passed over."""
        if not hasattr(self, "topics"):
            return
        for member, broker in enumerate(self.brokers):
            while not broker.settled:
                self.steps(member, 1)
            broker.revoke(*broker.owned)
            self.steps(member, 20)
        broker = MemoryBroker(self.topics, self.clock)
        mended = worker(broker, self.clock, made=batch_rule(rows=5), checkpoint=0.1)
        broker.join(mended)
        broker.assign(*PARTITIONS)
        self.workers, self.brokers = [mended, mended], [broker, broker]
        self.owners = dict.fromkeys(PARTITIONS, 0)
        super().teardown()


def _offsets(events: Sequence[Event]) -> list[int]:
    return [event.offset() for event in events if isinstance(event, PlainEvent)]


def test_invariant_2_each_result_once_in_order_whatever_happens() -> None:
    """Random events, polls, handovers, losses and aborts in two workers."""
    run_state_machine_as_test(GroupMachine, settings=settings(max_examples=300, stateful_step_count=30))


def test_invariant_5_a_hold_is_kept_and_nothing_is_passed_over_whatever_happens() -> None:
    """The same with guards, slow writes, and commits that went through or were refused without a word."""
    run_state_machine_as_test(HeldGroupMachine, settings=settings(max_examples=300, stateful_step_count=30))
