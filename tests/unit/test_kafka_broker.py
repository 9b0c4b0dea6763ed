"""The way from librdkafka's errors to rewinds, without a broker: group and producer are played."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from consumer.broker import AbortedError, AbortKind
from consumer.exits import FatalBrokerError
from consumer.kafka import broker as broker_module
from consumer.kafka import delivery
from consumer.kafka.aside import Aside
from consumer.kafka.broker import KafkaBroker
from consumer.kafka.delivery import AtLeastOnce, ExactlyOnce
from consumer.kafka.errors import Patience, WornOutError
from consumer.kafka.group import Group, WentAgainError
from consumer.kafka.outlet import Outlet
from consumer.operate.pulse import Doing, Pulse
from consumer.types import Enriched, Notes, PlainEvent, Positions, Result

ABORTABLE = KafkaError(KafkaError.INVALID_TXN_STATE, "abort it", txn_requires_abort=True)
FENCED = KafkaError(KafkaError._FENCED, "fenced", fatal=True)
TIMEOUT = 10.0
RESULTS = [Enriched(PlainEvent(b"{}", partition=0), b"{}"), Enriched(PlainEvent(b"{}", partition=1), b"{}")]


class FakeGroup:
    """Owns partitions 0 and 1, both committed at 0."""

    came = False

    def __init__(self) -> None:
        self.commits: list[dict[int, int]] = []
        self.sent: list[dict[int, int]] = []
        self.refuses: KafkaError | None = None
        self.poll_raises: type[KafkaException] = KafkaException
        self.committed_raises: type[KafkaException] = KafkaException
        self.notes: dict[int, str] = {}
        self.stand: Positions = {0: 0, 1: 0}
        self.thrown_away = 0

    def note(self, partition: int) -> str:
        """Return what goes with a partition's offset."""
        return self.notes.get(partition, "")

    def commit(self, positions: Positions) -> None:
        """Note a commit that goes with no record."""
        if self.refuses is not None:
            raise KafkaException(self.refuses)
        self.commits.append(dict(positions))

    def offsets(self, positions: Positions) -> list[tuple[int, int]]:
        """Return positions, which are going to be sent."""
        self.sent.append(dict(positions))
        return list(positions.items())

    def metadata(self, *, member: bool = True) -> None:
        """Return nothing, to the thread that polls."""
        del member
        assert threading.current_thread() is threading.main_thread()

    def committed(self) -> tuple[Positions, Notes]:
        """Return where both stand, to a member."""
        if self.refuses is not None:
            raise self.committed_raises(self.refuses)
        return self.stand, {}

    def committed_by_anyone(self, partitions: Iterable[int], limit: float) -> Positions:
        """Return where they stand, to anyone."""
        del limit
        return {partition: self.stand[partition] for partition in partitions}

    def seek(self, positions: Positions) -> None:
        """Go there."""

    def poll(self, until: float, limit: int) -> list[PlainEvent]:
        """Return an event, or what was ordered."""
        del until, limit
        if self.refuses is not None:
            raise self.poll_raises(self.refuses)
        return [PlainEvent(b"{}", partition=1)]

    def throw_away(self) -> None:
        """Count it."""
        self.thrown_away += 1

    def hold(self, partition: int, note: str) -> None:
        """Keep the note."""
        self.notes[partition] = note

    def release(self, partition: int, position: int) -> None:
        """Go on in a partition."""
        del partition, position
        if self.refuses is not None:
            raise KafkaException(self.refuses)

    def close(self) -> None:
        """Leave."""


class FakeProducer:
    """Notes what it is asked, and fails where it is told to."""

    hangs_in = ""

    def __init__(self, calls: list[str], failures: dict[str, KafkaError]) -> None:
        self._calls = calls
        self._failures = failures
        self.over = threading.Event()

    def poll(self, _: float) -> int:
        """Have nothing to tell."""
        return 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        def call(*_: object) -> int:
            self._calls.append(name)
            if name in self._failures:
                raise KafkaException(self._failures.pop(name))
            if name == self.hangs_in:
                self.over.wait()
            return 0

        return call


class FakeOutlet:
    """An outlet with that producer."""

    def __init__(self, producer: FakeProducer) -> None:
        self.producer = producer
        self.failed: KafkaError | None = None
        self.refusal = self.careful = self.cut_off = False
        self.refused: dict[tuple[int, int], KafkaError] = {}
        self.left_behind = False
        self.counted = self.has_input = True
        self.partitions = {"out": 2, "in": 2, "dead": 2}
        self.written: dict[str, Result] = {}
        self.raises: KafkaError | None = None

    def fill(self, written: dict[str, Result], places: Sequence[tuple[str, int]]) -> None:
        """Write what was written to a topic again."""
        for topic, _ in places:
            if topic in written:
                getattr(self.producer, f"write_to_{topic}")()

    def write(self, results: Sequence[Result], refused: object) -> list[Result]:
        """Take all, unless it is to raise."""
        del results, refused
        if self.raises is not None:
            error, self.raises = self.raises, None
            raise KafkaException(error)
        return []

    @property
    def failure(self) -> KafkaError | None:
        """The failure that was ordered."""
        return self.failed

    def take_failure(self) -> tuple[KafkaError | None, str | None]:
        """Return the failure that was ordered."""
        failed, self.failed = self.failed, None
        return failed, "flights-enriched"

    def count_partitions(self) -> None:
        """Nothing to count."""

    def serve(self) -> None:
        """Have nothing to tell."""

    def leave_behind(self) -> None:
        """Note it."""
        self.left_behind = True

    def close(self) -> None:
        """Nothing to close."""


