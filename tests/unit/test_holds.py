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


def test_a_release_that_was_lost_before_it_was_committed_is_not_used_up(topics: Topics) -> None:
    """The partition comes back as held as it was, and is released then."""
    Member(topics).steps()
    releasing = Member(topics, HoldRule(RULE.limits, serving=RULE.serving, release=True))
    releasing.broker.lose(0)
    releasing.broker.assign(0)
    releasing.steps()
    assert releasing.story.told("released") == ["released 0"] * 2
    assert topics.committed[0] == 8


def test_a_guard_that_trips_while_draining_ends_the_run_as_any(topics: Topics) -> None:
    """With when_held: exit, the code says that a partition is held."""
    member = Member(topics, HoldRule(RULE.limits, serving=RULE.serving, leave=True))
    stops = iter([False, True])
    with pytest.raises(HeldError, match="partition 0 is held: 3 dead letters in a row"):
        member.worker.run(lambda: next(stops))
    assert (topics.committed[0], member.broker.closed) == (5, True)


def test_a_hold_whose_dead_letters_were_undone_is_undone_too(topics: Topics) -> None:
    """Nobody would find its dead letters; they come again, and so does the hold."""
    member = Member(topics)
    member.broker.faults["checkpoint"].append(AbortedError("away"))
    member.steps()
    assert member.story.told("held") == ["held 0 at 5: 3 dead letters in a row"] * 2
    assert member.story.told("released") == ["released 0"]
    assert (topics.offsets(0), topics.committed[0]) == ([0, 1, 2, 3, 4], 5)


def test_a_lane_that_is_lost_when_it_is_let_go_on_is_rewound_like_any(topics: Topics) -> None:
    """Its client has died between two calls: an abort in the midst of a rewind is no end of the process."""
    member = Member(topics)
    member.broker.faults["checkpoint"].append(AbortedError("away"))
    member.broker.faults["release"].append(AbortedError("lost"))
    member.steps()
    assert [line.split()[1] for line in member.story.told("aborted")] == ["away", "lost"]
    assert (topics.offsets(0), topics.committed[0]) == ([0, 1, 2, 3, 4], 5)


def test_dead_letters_that_were_undone_are_not_counted_twice() -> None:
    """They come again, and would else make a row twice as long."""
    topics = Topics()
    topics.add(0, [b"bad", b"bad"])
    member = Member(topics)
    member.broker.faults["checkpoint"].append(AbortedError("away"))
    member.steps()
    assert (topics.committed[0], member.broker.held) == (2, set())


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
    member = refused(topics)
    assert (member.broker.held, topics.notes.get(0, "")) == ({0}, "")
    member.clock.sleep(60)
    member.steps()
    assert (member.broker.held, topics.committed[0]) == (set(), 1)


def test_a_partition_that_is_aborted_as_it_is_let_go_on_is_told_as_let_go() -> None:
    """It goes on after the rewind: probes that still tell of a hold would have somebody woken in vain."""
    member = refused(Topics())
    member.broker.faults["release"].append(AbortedError("lost"))
    member.clock.sleep(60)
    member.steps(1)
    assert [line.split()[0] for line in member.story.lines[-2:]] == ["released", "aborted"]


def test_a_partition_that_can_not_be_read_on_when_it_is_let_go_on_is_told_as_held() -> None:
    """Retention was faster than whoever mended the topic: it stands still, and must not look as if it went on."""
    member = refused(Topics())
    member.broker.stop(0)
    member.steps(1)
    member.clock.sleep(60)
    member.steps(1)
    assert member.story.told("held")[1:] == ["held 0 at 0: its offset is gone"]
    assert [line.split()[0] for line in member.story.lines[-2:]] == ["released", "held"]


def refused(topics: Topics) -> Member:
    """A member whose partition is held for a record that the broker refuses."""
    topics.add(0, [b"1"])
    member = Member(topics)
    member.broker.faults["checkpoint"].extend(AbortedError("refused", [0]) for _ in range(3))
    member.steps(12)
    assert member.story.told("held") == ["held 0 at 0: 3 aborts at one offset"]
    return member


