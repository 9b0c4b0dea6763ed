"""The worker's loop, on a broker in memory and a clock that is turned by hand."""

from collections.abc import Callable
from functools import partial

import pytest

from consumer.broker import AbortedError
from consumer.types import DeadLetter, PlainEvent, Positions
from consumer.worker import Worker
from tests.support.loops import Echo, Story, worker
from tests.support.making import offsets, rule
from tests.support.memory import Clock, MemoryBroker, Topics


class Scene:
    """A worker that has joined, with everything around it; partition 0 is assigned at the first poll."""

    def __init__(self, *, partitions: tuple[int, ...] = (0,), rows: int = 4, checkpoint: float = 1.0) -> None:
        self.clock = Clock()
        self.topics = Topics()
        self.broker = MemoryBroker(self.topics, self.clock)
        self.story = Story()
        self.enrichers: list[Echo] = []
        self.worker: Worker = worker(
            self.broker,
            self.clock,
            made=rule(rows=rows),
            checkpoint=checkpoint,
            story=self.story,
            enrichers=self._enricher,
        )
        self.broker.join(self.worker)
        self.broker.assign(*partitions)

    def _enricher(self) -> Echo:
        self.enrichers.append(Echo())
        return self.enrichers[-1]

    def add(self, count: int, partition: int = 0) -> None:
        """Events come."""
        first = self.topics.ends[partition]
        self.topics.add(partition, [b"%d" % number for number in range(first, first + count)])

    def steps(self, count: int = 1) -> None:
        """Go round, as `run` does."""
        for _ in range(count):
            self.worker._recovering(self.worker.step)

    def until(self, condition: Callable[[], bool], limit: int = 200) -> None:
        """Go round until something holds."""
        for _ in range(limit):
            if condition():
                return
            self.steps()
        raise AssertionError("it never came to hold")


def test_invariant_1_nothing_is_committed_before_it_is_durable() -> None:
    """The offset does not move with the writing, only with the checkpoint, together with the results."""
    scene = Scene()
    scene.add(4)
    scene.steps()
    assert scene.story.told("batch") == ["batch 0 4 rows 0"]
    assert (scene.topics.committed[0], scene.topics.offsets(0)) == (0, [])
    scene.until(lambda: scene.topics.committed[0] == 4)
    assert scene.topics.offsets(0) == [0, 1, 2, 3]


def test_open_events_are_not_committed() -> None:
    """The offset is that of the oldest open event, though later ones have been read."""
    scene = Scene(checkpoint=0.1)
    scene.add(6)
    scene.until(lambda: scene.topics.commits == 1)
    assert (scene.topics.committed[0], scene.topics.offsets(0)) == (4, [0, 1, 2, 3])


def test_a_checkpoint_waits_for_its_interval() -> None:
    """The first one as long as any other."""
    scene = Scene(rows=1, checkpoint=1.0)
    scene.add(1)
    scene.steps()
    began = scene.clock.now
    scene.until(lambda: scene.topics.commits == 1)
    assert scene.clock.now == began + 1.0