class Scene:
    """A broker with its players."""

    def __init__(self, kind: type[KafkaBroker], started: KafkaError | None = None, **failures: KafkaError) -> None:
        self.group = FakeGroup()
        self.calls: list[str] = []
        self.failures = {} if started is None else {"init_transactions": started}
        self.outlets: list[FakeOutlet] = []
        self.cut_off = False
        self.has_input = True
        self.since: list[float] = []
        self.topics: list[dict[str, int]] = []
        more: dict[str, Any] = {}
        if kind is ExactlyOnce:
            more = {"timeout": TIMEOUT, "find_open": self._find_open, "aside": Aside(leave=0.05)}
        self.broker = kind(cast("Group", self.group), self._outlet, Pulse(60), **more)
        self.broker._committed.update({0: (0, ""), 1: (0, "")})
        self.calls.clear()
        self.failures.update(failures)

    def _find_open(self, topics: Mapping[str, int], since: float) -> list[tuple[str, int]]:
        self.since.append(since)
        self.topics.append(dict(topics))
        return [("out", 0)]

    def _outlet(self, careful: bool) -> Outlet:  # noqa: FBT001
        self.outlets.append(FakeOutlet(FakeProducer(self.calls, self.failures)))
        self.outlets[-1].careful, self.outlets[-1].cut_off = careful, self.cut_off
        self.outlets[-1].has_input = self.has_input
        return cast("Outlet", self.outlets[-1])


def test_a_checkpoint_is_one_transaction() -> None:
    """Begun by the first write, offsets sent with it, and committed; nothing is committed beside it."""
    scene = Scene(ExactlyOnce)
    scene.broker.write(RESULTS[:1])
    scene.broker.write(RESULTS[1:])
    scene.broker.checkpoint({0: 1, 1: 1})
    assert scene.calls == ["begin_transaction", "send_offsets_to_transaction", "commit_transaction"]
    assert scene.group.commits == []


def test_a_producer_that_was_cut_off_from_all_brokers_begins_no_transaction() -> None:
    """A new one does; one that has begun goes on, and its calls tell what became of it."""
    scene = Scene(ExactlyOnce)
    scene.broker.write(RESULTS[:1])
    scene.outlets[-1].cut_off = True
    scene.broker.write(RESULTS[1:])
    scene.broker.checkpoint({0: 1, 1: 1})
    assert len(scene.outlets) == 1
    scene.broker.write(RESULTS)
    assert len(scene.outlets) == 2
    assert scene.calls[-2:] == ["init_transactions", "begin_transaction"]


@pytest.mark.parametrize("call", ["send_offsets_to_transaction", "commit_transaction", "abort_transaction"])
def test_a_producer_whose_call_does_not_return_is_left_behind(call: str) -> None:
    """Another takes its place and the worker rewinds; it is nobody's fencing, however often it comes."""
    failures = {"send_offsets_to_transaction": ABORTABLE} if call == "abort_transaction" else {}
    scene = Scene(ExactlyOnce)
    for _ in range(3):
        scene.failures.update(failures)
        stuck = scene.outlets[-1]
        stuck.producer.hangs_in = call
        scene.broker.write(RESULTS)
        with pytest.raises(AbortedError) as aborted:
            scene.broker.checkpoint({0: 1, 1: 1})
        assert (aborted.value.kind, stuck.left_behind) == (AbortKind.CUT_OFF, True)
        assert scene.outlets[-1] is not stuck
        scene.broker.rewind()
        stuck.producer.over.set()
    scene.broker.write(RESULTS)
    scene.broker.checkpoint({0: 1, 1: 1})
    assert scene.calls[-2:] == ["send_offsets_to_transaction", "commit_transaction"]


def test_what_a_dead_producer_may_have_left_open_is_aborted_before_anything_else() -> None:
    """By a producer of the same id, wherever the dead one wrote, offsets too; the one that goes on comes after it."""
    scene = Scene(ExactlyOnce, commit_transaction=FENCED)
    scene.broker.write(RESULTS)
    scene.outlets[-1].written = {"out": RESULTS[0]}
    scene.calls.clear()
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1, 1: 1})
    sweep = ["begin_transaction", "write_to_out", "send_offsets_to_transaction", "abort_transaction"]
    assert scene.calls[2:] == ["init_transactions", *sweep, "init_transactions"]
    scene.calls.clear()
    scene.broker.rewind()
    scene.broker.write(RESULTS)
    assert scene.calls == ["begin_transaction"]