def test_where_nothing_is_committed_any_more_there_is_no_lag(topics: Topics) -> None:
    """It can't be told how far behind a partition is that has no place to go on from."""
    topics.add(1, [b"1"])
    member = Member(topics, RULE, 0, 1)
    member.steps()
    member.worker._lanes[0].restart(-1001)
    member.worker._tell_at = 0.0
    member.worker._tell()
    assert member.story.lags.keys() == {1}


def test_what_was_cut_off_is_not_passed_over_however_long_the_write_takes() -> None:
    """A batch is cut and counted by one reading of the clock: between two, a letter may grow too old to count."""
    topics = Topics()
    topics.add(0, [b"bad"])
    member = Member(topics, HoldRule(Limits(per_minute=2), serving="model@1"))
    member.steps()
    written = member.worker._holds._guards[0]._letters[0].when
    member.clock.pass_to(written + 58)
    topics.add(0, [b"bad", b"1", b"2", b"3"])
    member.broker.slow = 5.0
    member.steps()
    assert (topics.offsets(0), topics.committed[0], member.broker.held) == ([0, 1], 2, {0})


def test_a_hold_that_was_committed_after_all_stays(topics: Topics) -> None:
    """A commit may go through though its producer never learns it; the committed note tells."""
    member = Member(topics)
    member.broker.faults["after"].append(AbortedError("worn out"))
    member.steps()
    assert (topics.committed[0], member.broker.held, member.story.told("released")) == (5, {0}, [])
    note = read_note(topics.notes[0])
    assert note is not None
    assert len(member.story.told("held")) == 1


def test_a_checkpoint_that_a_rebalance_went_past_makes_no_hold_durable(topics: Topics) -> None:
    """The process does not end for it yet, and an abort after it undoes it."""
    member = Member(topics, HoldRule(RULE.limits, serving=RULE.serving, leave=True))
    member.broker.refusals, member.broker.at_least_once = 1000, True
    member.steps()
    assert (member.story.told("held") != [], member.worker._holds.leaving) == (True, "")
    assert member.story.told("checkpoint") == []
    member.broker.refusals = 0
    member.steps()
    assert member.worker._holds.leaving != ""
    assert topics.committed[0] == 5


def test_a_partition_that_comes_back_begins_anew(topics: Topics) -> None:
    """With nothing of its former life: no hold of its own, no try to come, nothing that waits to be durable."""
    topics.add(1, [b"1"])
    member = Member(topics, RULE, 0, 1)
    member.broker.faults["checkpoint"].extend(AbortedError("refused", [1]) for _ in range(3))
    member.steps(20)
    assert 1 in member.worker._holds._retry_at
    member.broker.revoke(0, 1)
    member.steps(1)
    holds = member.worker._holds
    assert not holds._retry_at
    assert not holds._guarded
    assert not holds._fresh
    assert not holds._guards


def test_the_guard_remembers_what_is_durable_only() -> None:
    """Two that are durable, one that is undone and comes again: the third makes the row, and not the undone one."""
    topics = Topics()
    topics.add(0, [b"bad", b"bad"])
    member = Member(topics)
    member.steps()
    topics.add(0, [b"bad"])
    member.broker.faults["checkpoint"].append(AbortedError("away"))
    member.steps()
    assert (topics.committed[0], member.broker.held) == (3, {0})


def test_what_is_open_is_enriched_where_the_offset_behind_it_is_gone() -> None:
    """It has been read: only what comes after it can't be."""
    topics = Topics()
    topics.add(0, [b"1", b"2"])
    member = Member(topics)
    member.steps(1)
    member.worker.stopped(0, "retention")
    assert member.story.told("held") == ["held 0 at 2: retention"]
    member.steps()
    assert (topics.offsets(0), topics.committed[0]) == ([0, 1], 2)


def test_a_hold_is_not_overwritten_where_its_offset_is_gone_too(topics: Topics) -> None:
    """Retention may pass a partition that is held for days: why it was held is what is told, and kept."""
    member = Member(topics)
    member.steps()
    member.worker.stopped(0, "retention")
    assert member.story.told("held") == ["held 0 at 5: 3 dead letters in a row"]