@pytest.mark.parametrize(("takes", "apart"), [(0.0, 1.0), (0.25, 1.0), (0.5, 1.0), (2.0, 2.5)])
def test_checkpoints_begin_an_interval_apart(takes: float, apart: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long each takes, but half the interval is left for events."""
    scene = Scene(rows=1, checkpoint=1.0)
    began: list[float] = []
    commit = scene.broker.checkpoint

    def slow(positions: Positions, *, last: bool) -> bool:
        began.append(scene.clock.now)
        scene.clock.now += takes
        return commit(positions, last=last)

    def committed(times: int) -> bool:
        return scene.topics.commits == times

    monkeypatch.setattr(scene.broker, "checkpoint", slow)
    for times in (1, 2, 3):
        scene.add(1)
        scene.until(partial(committed, times))
    assert [began[1] - began[0], began[2] - began[1]] == [apart, apart]


def test_invariant_2_after_an_abort_each_result_is_there_once() -> None:
    """What was written since the last checkpoint is thrown away, read again and written again."""
    scene = Scene(rows=2, checkpoint=0.5)
    scene.add(2)
    scene.until(lambda: scene.topics.committed[0] == 2)
    scene.add(3)
    scene.broker.faults["checkpoint"].append(AbortedError("away"))
    scene.until(lambda: scene.topics.committed[0] == 5)
    assert scene.topics.offsets(0) == [0, 1, 2, 3, 4]
    assert (scene.broker.rewinds, scene.story.told("aborted")) == (1, ["aborted away []"])


def test_a_rewind_that_does_not_go_well_is_no_abort_of_its_own() -> None:
    """It is made again until it does; who is to blame for the abort is not forgotten meanwhile."""
    scene = Scene(rows=2, checkpoint=0.5)
    scene.add(2)
    scene.broker.faults["checkpoint"].append(AbortedError("refused", [0]))
    scene.broker.halfway = 2
    refused: list[int] = []
    scene.worker._holds.refused = lambda lane: refused.append(lane.position)  # type: ignore[method-assign]
    scene.until(lambda: scene.broker.rewinds == 2)
    assert refused == []
    scene.until(lambda: scene.topics.committed[0] == 2)
    assert (scene.broker.rewinds, refused, scene.story.told("aborted")) == (3, [0], ["aborted refused [0]"])


def test_an_abort_while_writing_is_the_same() -> None:
    """The batch that could not be written is read again, and so is what was written before it."""
    scene = Scene(rows=2)
    scene.add(4)
    scene.steps()
    scene.broker.faults["write"].append(AbortedError("full"))
    scene.until(lambda: scene.topics.committed[0] == 4)
    assert scene.topics.offsets(0) == [0, 1, 2, 3]


def test_the_pause_after_aborts_doubles_up_to_five_seconds() -> None:
    """And begins anew after a checkpoint that was made."""
    scene = Scene(rows=1, checkpoint=0.1)
    scene.add(1)
    pauses = []
    scene.broker.faults["checkpoint"].extend(AbortedError("away") for _ in range(7))
    for _ in range(7):
        aborts = len(scene.story.told("aborted"))
        scene.until(lambda seen=aborts: len(scene.story.told("aborted")) > seen)  # type: ignore[misc]
        pauses.append(scene.worker._pause)
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    scene.until(lambda: scene.topics.commits == 1)
    assert scene.worker._pause == 0.1


def test_revoked_partitions_are_checkpointed_then_dropped() -> None:
    """What was enriched is committed at once; what was open is the next owner's, who begins there."""
    scene = Scene(partitions=(0, 1), checkpoint=1000)
    scene.add(6, 0)
    scene.add(1, 1)
    scene.steps()
    scene.broker.revoke(0)
    scene.steps()
    assert (scene.topics.committed[0], scene.topics.offsets(0)) == (4, [0, 1, 2, 3])
    assert list(scene.worker._lanes) == [1]
    assert list(scene.worker._enrichers) == []  # that of 0 is gone, and 1 has had no batch yet


def test_a_checkpoint_that_fails_in_a_revocation_drops_all_the_same() -> None:
    """Nothing is committed, the lanes that stay are rewound, and the partition is another's."""
    scene = Scene(partitions=(0, 1), rows=2, checkpoint=1000)
    scene.add(2, 0)
    scene.add(2, 1)
    scene.steps(2)
    scene.broker.revoke(0)
    scene.broker.faults["checkpoint"].append(AbortedError("away"))
    scene.steps()
    assert (scene.topics.committed[0], scene.topics.commits) == (0, 0)
    assert list(scene.worker._lanes) == [1]
    scene.steps(2)
    scene.broker.revoke(1)
    scene.steps()
    assert (scene.topics.offsets(0), scene.topics.offsets(1)) == ([], [0, 1])


def test_lost_partitions_are_dropped_without_a_commit() -> None:
    """What was written for them is undone; lanes that stay come again and are committed."""
    scene = Scene(partitions=(0, 1), rows=2)
    scene.add(2, 0)
    scene.add(2, 1)
    scene.steps(2)
    scene.broker.lose(0)
    scene.until(lambda: scene.topics.committed[1] == 2)
    assert (scene.topics.committed[0], scene.topics.offsets(0)) == (0, [])
    assert scene.topics.offsets(1) == [0, 1]


def test_lanes_that_stay_keep_their_open_batch_and_their_enricher() -> None:
    """A rebalance of others neither repeats nor delays what is open here."""
    scene = Scene(partitions=(0, 1), rows=4)
    scene.add(5, 1)
    scene.steps()
    made = list(scene.enrichers)
    kept = next(one for one in made if one is scene.worker._enrichers[1])
    scene.broker.revoke(0)
    scene.steps()
    lane = scene.worker._lanes[1]
    assert (lane.size, lane.position) == (1, 4)
    scene.add(3, 1)
    scene.until(lambda: scene.topics.committed[1] == 8)
    assert [offsets(batch) for batch in kept.batches] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert (scene.enrichers, scene.broker.rewinds) == (made, 0)


def test_a_partition_that_comes_back_gets_a_new_enricher() -> None:
    """And begins at its committed offset."""
    scene = Scene(rows=1)
    scene.add(1)
    scene.steps()
    scene.broker.revoke(0)
    scene.broker.assign(0)
    scene.add(1)
    scene.until(lambda: scene.topics.committed[0] == 2)
    assert [len(enricher.batches) for enricher in scene.enrichers] == [1, 1]
    assert scene.topics.offsets(0) == [0, 1]


def test_three_aborts_by_a_culprit_at_one_offset_hold_the_partition() -> None:
    """It is stopped visibly at its offset, and the others go on."""
    scene = Scene(partitions=(0, 1), rows=1, checkpoint=0.1)
    scene.add(1, 0)
    scene.add(1, 1)
    for _ in range(3):
        scene.broker.faults["checkpoint"].append(AbortedError("refused", culprits=[0]))
    scene.until(lambda: scene.topics.committed[1] == 1)
    assert scene.story.told("held") == ["held 0 at 0: 3 aborts at one offset"]
    assert (scene.broker.held, scene.topics.committed[0]) == ({0}, 0)
    scene.add(3, 1)
    scene.until(lambda: scene.topics.committed[1] == 4)
    assert scene.topics.offsets(0) == []


def test_aborts_at_other_offsets_do_not_add_up() -> None:
    """A partition that gets on is not held; neither is one whose aborts are nobody's."""
    scene = Scene(rows=1, checkpoint=0.1)
    for _ in range(4):
        scene.add(1)
        before = scene.topics.commits
        scene.broker.faults["checkpoint"].extend([AbortedError("refused", culprits=[0])] * 2)
        scene.broker.faults["checkpoint"].extend([AbortedError("away")] * 3)
        scene.until(lambda seen=before: scene.topics.commits > seen)  # type: ignore[misc]
    assert scene.story.told("held") == []
    assert scene.topics.offsets(0) == [0, 1, 2, 3]


def test_a_culprit_that_is_gone_is_not_counted() -> None:
    """A partition that was revoked meanwhile is another's to hold."""
    scene = Scene(rows=1, checkpoint=0.1)
    scene.add(1)
    scene.broker.faults["checkpoint"].extend([AbortedError("refused", culprits=[7])] * 4)
    scene.until(lambda: scene.topics.committed[0] == 1)
    assert scene.story.told("held") == []


def test_a_transaction_is_never_empty() -> None:
    """An idle worker asks for checkpoints in which nothing changed, and none is made."""
    scene = Scene()
    scene.add(1)
    scene.until(lambda: scene.topics.commits == 1)
    scene.steps(50)
    assert (scene.topics.commits, len(scene.story.told("checkpoint"))) == (1, 1)


def test_idle_positions_move_past_markers() -> None:
    """So that an idle group shows no lag behind transactions of others; within about a second."""
    scene = Scene()
    scene.add(1)
    scene.topics.add_marker(0)
    scene.until(lambda: scene.topics.committed[0] >= 1)
    scene.topics.add_marker(0)
    scene.topics.add_marker(0)
    before = scene.clock.now
    scene.until(lambda: scene.topics.committed[0] == 4)
    assert scene.clock.now - before <= 2.0
    scene.add(1)
    scene.until(lambda: scene.topics.committed[0] == 5)
    assert scene.topics.offsets(0) == [0, 4]


def test_positions_do_not_move_past_open_events() -> None:
    """A lane with something open stays where that is, markers behind it or not."""
    scene = Scene(rows=4, checkpoint=0.1)
    scene.add(5)
    scene.topics.add_marker(0)
    scene.until(lambda: scene.topics.commits == 1)
    assert scene.topics.committed[0] == 4


def test_with_a_full_lane_one_event_is_polled() -> None:
    """The group is kept alive, and memory stays bounded; otherwise at least 64 are asked for at once."""
    scene = Scene(rows=4)
    scene.add(300)
    scene.steps()
    assert scene.broker.limits == [64]
    scene.steps(14)
    assert set(scene.broker.limits[1:]) == {1}
    assert scene.worker._lanes[0].size < 64 + 15


def test_invariant_8_open_events_are_bounded_over_all_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lanes there are, none of them full: past the limit one event a turn is taken in."""
    monkeypatch.setattr("consumer.worker.OPEN_BYTES", 100_000)  # about 190 small events
    scene = Scene(partitions=tuple(range(20)), rows=100)
    for partition in range(20):
        scene.add(90, partition)
    scene.steps(12)
    assert scene.broker.limits[0] == 100
    assert scene.broker.limits[-1] == 1
    assert sum(lane.size for lane in scene.worker._lanes.values()) < 310


def test_large_batches_are_polled_at_once() -> None:
    """The limit follows the rows."""
    scene = Scene(rows=500)
    scene.steps()
    assert scene.broker.limits == [500]


def test_a_busy_lane_does_not_starve_the_others() -> None:
    """With a backlog that fills every poll, a lone event of another partition is served within a few turns."""
    scene = Scene(partitions=(0, 1), rows=64)
    scene.add(64 * 100, 0)
    scene.steps()
    scene.worker._extend(1, [PlainEvent(b"lone", offset=0, partition=1)], scene.clock.now)
    scene.clock.sleep(1.5)
    scene.steps(5)
    assert scene.story.told("batch 1") == ["batch 1 1 wait 0"]


def test_a_lone_event_waits_no_longer_than_the_wait() -> None:
    """The poll ends when its batch is due."""
    scene = Scene(rows=4)
    scene.steps()
    scene.add(1)
    began = scene.clock.now
    scene.until(lambda: bool(scene.story.told("batch")))
    assert scene.story.told("batch") == ["batch 0 1 wait 0"]
    assert scene.clock.now == began + 1.0


def test_too_large_results_are_told() -> None:
    """The broker makes dead letters of them, and the observer counts."""
    scene = Scene(rows=2)
    scene.broker._limit = 1
    scene.topics.add(0, [b"x", b"xx"])
    scene.until(lambda: scene.topics.commits == 1)
    assert scene.story.told("too large") == ["too large 1"]
    assert [type(result) is DeadLetter for result in scene.topics.results[0]] == [False, True]


def test_run_drains_checkpoints_and_leaves() -> None:
    """At the end of a finite input everything is enriched and committed."""
    clock, topics, story = Clock(), Topics(), Story()
    topics.add(0, [b"1", b"bad", b"3"])
    broker = MemoryBroker(topics, clock, ends=True)
    broker.assign(0)
    worker(broker, clock, story=story, checkpoint=1000).run(lambda: False)
    assert (topics.offsets(0), topics.committed[0], broker.closed) == ([0, 1, 2], 3, True)
    assert story.told("batch") == ["batch 0 3 drain 0 dead 1"]


def test_run_stops_when_it_is_told_to() -> None:
    """What is open then is drained."""
    clock, topics = Clock(), Topics()
    topics.add(0, [b"1"])
    broker = MemoryBroker(topics, clock)
    broker.assign(0)
    turns = iter([False, True])
    worker(broker, clock, checkpoint=1000).run(lambda: next(turns))
    assert (topics.offsets(0), topics.committed[0], broker.closed) == ([0], 1, True)


def test_the_drain_is_bounded_by_time() -> None:
    """What is not done by then is not committed, and will be read again."""
    clock, topics = Clock(), Topics()
    topics.add(0, [b"x"] * 10)
    broker = MemoryBroker(topics, clock)
    broker.assign(0)
    slow = Echo(clock, seconds=4.0)
    turns = iter([False, True])
    worker(broker, clock, made=rule(rows=2), checkpoint=1000, drain=10, enrichers=lambda: slow).run(
        lambda: next(turns)
    )
    assert [len(batch) for batch in slow.batches] == [2, 2, 2, 2]
    assert (topics.offsets(0), topics.committed[0], broker.closed) == (list(range(8)), 8, True)


def test_a_long_drain_makes_checkpoints() -> None:
    """A slow model's open batches take longer than a transaction may."""
    clock, topics, story = Clock(), Topics(), Story()
    topics.add(0, [b"x"] * 8)
    broker = MemoryBroker(topics, clock)
    broker.assign(0)
    turns = iter([False, True])
    slow = Echo(clock, seconds=4.0)
    made = worker(broker, clock, made=rule(rows=2), checkpoint=1.0, drain=100, story=story, enrichers=lambda: slow)
    made.run(lambda: next(turns))
    assert (topics.committed[0], len(slow.batches)) == (8, 4)
    assert len(story.told("checkpoint")) >= 4


def test_an_abort_at_the_very_end_commits_nothing() -> None:
    """The process ends all the same, and another reads what was undone.

    Going back to what is committed is none of its business any more: with brokers away, or a permission, it would
    wait for that until it is ended by force.
    """
    clock, topics = Clock(), Topics()
    topics.add(0, [b"1"])
    broker = MemoryBroker(topics, clock, ends=True)
    broker.assign(0)
    broker.faults["checkpoint"].append(AbortedError("away"))
    worker(broker, clock, checkpoint=1000).run(lambda: False)
    assert (topics.offsets(0), topics.committed[0], broker.closed) == ([], 0, True)
    assert broker.rewinds == 0