def test_offsets_that_the_group_does_not_take_stop_no_sweep() -> None:
    """The group may have dropped this member: the marker that ends what is pending comes with the abort."""
    unknown = KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "who?", txn_requires_abort=True)
    scene = Scene(ExactlyOnce, begin_transaction=FENCED, send_offsets_to_transaction=unknown)
    scene.outlets[-1].written = {"out": RESULTS[0]}
    with pytest.raises(AbortedError):
        scene.broker.write(RESULTS)
    assert scene.calls[-3:] == ["send_offsets_to_transaction", "abort_transaction", "init_transactions"]


def test_a_sweep_waits_for_no_input_topic_that_is_gone() -> None:
    """Nobody has offsets in it; what it had may take longer to be refused than a transaction may take."""
    scene = Scene(ExactlyOnce, commit_transaction=FENCED)
    scene.broker.write(RESULTS)
    scene.outlets[-1].written = {"out": RESULTS[0]}
    scene.has_input = False
    scene.calls.clear()
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1, 1: 1})
    sweep = ["begin_transaction", "write_to_out", "abort_transaction"]
    assert scene.calls[2:] == ["init_transactions", *sweep, "init_transactions"]


def test_a_sweep_asks_for_partitions_that_there_are_by_now() -> None:
    """A topic that was made anew with fewer would refuse the others for ever: in its input, the first is there."""
    scene = Scene(ExactlyOnce, commit_transaction=FENCED)
    scene.broker.write(RESULTS)
    scene.outlets[-1].written = {"out": RESULTS[0]}
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1, 1: 1})
    assert scene.topics == [{"out": 2}]
    assert scene.group.sent == [{0: 1, 1: 1}, {0: 0}]


@pytest.mark.parametrize("code", [KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED])
def test_offsets_that_the_topic_does_not_take_stop_no_sweep(code: int) -> None:
    """It was deleted this very moment, or may not be read: the group's log is marked all the same."""
    gone = KafkaError(code, "gone", txn_requires_abort=True)
    scene = Scene(ExactlyOnce, begin_transaction=FENCED, send_offsets_to_transaction=gone)
    scene.outlets[-1].written = {"out": RESULTS[0]}
    with pytest.raises(AbortedError):
        scene.broker.write(RESULTS)
    assert scene.calls[-3:] == ["send_offsets_to_transaction", "abort_transaction", "init_transactions"]


def test_a_sweep_whose_transaction_is_timed_out_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its coordinator fences it then as another worker would, but that one would at once."""
    monkeypatch.setattr(delivery, "_DENIED_PAUSE", 0)
    scene = Scene(ExactlyOnce, begin_transaction=FENCED, abort_transaction=FENCED)
    scene.outlets[-1].written = {"out": RESULTS[0]}
    cast("ExactlyOnce", scene.broker)._joined = True
    with pytest.raises(FatalBrokerError, match="no transactions: fenced"):
        scene.broker.write(RESULTS)
    monkeypatch.setattr(delivery, "_TIMES_OUT", 0.0)
    scene = Scene(ExactlyOnce, begin_transaction=FENCED, abort_transaction=FENCED)
    scene.outlets[-1].written = {"out": RESULTS[0]}
    cast("ExactlyOnce", scene.broker)._joined = True
    with pytest.raises(AbortedError):
        scene.broker.write(RESULTS)
    assert scene.calls.count("abort_transaction") == 2


def test_a_sweep_is_tried_again_once_brokers_that_went_away_are_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its producer dies of that too; nothing is written before one has gone well."""
    monkeypatch.setattr(delivery, "_DENIED_PAUSE", 0)
    scene = Scene(ExactlyOnce, begin_transaction=FENCED, abort_transaction=FENCED)
    scene.outlets[-1].written = {"out": RESULTS[0]}
    cast("ExactlyOnce", scene.broker)._joined = scene.cut_off = True
    with pytest.raises(AbortedError):
        scene.broker.write(RESULTS)
    assert scene.calls.count("write_to_out") == scene.calls.count("abort_transaction") == 2


