"""Holding partitions, by a worker on a broker in memory."""

import pytest

from consumer.broker import AbortedError
from consumer.exits import HeldError
from consumer.guard import Limits
from consumer.hold import read_note
from consumer.holds import HoldRule
from consumer.worker import Worker
from tests.support.loops import Story, worker
from tests.support.making import rule
from tests.support.memory import Clock, MemoryBroker, Topics

RULE = HoldRule(Limits(in_a_row=3), serving="model@1")


class Member:
    """A worker of a group, with what it tells."""

    def __init__(self, topics: Topics, holds: HoldRule = RULE, *partitions: int) -> None:
        self.clock, self.story = Clock(), Story()
        self.broker = MemoryBroker(topics, self.clock, limit=100)
        self.worker: Worker = worker(
            self.broker, self.clock, made=rule(rows=4), checkpoint=0.1, story=self.story, holds=holds
        )
        self.broker.join(self.worker)
        self.broker.assign(*partitions or (0,))

    def steps(self, count: int = 30) -> None:
        """Go round, as `run` does."""
        for _ in range(count):
            self.worker._recovering(self.worker.step)
            self.worker._tell()


@pytest.fixture
def topics() -> Topics:
    """Two good events, many bad ones."""
    made = Topics()
    made.add(0, [b"1", b"2", *[b"bad"] * 20])
    return made


def test_invariant_5_past_the_guard_a_partition_is_held_at_exactly_its_limit(topics: Topics) -> None:
    """The dead letters up to the limit are written, nothing after them is, and the offset stays right there."""
    member = Member(topics)
    member.steps()
    assert (topics.offsets(0), topics.committed[0]) == ([0, 1, 2, 3, 4], 5)
    assert member.story.told("held") == ["held 0 at 5: 3 dead letters in a row"]
    assert member.broker.held == {0}
    assert member.story.lags[0].events == 17


def test_other_partitions_go_on(topics: Topics) -> None:
    """A guard is a partition's own."""
    topics.add(1, [b"%d" % number for number in range(50)])
    Member(topics, RULE, 0, 1).steps()
    assert (topics.committed[0], topics.committed[1]) == (5, 50)


def test_invariant_5_a_hold_outlives_its_worker(topics: Topics) -> None:
    """Whoever takes the partition with the same pipeline holds it at once: no takeover leaks another dead letter."""
    Member(topics).steps()
    successor = Member(topics)
    successor.steps()
    assert (topics.offsets(0), topics.committed[0]) == ([0, 1, 2, 3, 4], 5)
    told = successor.story.told("held")
    assert len(told) == 1
    assert told[0].startswith("held 0 at 5: 3 dead letters in a row, since 20")
    note = read_note(topics.notes[0])
    assert note is not None
    assert (note.by, note.cause) == ("model@1", "Malformed")


def test_another_pipeline_releases(topics: Topics) -> None:
    """One with another model, mapping or limits goes on where the old one stopped, and takes the note away."""
    Member(topics).steps()
    mended = Member(topics, HoldRule(Limits(), serving="model@2"))
    mended.steps()
    assert (topics.offsets(0), topics.committed[0]) == (list(range(22)), 22)
    assert (mended.story.told("released"), topics.notes[0]) == (["released 0"], "")


def test_release_lets_go_once(topics: Topics) -> None:
    """What is still bad is held again, three dead letters later, also when it comes back to the same worker."""
    Member(topics).steps()
    releasing = Member(topics, HoldRule(RULE.limits, serving=RULE.serving, release=True))
    releasing.steps()
    assert topics.committed[0] == 8
    releasing.broker.revoke(0)
    releasing.broker.assign(0)
    releasing.steps()
    assert (topics.committed[0], len(topics.results[0])) == (8, 8)


def test_a_hold_whose_dead_letters_were_undone_is_undone_too(topics: Topics) -> None:
    """Nobody would find its dead letters; they come again, and so does the hold."""
    member = Member(topics)
    member.broker.faults["checkpoint"].append(AbortedError("away"))
    member.steps()
    assert member.story.told("held") == ["held 0 at 5: 3 dead letters in a row"] * 2
    assert member.story.told("released") == ["released 0"]
    assert (topics.offsets(0), topics.committed[0]) == ([0, 1, 2, 3, 4], 5)


def test_a_hold_that_is_durable_outlives_a_later_abort(topics: Topics) -> None:
    """The other partitions' trouble does not let it go."""
    topics.add(1, [b"1", b"2", b"3"])
    member = Member(topics, RULE, 0, 1)
    member.steps()
    topics.add(1, [b"4"])
    member.broker.faults["checkpoint"].append(AbortedError("away"))
    member.steps()
    assert (topics.committed[0], topics.committed[1], member.broker.held) == (5, 4, {0})


def test_what_turns_out_too_large_counts_too() -> None:
    """It is known when it is written, so the batch that trips the guard is written whole."""
    topics = Topics()
    topics.add(0, [b"x" * 200] * 9)
    member = Member(topics)
    member.steps()
    assert (topics.committed[0], member.story.told("held")) == (4, ["held 0 at 4: 3 dead letters in a row"])


def test_when_held_exit_ends_the_run_once_the_hold_is_durable(topics: Topics) -> None:
    """With an error that names partition and reason; the other partitions are drained before."""
    topics.add(1, [b"1"] * 6)
    member = Member(topics, HoldRule(RULE.limits, serving=RULE.serving, leave=True), 0, 1)
    with pytest.raises(HeldError, match="partition 0 is held: 3 dead letters in a row"):
        member.worker.run(lambda: False)
    assert (topics.committed[0], topics.committed[1], member.broker.closed) == (5, 6, True)
    again = Member(topics, HoldRule(RULE.limits, serving=RULE.serving, leave=True))
    with pytest.raises(HeldError, match="since"):
        again.worker.run(lambda: False)
    assert topics.committed[0] == 5


def test_a_refused_record_is_tried_again_after_a_minute() -> None:
    """Its topic's settings may have been mended; till then the partition stands still, without a note."""
    topics = Topics()
    topics.add(0, [b"1"])
    member = Member(topics)
    member.broker.faults["checkpoint"].extend(AbortedError("refused", [0]) for _ in range(3))
    member.steps(12)
    assert (member.broker.held, topics.notes.get(0, "")) == ({0}, "")
    assert member.story.told("held") == ["held 0 at 0: 3 aborts at one offset"]
    member.clock.sleep(60)
    member.steps()
    assert (member.broker.held, topics.committed[0]) == (set(), 1)
