"""What a member does when partitions come and go, without a broker: the client is played."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from consumer.kafka import group as module
from consumer.kafka.errors import Patience
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

    def subscribe(self, _: list[str], **callbacks: Callable[[Any, list[TopicPartition]], None]) -> None:
        """Keep the callbacks."""
        self.callbacks = callbacks

    def committed(self, places: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        """Tell what is committed, with notes."""
        del timeout
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
        """Be a member."""
        return "me"

    def consume(self, *_: object) -> list[object]:
        """Have nothing."""
        return []

    def poll(self, *_: object) -> None:
        """Have nothing."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        def call(places: list[TopicPartition]) -> None:
            self.calls.append((name, [place.partition for place in places]))

        return call


class Lanes:
    """Is told of partitions."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def joined(self) -> None:
        """Nothing to note."""

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
        """Never told here."""
        raise AssertionError((partition, why))


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