@pytest.mark.parametrize("call", ["write_to_out", "send_offsets_to_transaction"])
def test_a_sweep_that_may_not_be_everywhere_is_made_again(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no broker has taken is ended by no marker; so it is with offsets that no transaction was begun for."""
    monkeypatch.setattr(delivery, "_DENIED_PAUSE", 0)
    scene = Scene(ExactlyOnce, begin_transaction=FENCED, **{call: ABORTABLE})
    scene.outlets[-1].written = {"out": RESULTS[0]}
    cast("ExactlyOnce", scene.broker)._joined = True
    with pytest.raises(AbortedError):
        scene.broker.write(RESULTS)
    assert (scene.calls.count("write_to_out"), scene.calls.count("abort_transaction")) == (2, 1)
    assert scene.calls[-2:] == ["abort_transaction", "init_transactions"]


def test_what_was_committed_is_not_aborted_by_a_sweep() -> None:
    """Its markers may be missing too; the offsets tell what it came to, also one whom its group has dropped."""
    scene = Scene(ExactlyOnce, commit_transaction=FENCED)
    scene.broker.write(RESULTS)
    scene.outlets[-1].written = {"out": RESULTS[0]}
    scene.group.stand = {0: 1, 1: 1}
    scene.group.refuses = KafkaError(KafkaError.STALE_MEMBER_EPOCH)
    scene.calls.clear()
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1, 1: 1})
    assert scene.calls == [
        "send_offsets_to_transaction",
        "commit_transaction",
        "init_transactions",
        "init_transactions",
    ]


def test_an_offset_that_was_committed_before_tells_of_no_commit() -> None:
    """Where a hold ends its note alone changes: taken for a commit that was made, it would leave results open."""
    scene = Scene(ExactlyOnce, commit_transaction=FENCED)
    scene.broker._committed[1] = (0, "held")
    scene.broker.write(RESULTS)
    scene.outlets[-1].written = {"out": RESULTS[0]}
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1, 1: 0})
    assert "write_to_out" in scene.calls


def test_a_sweep_looks_for_what_began_after_the_last_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed before may still wait for its markers: an abort would lose it."""
    now = [100.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    scene = Scene(ExactlyOnce)
    scene.broker.write(RESULTS)
    now[0] = 200.0
    scene.outlets[-1].written = {"out": RESULTS[0]}
    scene.broker.checkpoint({0: 1, 1: 1})
    assert scene.outlets[-1].written == {}
    now[0] = 300.0
    scene.broker.write(RESULTS)
    scene.outlets[-1].written = {"out": RESULTS[0]}
    scene.failures["send_offsets_to_transaction"] = FENCED
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 2, 1: 2})
    assert scene.since == [300.0]


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("act", ["release", "poll"])
def test_a_partition_that_is_lost_when_it_is_to_be_read_ends_nothing(*, act: str, written: bool) -> None:
    """Let go on, or come and gone in one poll: the next poll tells why, and till then nothing of it is committed."""
    scene = Scene(ExactlyOnce)
    if written:
        scene.broker.write(RESULTS)
    scene.group.poll_raises = WentAgainError
    scene.group.refuses = KafkaError(KafkaError._STATE)
    with pytest.raises(AbortedError) as aborted:
        scene.broker.release(0, 0) if act == "release" else scene.broker.poll(0.0, 1)
    assert aborted.value.kind is AbortKind.LOST
    assert scene.calls[-1:] == (["abort_transaction"] if written else [])
    with pytest.raises(AbortedError, match="has not been rewound"):
        scene.broker.checkpoint({0: 1})


@pytest.mark.parametrize(
    ("how", "code"), [(KafkaException, KafkaError._STATE), (WornOutError, KafkaError._TIMED_OUT)]
)
def test_nothing_is_handed_over_between_an_abort_and_its_rewind(how: type[KafkaException], code: int) -> None:
    """One that failed halfway has moved some partitions: what lanes got there would be older than what they had.

    One that gets no answer gives way to the poll, and is made again after it.
    """
    scene = Scene(ExactlyOnce, commit_transaction=ABORTABLE)
    scene.broker.write(RESULTS)
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1, 1: 1})
    scene.group.committed_raises, scene.group.refuses = how, KafkaError(code)
    assert scene.broker.rewind() == ({}, {})
    scene.group.refuses = None
    assert scene.broker.poll(0.0, 1) == ()
    scene.broker.rewind()
    assert len(scene.broker.poll(0.0, 1)) == 1
    assert scene.group.thrown_away == (how is WornOutError)


def test_nothing_is_thrown_away_after_a_rewind_that_went_well() -> None:
    """Also where the one before it had no answer, and no poll came in between: these events are not read again."""
    scene = Scene(ExactlyOnce, commit_transaction=ABORTABLE)
    scene.broker.write(RESULTS)
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1, 1: 1})
    scene.group.committed_raises, scene.group.refuses = WornOutError, KafkaError(KafkaError._TIMED_OUT)
    scene.broker.rewind()
    scene.group.refuses = None
    scene.broker.rewind()
    assert len(scene.broker.poll(0.0, 1)) == 1
    assert scene.group.thrown_away == 0


@pytest.mark.parametrize("code", [KafkaError._INVALID_ARG, KafkaError._FATAL, KafkaError._STATE])
def test_a_poll_that_fails_ends_the_worker(code: int) -> None:
    """Nothing here can mend it, and a worker that polled a dead consumer again and again would be a zombie."""
    scene = Scene(AtLeastOnce)
    scene.group.refuses = KafkaError(code, "what?")
    with pytest.raises(FatalBrokerError, match=r"reading failed: what\?"):
        scene.broker.poll(0.0, 1)


