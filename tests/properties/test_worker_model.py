"""Invariants 1 and 2 under random rebalances, losses and aborts, with two workers of one group."""

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from consumer.broker import AbortedError
from consumer.types import Event, PlainEvent
from consumer.worker import Worker
from tests.support.loops import worker
from tests.support.making import rule as batch_rule
from tests.support.memory import Clock, MemoryBroker, Topics

PARTITIONS = (0, 1, 2)
members = st.integers(0, 1)
partitions = st.sampled_from(PARTITIONS)


class Checked(Topics):
    """Topics that know what was once in them, to compare with."""

    def unfinished(self) -> bool:
        """Whether events are left whose results are not durable."""
        return any(self.committed[partition] < self.ends[partition] for partition in PARTITIONS)


class GroupMachine(RuleBasedStateMachine):
    """Two members share three partitions; each partition has one owner or none."""

    @initialize(rows=st.integers(1, 5), checkpoint=st.sampled_from([0.1, 1.0]))
    def begin(self, rows: int, checkpoint: float) -> None:
        """Start both, and give the first all partitions."""
        self.clock = Clock()
        self.topics = Checked()
        self.brokers = [MemoryBroker(self.topics, self.clock) for _ in range(2)]
        self.workers: list[Worker] = []
        for broker in self.brokers:
            made = worker(broker, self.clock, made=batch_rule(rows=rows), checkpoint=checkpoint)
            broker.join(made)
            self.workers.append(made)
        self.owners: dict[int, int] = dict.fromkeys(PARTITIONS, 0)
        self.brokers[0].assign(*PARTITIONS)

    @rule(partition=partitions, values=st.lists(st.sampled_from([b"good", b"bad", b""]), min_size=1, max_size=12))
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

    @rule(member=members, where=st.sampled_from(["write", "checkpoint"]))
    def abort(self, member: int, where: str) -> None:
        """The next write or checkpoint of a member is undone."""
        self.brokers[member].faults[where].append(AbortedError("ordered"))

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

    def teardown(self) -> None:
        """Left alone, the group gets everything done, markers included."""
        if not hasattr(self, "topics"):
            return
        for _ in range(400):
            if not self.topics.unfinished():
                break
            for member in (0, 1):
                self.steps(member, 1)
        for partition in PARTITIONS:
            assert self.topics.offsets(partition) == _offsets(self.topics.events[partition])
        self.invariant_1()


def _offsets(events: Sequence[Event]) -> list[int]:
    return [event.offset() for event in events if isinstance(event, PlainEvent)]


def test_invariant_2_each_result_once_in_order_whatever_happens() -> None:
    """Random events, polls, handovers, losses and aborts in two workers."""
    run_state_machine_as_test(GroupMachine, settings=settings(max_examples=300, stateful_step_count=30))
