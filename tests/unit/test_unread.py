"""Events that can't be read yet: their lane waits, the others go on, nothing is lost or a dead letter."""

import pytest

from consumer.broker import AbortedError
from consumer.types import Enriched
from consumer.worker import Worker
from tests.support.loops import Story, Unread, worker
from tests.support.making import rule
from tests.support.memory import Clock, MemoryBroker, Topics


class Member:
    """A worker of a group whose enrichers can't read `later` yet."""

    def __init__(self, topics: Topics, *partitions: int) -> None:
        self.clock, self.story, self.reader = Clock(), Story(), Unread()
        self.broker = MemoryBroker(topics, self.clock)
        self.worker: Worker = worker(
            self.broker,
            self.clock,
            made=rule(rows=4),
            checkpoint=0.1,
            story=self.story,
            enrichers=lambda: self.reader,
        )
        self.broker.join(self.worker)
        self.broker.assign(*partitions)

    def pass_seconds(self, seconds: float) -> None:
        """Go round for so long."""
        until = self.clock() + seconds
        while self.clock() < until:
            self.worker._recovering(self.worker.step)


@pytest.fixture
def topics() -> Topics:
    """A partition with an event that can't be read yet in its second batch, and one without."""
    made = Topics()
    made.add(0, [*[b"%d" % number for number in range(5)], b"later", b"6", b"7"])
    made.add(1, [b"%d" % number for number in range(50)])
    return made


def test_a_lane_waits_at_what_can_not_be_read_and_the_others_go_on(topics: Topics) -> None:
    """It is told once, however often it is tried again."""
    member = Member(topics, 0, 1)
    member.pass_seconds(60)
    assert (topics.committed[0], topics.committed[1]) == (4, 50)
    assert member.story.told("held") == ["held 0 at 4: the registry does not answer"]
    assert member.story.told("released") == []


def test_it_goes_on_within_seconds_of_the_answer(topics: Topics) -> None:
    """In order, once, and nothing is a dead letter."""
    member = Member(topics, 0)
    member.pass_seconds(100)
    member.reader.known = True
    member.pass_seconds(5.6)
    assert member.story.told("released") == ["released 0"]
    assert topics.offsets(0) == list(range(8))
    assert all(type(result) is Enriched for result in topics.results[0])
    assert (topics.committed[0], member.broker.held) == (8, set())


def test_a_first_wait_is_short(topics: Topics) -> None:
    """A schema that comes a little late costs half a second, not five; and the next outage begins anew."""
    member = Member(topics, 0)
    while not member.story.told("held"):
        member.worker.step()
    member.reader.known = True
    member.pass_seconds(0.7)
    assert topics.committed[0] == 8
    member.reader.known = False
    topics.add(0, [b"later"])
    while len(member.story.told("held")) == 1:
        member.worker.step()
    member.reader.known = True
    member.pass_seconds(1.6)
    assert topics.committed[0] == 9
    assert [line.split(" at ")[0] for line in member.story.lines if line.startswith(("held", "rel"))] == [
        "held 0",
        "released 0",
        "held 0",
        "released 0",
    ]


def test_a_rewind_meanwhile_loses_nothing(topics: Topics) -> None:
    """The other partition's trouble is not its own."""
    member = Member(topics, 0, 1)
    member.broker.faults["checkpoint"].append(AbortedError("the broker was away"))
    member.pass_seconds(20)
    member.reader.known = True
    member.pass_seconds(20)
    assert topics.offsets(0) == list(range(8))
    assert topics.offsets(1) == list(range(50))


def test_the_end_of_the_process_leaves_it_to_the_next(topics: Topics) -> None:
    """A drain does not wait for the registry."""
    member = Member(topics, 0)
    member.pass_seconds(3)
    member.worker._finish()
    assert topics.committed[0] == 4
    other = Member(topics, 0)
    other.reader.known = True
    other.pass_seconds(3)
    assert topics.offsets(0) == list(range(8))


def test_a_partition_that_is_taken_away_is_told_anew_by_its_next_owner(topics: Topics) -> None:
    """Nothing is noted beside the offset: whoever has the partition asks the registry."""
    member = Member(topics, 0)
    member.pass_seconds(3)
    member.broker.revoke(0)
    member.pass_seconds(10)
    other = Member(topics, 0)
    other.pass_seconds(3)
    assert other.story.told("held") == ["held 0 at 4: the registry does not answer"]


def test_an_answer_lets_nothing_go_whose_offset_is_gone_by_then(topics: Topics) -> None:
    """Retention has deleted what comes next: what is open is enriched, and the partition stays held, and told so."""
    member = Member(topics, 0)
    while not member.story.told("held"):
        member.worker.step()
    while member.worker._lanes[0].held:
        member.worker.step()
    member.reader.known = True
    member.worker._lanes[0].extend(topics.events[0][4:], member.clock())
    member.worker._open[0] = member.worker._lanes[0]
    member.worker.stopped(0, "retention")
    member.pass_seconds(3)
    assert topics.committed[0] == 8
    assert (member.story.told("held")[1:], member.story.told("released")) == (["held 0 at 8: retention"], [])


def test_a_partition_that_is_refused_meanwhile_waits_for_that(topics: Topics) -> None:
    """That it waits for the registry too is told again where it still does, when it is let go on."""
    member = Member(topics, 0)
    member.pass_seconds(3)
    for _ in range(3):
        member.worker._holds.refused(member.worker._lanes[0])
    assert member.story.told("held")[1:] == ["held 0 at 4: 3 aborts at one offset"]
    member.pass_seconds(62)
    assert member.story.told("released") == ["released 0"]
    assert member.story.told("held")[2:] == ["held 0 at 4: the registry does not answer"]