@pytest.mark.parametrize("kind", [ExactlyOnce, AtLeastOnce])
def test_where_nothing_is_committed_any_more_nothing_is(kind: type[KafkaBroker]) -> None:
    """Nor the note of a partition that was held before its topic was deleted: the client takes no such offset."""
    scene = Scene(kind)
    scene.group.stand = {0: -1001, 1: 0}
    scene.group.notes = {0: "held"}
    positions, _ = scene.broker.rewind()
    assert scene.broker.checkpoint(positions)
    assert scene.broker.checkpoint({**positions, 1: 3})
    assert scene.group.commits == [{1: 3}]


@pytest.mark.parametrize("ends", ["hold", "stop"])
def test_care_ends_where_what_it_is_for_is_held(ends: str) -> None:
    """The others would be sent record by record for as long as that lasts."""
    scene = Scene(ExactlyOnce, commit_transaction=ABORTABLE)
    scene.broker._assignment = Nobody()
    scene.broker.write(RESULTS[:1])
    scene.outlets[-1].refusal = True
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1})
    scene.broker.rewind()
    scene.broker.write(RESULTS[1:])
    scene.broker.checkpoint({1: 1})
    assert scene.outlets[-1].careful
    if ends == "hold":
        scene.broker.hold(0)
    else:
        scene.broker.stopped(0, "its offset is gone")
    scene.broker.write(RESULTS[1:])
    scene.broker.checkpoint({1: 2})
    assert not scene.outlets[-1].careful


def test_what_was_written_of_lost_partitions_is_undone() -> None:
    """Nothing of theirs may be committed, and the lanes that stay go back."""
    scene = Scene(ExactlyOnce)
    scene.broker._assignment = Nobody()
    scene.broker.write(RESULTS)
    with pytest.raises(AbortedError) as aborted:
        scene.broker.lost([0])
    assert (aborted.value.kind, scene.calls[-1]) == (AbortKind.LOST, "abort_transaction")
    with pytest.raises(AbortedError, match="has not been rewound"):
        scene.broker.checkpoint({1: 1})


class Nobody:
    """Is told of partitions, and does nothing."""

    def __getattr__(self, _: str) -> Any:  # noqa: ANN401
        return lambda *_: None


def test_a_producer_that_dies_of_a_transaction_that_was_never_begun_has_no_twin() -> None:
    """Of one whose partitions were all denied, the abort kills it, as often as it is tried."""
    never = KafkaError(KafkaError.INVALID_TXN_STATE, "in an invalid state", fatal=True)
    scene = Scene(ExactlyOnce)
    for _ in range(3):
        scene.failures["begin_transaction"] = never
        with pytest.raises(AbortedError):
            scene.broker.write(RESULTS)
        scene.broker.rewind()


DENIED = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "Failed to add partition(s)", txn_requires_abort=True)


@pytest.mark.parametrize(
    "ends", [{}, {"abort_transaction": KafkaError(KafkaError.INVALID_TXN_STATE, "", fatal=True)}]
)
def test_a_denied_topic_is_named_and_counts_as_that(ends: dict[str, KafkaError]) -> None:
    """Also to a record that comes after, which is told that it failed; and where the producer dies of the abort."""
    scene = Scene(ExactlyOnce)
    state = KafkaError(KafkaError._STATE, "Unable to produce message: Local: Erroneous state")
    for failure, told in ((DENIED, {}), (state, {"begin_transaction": DENIED})):
        scene.broker.write(RESULTS)
        scene.outlets[-1].written = {"out": RESULTS[0], "dead": RESULTS[0]}
        scene.outlets[-1].raises = failure
        scene.failures.update({**told, **ends})
        with pytest.raises(
            AbortedError, match=r"^topic dead or out: .*Write and Describe on the other two"
        ) as aborted:
            scene.broker.write(RESULTS)
        assert aborted.value.kind is AbortKind.UNDELIVERED
        assert scene.broker._barred == "writing dead or out"
        scene.broker.rewind()


@pytest.mark.parametrize(
    "code", [KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED]
)
def test_what_a_worker_is_denied_is_no_fencing(code: int) -> None:
    """An alert that tells to look for a second worker would send people the wrong way."""
    dead = code == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    denied = KafkaError(code, "denied", fatal=dead, txn_requires_abort=not dead)
    scene = Scene(ExactlyOnce, send_offsets_to_transaction=denied)
    scene.broker.write(RESULTS)
    with pytest.raises(AbortedError, match=r"^denied \(grant ") as aborted:
        scene.broker.checkpoint({0: 1})
    assert aborted.value.kind is AbortKind.UNDELIVERED


def test_offsets_that_are_denied_are_not_taken_for_records() -> None:
    """It is the input topic that may not be read."""
    denied = KafkaError(
        KafkaError.TOPIC_AUTHORIZATION_FAILED, "Failed to commit offsets: in[0]", txn_requires_abort=True
    )
    scene = Scene(ExactlyOnce, send_offsets_to_transaction=denied)
    scene.broker.write(RESULTS)
    with pytest.raises(AbortedError, match=r"^Failed to commit offsets: in\[0\]") as aborted:
        scene.broker.checkpoint({0: 1})
    assert (aborted.value.kind, scene.broker._barred) == (AbortKind.UNDELIVERED, "committing offsets")


