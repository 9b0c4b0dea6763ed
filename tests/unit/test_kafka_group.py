"""What a member does when partitions come and go, without a broker: the client is played."""

import struct
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from consumer.broker import AbortedError
from consumer.exits import FatalBrokerError
from consumer.kafka import group as group_module
from consumer.kafka import membership as module
from consumer.kafka import offsets
from consumer.kafka.errors import Patience, WornOutError
from consumer.kafka.group import Group
from consumer.operate.pulse import Pulse
from consumer.types import Notes, Positions

PARTITIONS = {0: 5, 1: 9}


class FakeConsumer:
    """Owns what it is assigned; tells of the calls that change something."""

    def __init__(self, _: dict[str, Any]) -> None:
        self.calls: list[tuple[str, list[int]]] = []
        self.callbacks: dict[str, Callable[[Any, list[TopicPartition]], None]] = {}
        self.notes = {0: "held", 1: ""}
        self.generation = 1
        self.messages: list[Message] = []
        self.early = 0
        self.why = KafkaError._STATE
        self.refusing: set[int] = set()
        self.pending = False
        self.sought: list[tuple[int, int]] = []

    def subscribe(self, _: list[str], **callbacks: Callable[[Any, list[TopicPartition]], None]) -> None:
        """Keep the callbacks."""
        self.callbacks = callbacks

    def committed(self, places: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        """Tell what is committed, with notes, unless it is pending in a transaction."""
        del timeout
        if self.pending:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [
            TopicPartition(
                place.topic,
                place.partition,
                PARTITIONS[place.partition],
                self.notes[place.partition],
            )
            for place in places
        ]

    def memberid(self) -> str:
        """Have a name, as a member of a KIP-848 group has from the beginning."""
        return "me"

    def consumer_group_metadata(self) -> bytes:
        """Say in which generation it is a member."""
        return b"CGMDv2:" + struct.pack("=i", self.generation) + b"group\0me\0\1"

    def position(self, places: Sequence[TopicPartition]) -> list[TopicPartition]:
        """Be where it was assigned."""
        return list(places)

    def seek(self, place: TopicPartition) -> None:
        """Refuse it for a while after an assignment, and for ever where an offset is gone."""
        if self.early > 0 or place.partition in self.refusing:
            self.early -= 1
            raise KafkaException(KafkaError(self.why))
        self.sought.append((place.partition, place.offset))

    def consume(self, *_: object) -> list[Message]:
        """Have what was put there."""
        messages, self.messages = self.messages, []
        return messages

    def poll(self, *_: object) -> None:
        """Have nothing."""

    def close(self) -> None:
        """Leave the group."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        def call(places: list[TopicPartition]) -> None:
            self.calls.append((name, [place.partition for place in places]))

        return call


class Lanes:
    """Is told of partitions."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def joined(self) -> None:
        """Note it."""
        self.told.append(("joined", None))

    def assigned(self, positions: Positions, notes: Notes) -> None:
        """Note it."""
        self.told.append(("assigned", (dict(positions), dict(notes))))

    def revoked(self, partitions: Collection[int]) -> None:
        """Note it."""
        self.told.append(("revoked", list(partitions)))

    def lost(self, partitions: Collection[int]) -> None:
        """Note it."""
        self.told.append(("lost", list(partitions)))

    def stopped(self, partition: int, why: str) -> None:
        """Note it."""
        self.told.append(("stopped", (partition, why.partition(":")[0])))


@pytest.fixture
def member(monkeypatch: pytest.MonkeyPatch) -> tuple[Group, FakeConsumer, Lanes]:
    """A member with partitions 0 and 1, of which 0 was held by its predecessor."""
    monkeypatch.setattr(module, "Consumer", FakeConsumer)
    group = Group({}, "flights", "earliest", Patience(Pulse(60)))
    lanes = Lanes()
    group.join(lanes)
    client: Any = group._consumer
    client.callbacks["on_assign"](client, [TopicPartition("flights", p) for p in PARTITIONS])
    return group, client, lanes


def test_an_assignment_begins_where_the_group_stands_and_ends_every_pause(
    member: tuple[Group, FakeConsumer, Lanes],
) -> None:
    """A pause outlives revocation and assignment in one process (rule 10)."""
    _, client, lanes = member
    assert client.calls == [("incremental_assign", [0, 1]), ("resume", [0, 1])]
    assert lanes.told == [("assigned", (PARTITIONS, {0: "held"}))]


def test_an_assignment_is_answered_at_once_and_partitions_follow_when_their_offsets_are_told(
    member: tuple[Group, FakeConsumer, Lanes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client waits for one answer to a rebalance; a change of its assignment is never for nothing (rule 20)."""
    group, client, lanes = member
    group._drop([0, 1])
    client.calls.clear()
    lanes.told.clear()
    client.pending = True
    client.callbacks["on_assign"](client, [TopicPartition("flights", p) for p in PARTITIONS])
    assert client.calls == [("incremental_assign", [])]
    monkeypatch.setattr(group, "_ask_at", 0.0)
    group.poll(0.0, 10)
    assert client.calls == [("incremental_assign", [])]
    client.pending = False
    for _ in PARTITIONS:
        monkeypatch.setattr(group, "_ask_at", 0.0)
        group.poll(0.0, 10)
    assert [call for call in client.calls if call[1]] == [
        (what, [partition]) for partition in (1, 0) for what in ("incremental_assign", "resume")
    ]
    assert lanes.told[1:] == [("assigned", ({1: 9}, {})), ("assigned", ({0: 5}, {0: "held"}))]


@pytest.mark.parametrize("how", ["revoked", "lost"])
def test_what_goes_is_told_first_and_leaves_nothing_behind(
    how: str, member: tuple[Group, FakeConsumer, Lanes]
) -> None:
    """No note of a hold goes with a commit of whoever has the partition next, not even with our own."""
    group, client, lanes = member
    group.hold(0, "ours")
    client.calls.clear()
    client.callbacks["on_revoke" if how == "revoked" else "on_lost"](client, [TopicPartition("flights", 0)])
    assert lanes.told[-1] == (how, [0])
    assert client.calls == [("incremental_unassign", [0])]
    assert group.note(0) == ""
    assert [place.metadata for place in group.offsets({0: 5, 1: 9})] == ["", ""]


def test_a_held_partition_keeps_its_note_until_it_is_released(member: tuple[Group, FakeConsumer, Lanes]) -> None:
    """A commit without it would erase it (rule 11)."""
    group, client, _ = member
    group.hold(0, "ours")
    assert [(place.partition, place.metadata) for place in group.offsets({0: 5, 1: 9})] == [(0, "ours"), (1, "")]
    assert client.calls[-1] == ("pause", [0])


def dies(client: FakeConsumer) -> None:
    """Say what a message says of a fatal error: the code alone, and no word that it is one."""
    client.messages.append(Message(error=KafkaError(KafkaError._FATAL, "Broker: Group authorization failed")))


class DeniedConsumer(FakeConsumer):
    """Dies before it is a member."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.generation = 0
        dies(self)


def poll(group: Group) -> FakeConsumer:
    """Go round, and return the consumer that is there then."""
    group.poll(time.monotonic(), 10)
    consumer: Any = group._consumer
    return consumer  # type: ignore[no-any-return]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Join again without a pause."""
    monkeypatch.setattr(module, "_PAUSE", 0.0)


@pytest.mark.usefixtures("hasty")
def test_a_consumer_that_died_is_replaced_and_its_lanes_are_lost(member: tuple[Group, FakeConsumer, Lanes]) -> None:
    """A KIP-848 member whose group is denied is told so once, and would read nothing for ever."""
    group, client, lanes = member
    pulse: Any = group._patience.wait
    poll(group)
    dies(client)
    assert poll(group) is client
    second = poll(group)
    assert second is not client
    assert second.callbacks
    assert lanes.told[1:] == [("joined", None), ("lost", [0, 1]), ("joined", None)]
    assert pulse.waiting is None
    dies(second)
    poll(group)
    with pytest.raises(FatalBrokerError, match="the consumer can't go on: Broker: Group authorization failed"):
        poll(group)


@pytest.mark.usefixtures("hasty")
def test_a_consumer_that_is_not_taken_in_again_is_replaced_for_as_long_as_it_takes(
    member: tuple[Group, FakeConsumer, Lanes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits, visibly, till somebody grants what was taken away."""
    group, client, lanes = member
    pulse: Any = group._patience.wait
    poll(group)
    dies(client)
    poll(group)
    monkeypatch.setattr(module, "Consumer", DeniedConsumer)
    consumers = {id(poll(group)): None for _ in range(5)}
    assert len(consumers) > 1
    assert pulse.waiting[0] == "membership in the group"
    monkeypatch.setattr(module, "Consumer", FakeConsumer)
    poll(group)
    assert lanes.told[-1] == ("joined", None)
    assert pulse.waiting is None


def test_a_consumer_that_dies_before_it_was_ever_a_member_ends_the_start(
    member: tuple[Group, FakeConsumer, Lanes],
) -> None:
    """Its id is its own: only a generation makes a member of it."""
    group, client, lanes = member
    client.generation = 0
    dies(client)
    poll(group)
    with pytest.raises(FatalBrokerError, match="the consumer can't go on"):
        poll(group)
    assert ("joined", None) not in lanes.told


def test_a_partition_that_has_just_been_assigned_is_given_time_until_it_can_be_sought(
    member: tuple[Group, FakeConsumer, Lanes],
) -> None:
    """The client begins to fetch from it a while later, and refuses to seek until then."""
    group, client, _ = member
    client.early = 2
    group.seek({0: 3})
    assert client.sought == [(0, 3)]


@pytest.mark.usefixtures("hasty")
def test_what_came_to_a_consumer_in_the_poll_in_which_it_died_is_lost_too(
    member: tuple[Group, FakeConsumer, Lanes],
) -> None:
    """It was on its way back into the group: its lanes would stay, and belong to nobody."""
    group, client, lanes = member
    poll(group)
    client.callbacks["on_lost"](client, [TopicPartition("flights", p) for p in PARTITIONS])
    client.callbacks["on_assign"](client, [TopicPartition("flights", 1)])
    client.generation = 0
    dies(client)
    poll(group)
    assert poll(group) is not client
    assert [told for told in lanes.told if told[0] == "lost"] == [("lost", [0, 1]), ("lost", [1])]
    assert group.positions() == {}


def test_committed_offsets_that_are_not_told_are_waited_for_between_polls(
    member: tuple[Group, FakeConsumer, Lanes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer whose only broker stood still finds it again only when it is polled."""
    monkeypatch.setattr(group_module, "UNPOLLED", 0.0)
    group, client, _ = member
    client.pending = True
    with pytest.raises(WornOutError):
        group.committed()
    client.pending = False
    assert group.committed() == (PARTITIONS, {0: "held"})


def test_what_was_fetched_can_be_thrown_away(member: tuple[Group, FakeConsumer, Lanes]) -> None:
    """All of it, however many calls it takes; nothing of what else is told is lost."""
    group, client, lanes = member
    left = [[Message(topic="flights", partition=0, offset=at)] for at in range(3)] + [[gone(1)]]
    client.consume = lambda *_: left.pop(0) if left else []  # type: ignore[method-assign]
    group.throw_away()
    assert left == []
    group.poll(0.0, 1)
    assert lanes.told[-1][0] == "stopped"


class Pending(FakeConsumer):
    """Tells no stable offsets, as where a broker came back and never wrote the markers of a transaction."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.stable = config["isolation.level"] == "read_committed"

    def committed(self, places: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        """Time out, as the client does after it has asked again and again."""
        if self.stable:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return super().committed(places, timeout)


def test_offsets_that_are_pending_for_ever_are_not_committed(
    member: tuple[Group, FakeConsumer, Lanes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for them before it ends their transaction waits without end."""
    group, _, _ = member
    monkeypatch.setattr(offsets, "_PENDING", 0.0)
    monkeypatch.setattr(offsets, "Consumer", Pending)
    assert group.committed_by_anyone([0, 1], 60) == PARTITIONS


def test_partitions_whose_offsets_can_not_be_told_are_waited_for_visibly(
    member: tuple[Group, FakeConsumer, Lanes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that is given none but such would look like a spare one, which lacks nothing."""
    group, client, _ = member
    pulse: Any = group._patience.wait
    client.callbacks["on_revoke"](client, [TopicPartition("flights", p) for p in PARTITIONS])
    with monkeypatch.context() as pending:
        pending.setattr(client, "committed", _fail_with(KafkaError.UNSTABLE_OFFSET_COMMIT))
        client.callbacks["on_assign"](client, [TopicPartition("flights", 0)])
    assert pulse.waiting[0] == "offsets to begin from"
    group._ask_at = 0.0
    poll(group)
    assert pulse.waiting is None
    with monkeypatch.context() as pending:
        pending.setattr(client, "committed", _fail_with(KafkaError.UNSTABLE_OFFSET_COMMIT))
        client.callbacks["on_assign"](client, [TopicPartition("flights", 1)])
    client.callbacks["on_revoke"](client, [TopicPartition("flights", 1)])
    assert pulse.waiting is None


def _fail_with(code: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise KafkaException(KafkaError(code))

    return fail


def test_a_partition_is_read_again_also_where_it_could_not_be_sought(
    member: tuple[Group, FakeConsumer, Lanes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes back to what is committed then would else have a lane that is not held, and get nothing for it."""
    group, client, _ = member
    group.hold(0)
    monkeypatch.setattr(client, "seek", _fail_with(KafkaError._FATAL))
    with pytest.raises(KafkaException):
        group.release(0, 5)
    assert client.calls[-1] == ("resume", [0])


def test_a_partition_of_which_nothing_is_committed_any_more_is_held(
    member: tuple[Group, FakeConsumer, Lanes],
) -> None:
    """Brokers forget a group's offsets with the topic; where to go on then is a person's to say."""
    group, client, lanes = member
    group.hold(0, "ours")
    group.seek({0: -1001, 1: 9})
    assert (client.sought, client.calls[-1]) == ([(1, 9)], ("pause", [0]))
    assert lanes.told[-1] == ("stopped", (0, "nothing is committed any more"))
    assert group.note(0) == "ours"


def gone(partition: int) -> Message:
    """Say that an offset is out of range."""
    return Message(
        topic="flights", partition=partition, error=KafkaError(KafkaError._AUTO_OFFSET_RESET, "fetch failed")
    )


STOPPED = ("stopped", (0, "its committed offset is gone from the broker"))


def test_what_came_before_an_offset_that_is_gone_is_taken_in_first(member: tuple[Group, FakeConsumer, Lanes]) -> None:
    """A lane that is stopped takes no events, and these can't be read again."""
    group, client, lanes = member
    last: Any = Message(topic="flights", partition=0, offset=5)
    client.messages += [last, gone(0)]
    assert group.poll(time.monotonic(), 10) == [last]
    assert STOPPED not in lanes.told
    poll(group)
    assert (lanes.told[-1], client.calls[-1]) == (STOPPED, ("pause", [0]))
    before = list(lanes.told)
    poll(group)
    assert lanes.told == before


def test_an_offset_that_is_gone_is_known_also_where_the_poll_fails(member: tuple[Group, FakeConsumer, Lanes]) -> None:
    """The client tells it once."""
    group, client, lanes = member
    client.messages.append(gone(0))
    group._failure = AbortedError("in a callback")
    with pytest.raises(AbortedError):
        poll(group)
    poll(group)
    assert lanes.told[-1] == STOPPED


def test_a_partition_that_the_client_gave_up_stays_held_where_it_is_sought(
    member: tuple[Group, FakeConsumer, Lanes],
) -> None:
    """It refuses to seek there for ever: a worker that went back to what is committed would go on in no partition.

    Nor is its assignment changed between two polls, which may be what a rebalance waits for.
    """
    group, client, lanes = member
    client.messages.append(gone(0))
    poll(group)
    client.calls.clear()
    client.refusing = {0}
    group.seek({0: 5, 1: 9})
    assert (client.sought, client.calls) == ([(1, 9)], [("pause", [0])])
    assert lanes.told[-1] == STOPPED
    group.release(0, 5)
    assert client.calls == [("pause", [0])] * 2
    assert lanes.told[-2:] == [STOPPED] * 2


@pytest.mark.parametrize("code", [KafkaError._OUTDATED, KafkaError._PREV_IN_PROGRESS])
def test_a_seek_that_a_rebalance_overtakes_is_made_again(
    member: tuple[Group, FakeConsumer, Lanes], code: int
) -> None:
    """The client pauses what it has for a rebalance, whatever the worker is at: that is no end of it."""
    group, client, _ = member
    client.early, client.why = 1, code
    group.seek({0: 3})
    assert client.sought == [(0, 3)]


def test_an_offset_that_was_gone_says_nothing_of_who_has_the_partition_next(
    member: tuple[Group, FakeConsumer, Lanes],
) -> None:
    """It may come back to us, and another may have released it."""
    group, client, lanes = member
    client.messages.append(gone(0))
    poll(group)
    zero = [TopicPartition("flights", 0)]
    client.callbacks["on_revoke"](client, zero)
    client.messages.append(gone(0))
    poll(group)
    client.callbacks["on_assign"](client, zero)
    poll(group)
    assert STOPPED not in lanes.told
    group.seek({0: 5})
    assert client.sought == [(0, 5)]


def test_what_a_consumer_died_of_is_not_lost_behind_what_a_callback_raised(
    member: tuple[Group, FakeConsumer, Lanes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once; the failure of a callback is raised first."""
    group, client, lanes = member
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    poll(group)
    monkeypatch.setattr(lanes, "revoked", _abort)
    client.callbacks["on_revoke"](client, [TopicPartition("flights", 0)])
    dies(client)
    with pytest.raises(AbortedError):
        poll(group)
    assert poll(group) is not client


def test_what_ends_a_worker_is_not_lost_behind_an_abort(
    member: tuple[Group, FakeConsumer, Lanes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would go on after the rewind, with partitions that nobody reads; nor is it lost before one."""
    group, client, lanes = member
    client.callbacks["on_revoke"](client, [TopicPartition("flights", 0)])
    monkeypatch.setattr(lanes, "revoked", _abort)
    monkeypatch.setattr(lanes, "assigned", Mock(side_effect=FatalBrokerError("input.start is error")))
    client.callbacks["on_revoke"](client, [TopicPartition("flights", 1)])
    client.callbacks["on_assign"](client, [TopicPartition("flights", 0)])
    client.callbacks["on_revoke"](client, [TopicPartition("flights", 0)])
    with pytest.raises(FatalBrokerError, match=r"input\.start"):
        poll(group)


def _abort(_: Collection[int]) -> None:
    raise AbortedError("what was written can't be committed")