def test_a_topic_that_is_gone_counts_as_that() -> None:
    """Whichever call it shows in."""
    gone = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "gone", txn_requires_abort=True)
    scene = Scene(ExactlyOnce, commit_transaction=gone)
    scene.broker.write(RESULTS)
    with pytest.raises(AbortedError, match="gone") as aborted:
        scene.broker.checkpoint({0: 1, 1: 1})
    assert aborted.value.kind is AbortKind.UNDELIVERED


def test_deliveries_that_are_waited_for_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a network that swallows all, nothing else says that the worker waits, and since when."""
    scene = Scene(AtLeastOnce)
    scene.broker.write(RESULTS)
    left = iter([3, 2, 0])
    monkeypatch.setattr(scene.outlets[-1].producer, "flush", lambda _: next(left), raising=False)
    with capture_logs() as lines:
        scene.broker.checkpoint({0: 1})
    assert [(line["event"], line["call"], line["error"]) for line in lines] == [
        ("waiting for the broker", "deliveries", "3 records are not delivered yet")
    ]
    assert scene.broker._pulse.waiting is None


def test_one_wait_after_the_other_is_one_outage() -> None:
    """It is told since when brokers have been away, not since when the present call has waited."""
    now = [0.0]
    pulse = Pulse(10.0, lambda: now[0])
    pulse.waits("send offsets")
    now[0] = 30.0
    pulse.waits("a broker")
    assert pulse.waiting == ("a broker", 30.0)
    pulse.answered()
    pulse.waits("a broker")
    assert pulse.waiting == ("a broker", 0.0)


def test_another_try_is_no_standstill() -> None:
    """A worker that waits on purpose is not stuck, however long it takes in all."""
    now = [0.0]
    pulse = Pulse(10.0, lambda: now[0])
    with pulse.within(Doing.BROKER):
        for _ in range(5):
            now[0] += 200.0
            assert not pulse.stuck
            pulse.waits("a broker")
        now[0] += 301.0
        assert pulse.stuck


def test_an_error_that_is_no_more_waiting_ends_the_wait() -> None:
    """Else the probes would show a wait for ever, though the worker has gone on by another way."""
    pulse = Pulse(60)
    answers = iter([KafkaError(KafkaError._TIMED_OUT), ABORTABLE])
    waits: list[object] = []

    def call() -> None:
        waits.append(pulse.waiting and pulse.waiting[0])
        raise KafkaException(next(answers))

    with pytest.raises(KafkaException, match="abort it"):
        Patience(pulse, lambda _: None).until_done(call, "offsets")
    assert waits == [None, "offsets"]
    assert pulse.waiting is None


def test_a_wait_that_is_given_up_goes_on_until_a_broker_answers() -> None:
    """Of one outage, over the calls of a client that wears out and of the next one, the whole is told."""
    now = [0.0]
    pulse = Pulse(60, clock=lambda: now[0])
    patience = Patience(pulse, lambda _: None)

    def call() -> None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    with pytest.raises(WornOutError):
        patience.until_done(call, "offsets", limit=0.0)
    now[0] = 60.0
    assert pulse.waiting == ("offsets", 60.0)
    with pytest.raises(WornOutError):
        patience.until_done(call, "transactions", limit=0.0)
    now[0] = 90.0
    assert pulse.waiting == ("transactions", 90.0)
    patience.until_done(lambda: None, "transactions")
    assert pulse.waiting is None


def test_what_is_lacking_is_told_whatever_the_brokers_answer() -> None:
    """That others of its calls go well gives a worker no permission that it lacks."""
    now = [0.0]
    pulse = Pulse(60, clock=lambda: now[0])
    pulse.lacks("reading flights")
    now[0] = 5.0
    pulse.waits("offsets")
    Patience(pulse).until_done(lambda: None, "offsets")
    pulse.lacks("reading flights")
    assert pulse.waiting == ("reading flights", 5.0)
    pulse.has("reading flights")
    assert pulse.waiting is None


@pytest.mark.parametrize("kind", [ExactlyOnce, AtLeastOnce])
def test_positions_alone_are_committed_without_a_transaction(kind: type[KafkaBroker]) -> None:
    """A transaction is never empty, and what stands still is not committed again."""
    scene = Scene(kind)
    scene.broker.checkpoint({0: 5, 1: 0})
    scene.broker.checkpoint({0: 5, 1: 0})
    assert (scene.calls, scene.group.commits) == ([], [{0: 5}])


@pytest.mark.parametrize("kind", [ExactlyOnce, AtLeastOnce])
@pytest.mark.parametrize("code", [KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_TOPIC_OR_PART])
def test_a_rebalance_that_went_past_is_no_commit(kind: type[KafkaBroker], code: int) -> None:
    """Nor is a topic that is gone: the position is not taken for committed, and is tried again."""
    scene = Scene(kind)
    scene.group.refuses = KafkaError(code)
    assert not scene.broker.checkpoint({0: 5})
    scene.group.refuses = None
    scene.broker.checkpoint({0: 5})
    assert scene.group.commits == [{0: 5}]


@pytest.mark.parametrize("kind", [ExactlyOnce, AtLeastOnce])
def test_a_commit_that_gets_no_answer_gives_way_to_the_poll(
    kind: type[KafkaBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer may get one only after it has been polled; the position is tried again."""
    monkeypatch.setattr(broker_module, "UNPOLLED", 0.0)
    scene = Scene(kind)
    scene.group.refuses = KafkaError(KafkaError._TIMED_OUT)
    assert not scene.broker.checkpoint({0: 5})
    scene.group.refuses = None
    assert scene.broker.checkpoint({0: 5})
    assert scene.group.commits == [{0: 5}]


def test_the_last_commit_is_waited_for() -> None:
    """No poll comes after it: at least once, what was written would be written again, and nobody told."""
    scene = Scene(AtLeastOnce)
    scene.broker.write(RESULTS)
    answers = iter([KafkaError(KafkaError._TIMED_OUT), None])

    def commit(positions: Positions) -> None:
        scene.group.commits.append(dict(positions))
        if (error := next(answers)) is not None:
            time.sleep(0.05)
            raise KafkaException(error)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(broker_module, "UNPOLLED", 0.0)
        patched.setattr(scene.group, "commit", commit)
        assert scene.broker.checkpoint({0: 1, 1: 1}, last=True)
    assert scene.group.commits == [{0: 1, 1: 1}] * 2


@pytest.mark.parametrize("call", ["begin_transaction", "send_offsets_to_transaction", "commit_transaction"])
def test_what_can_be_aborted_is(call: str) -> None:
    """The transaction is aborted, and the worker told to rewind."""
    scene = Scene(ExactlyOnce, **{call: ABORTABLE})

    def both() -> None:
        scene.broker.write(RESULTS)
        scene.broker.checkpoint({0: 1})

    with pytest.raises(AbortedError, match="abort it"):
        both()
    assert scene.calls[-1] == "abort_transaction"


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.STALE_MEMBER_EPOCH,
    ],
)
def test_a_group_that_has_gone_on_is_sent_no_offsets(code: int) -> None:
    """The transaction is aborted and its reason told; the producer, which is nobody's twin, is kept."""
    why = KafkaError(code, "the group has gone on", txn_requires_abort=True)
    scene = Scene(ExactlyOnce, send_offsets_to_transaction=why)
    scene.broker.write(RESULTS)
    with pytest.raises(AbortedError, match="the group has gone on") as caught:
        scene.broker.checkpoint({0: 1})
    assert (caught.value.kind, scene.calls[-1]) == (AbortKind.OTHER, "abort_transaction")
    assert (len(scene.outlets), scene.group.commits) == (1, [])


def test_invariant_1_nothing_is_committed_between_an_abort_and_the_rewind() -> None:
    """A second revocation in the poll of the first must not commit positions whose results are undone."""
    scene = Scene(ExactlyOnce, commit_transaction=ABORTABLE)
    scene.broker.write(RESULTS)
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1, 1: 1})
    with pytest.raises(AbortedError, match="has not been rewound"):
        scene.broker.checkpoint({1: 1})
    assert scene.group.commits == []
    scene.broker.rewind()
    scene.broker.checkpoint({1: 1})
    assert scene.group.commits == [{1: 1}]


def test_invariant_1_holds_for_at_least_once_too() -> None:
    """A delivery that failed undoes the positions, also for the next checkpoint of the same poll."""
    scene = Scene(AtLeastOnce)
    scene.broker.write(RESULTS)
    scene.outlets[-1].failed = KafkaError(KafkaError._MSG_TIMED_OUT, "not delivered")
    with pytest.raises(AbortedError, match="not delivered"):
        scene.broker.checkpoint({0: 1, 1: 1})
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({1: 1})
    assert scene.group.commits == []


def test_a_fenced_producer_is_replaced_once() -> None:
    """And twice within a minute is the end: two instances of one name would fence each other for ever."""
    scene = Scene(ExactlyOnce, commit_transaction=FENCED)
    scene.broker.write(RESULTS)
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1})
    assert len(scene.outlets) == 2
    scene.broker.rewind()
    scene.failures["commit_transaction"] = FENCED
    scene.broker.write(RESULTS)
    with pytest.raises(FatalBrokerError, match="twice within a minute"):
        scene.broker.checkpoint({0: 1})


def test_brokers_that_crash_twice_within_a_minute_are_no_twin() -> None:
    """A producer that dies after all brokers were away is replaced each time, and the abort says why."""
    scene = Scene(ExactlyOnce)
    for _ in range(3):
        scene.failures["commit_transaction"] = FENCED
        scene.broker.write(RESULTS)
        scene.outlets[-1].cut_off = True
        with pytest.raises(AbortedError) as caught:
            scene.broker.checkpoint({0: 1})
        assert caught.value.kind == AbortKind.CUT_OFF
        scene.broker.rewind()
    scene.failures["commit_transaction"] = FENCED
    scene.broker.write(RESULTS)
    with pytest.raises(AbortedError) as caught:
        scene.broker.checkpoint({0: 1})
    assert caught.value.kind == AbortKind.FENCED


def test_a_transaction_older_than_its_time_out_is_no_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its coordinator ended it: a network that swallows what is sent has the client learn of that first of all."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    scene = Scene(ExactlyOnce)
    for _ in range(3):
        scene.failures["commit_transaction"] = FENCED
        scene.broker.write(RESULTS)
        now[0] += TIMEOUT
        with pytest.raises(AbortedError) as caught:
            scene.broker.checkpoint({0: 1})
        assert caught.value.kind == AbortKind.FENCED
        scene.broker.rewind()


def test_a_producer_that_is_fenced_before_it_begins_has_a_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long ago its last transaction began."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    scene = Scene(ExactlyOnce)
    scene.broker.write(RESULTS)
    scene.broker.checkpoint({0: 1})
    now[0] += TIMEOUT
    scene.failures["begin_transaction"] = FENCED
    with pytest.raises(AbortedError):
        scene.broker.write(RESULTS)
    scene.broker.rewind()
    scene.failures["begin_transaction"] = FENCED
    with pytest.raises(FatalBrokerError, match="twice within a minute"):
        scene.broker.write(RESULTS)


def test_one_that_is_fenced_as_it_gets_transactions_is_told_of_the_name() -> None:
    """Two that start at once fence each other there."""
    with pytest.raises(FatalBrokerError, match=r"no transactions: .*under the same --instance name"):
        Scene(ExactlyOnce, started=FENCED)


def test_a_refusal_is_not_forgotten_where_the_abort_kills_the_producer() -> None:
    """However often: else the record would be looked for again until the worker took it for a fight with another."""
    scene = Scene(ExactlyOnce)
    for round_ in range(3):
        scene.failures |= {"commit_transaction": ABORTABLE, "abort_transaction": FENCED}
        scene.broker.write(RESULTS)
        scene.outlets[-1].refusal = True
        scene.outlets[-1].refused = {(0, round_): KafkaError(KafkaError.INVALID_RECORD)}
        with pytest.raises(AbortedError):
            scene.broker.checkpoint({0: 1})
        assert scene.outlets[-1].careful
        scene.broker.rewind()
    assert scene.broker._refused.keys() == {(0, 0), (0, 1), (0, 2)}


@pytest.mark.parametrize("kind", [ExactlyOnce, AtLeastOnce])
def test_what_the_client_refuses_is_tried_by_one_that_knows_what_topics_take_by_then(
    monkeypatch: pytest.MonkeyPatch, kind: type[KafkaBroker]
) -> None:
    """Its own limit is that of its making: without another one, a partition was held after its topic was mended."""
    scene = Scene(kind)
    too_large = AbortedError("too large", [1], AbortKind.REFUSED)
    monkeypatch.setattr(scene.outlets[0], "write", Mock(side_effect=too_large))
    with pytest.raises(AbortedError) as caught:
        scene.broker.write(RESULTS)
    assert (caught.value.kind, caught.value.culprits) == (AbortKind.REFUSED, frozenset({1}))
    assert [outlet.careful for outlet in scene.outlets] == [False, False]


def test_a_producer_that_is_dead_for_good_is_replaced_whichever_way_it_says_so() -> None:
    """After its first fatal error a client says _FATAL without the flag, also in reports of deliveries."""
    dead = KafkaError(KafkaError._FATAL, "dead", fatal=False)
    scene = Scene(AtLeastOnce)
    scene.broker.write(RESULTS)
    scene.outlets[-1].failed = dead
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1, 1: 1})
    assert len(scene.outlets) == 2


def test_nothing_is_written_or_committed_between_an_abort_and_its_rewind() -> None:
    """What would be written then would be committed with positions that the abort made wrong."""
    scene = Scene(ExactlyOnce, commit_transaction=ABORTABLE)
    scene.broker.write(RESULTS)
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1, 1: 1})
    scene.calls.clear()
    with pytest.raises(AbortedError, match="not been rewound"):
        scene.broker.write(RESULTS)
    assert scene.calls == []
    scene.broker.rewind()
    scene.broker.write(RESULTS)
    scene.broker.checkpoint({0: 1, 1: 1})
    assert scene.calls[-1] == "commit_transaction"


def test_a_worker_that_is_given_up_commits_nothing_while_it_leaves() -> None:
    """Leaving revokes partitions, and a lane's batch may have been taken and never written."""
    scene = Scene(ExactlyOnce)
    scene.broker.write(RESULTS)
    scene.broker.abandon()
    with pytest.raises(AbortedError):
        scene.broker.checkpoint({0: 1, 1: 1})
    assert "commit_transaction" not in scene.calls
    assert scene.group.commits == []
