"""What every Broker is held to (`consumer.broker`): files, memory, and Kafka in both ways of delivery."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from consumer.broker import Broker, EndOfInputError
from consumer.deadletter.causes import Code
from consumer.types import Cause, DeadLetter, Enriched, Event, Notes, Positions, Result, Stage
from tests.contract.worlds import FileWorld, KafkaWorld, MemoryWorld, World
from tests.support.kafka import KafkaBroker

# Far more than a broker on this machine needs to join a group and hand out a few events, in seconds.
PATIENCE = 30.0

LETTER = Cause(Stage.DECODE, Code.MALFORMED, "bad")


@pytest.fixture(params=["files", "memory", "exactly_once", "at_least_once"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """One world after the other; only those of Kafka start a broker."""
    if request.param == "files":
        return FileWorld()
    if request.param == "memory":
        return MemoryWorld()
    kafka = cast("KafkaBroker", request.getfixturevalue("kafka"))
    unique = cast("Callable[[str], str]", request.getfixturevalue("unique"))
    return KafkaWorld(kafka, unique, tmp_path, request.param)


class Lanes:
    """An assignment that remembers: where each partition began, and up to where its events were taken."""

    def __init__(self) -> None:
        self.began: dict[int, int] = {}
        self.next: dict[int, int] = {}
        self.notes: dict[int, str] = {}

    def joined(self) -> None:
        """The group has taken the member in."""

    def assigned(self, positions: Positions, notes: Notes) -> None:
        """Partitions came."""
        self.notes.update(notes)
        self.began.update(positions)
        self.next.update(positions)

    def revoked(self, partitions: Collection[int]) -> None:
        """Partitions go, without a checkpoint."""

    def lost(self, partitions: Collection[int]) -> None:
        """Partitions are gone."""

    def stopped(self, partition: int, why: str) -> None:
        """Fail: nothing here stops a partition."""
        raise AssertionError(f"partition {partition} stopped: {why}")

    def take(self, events: Sequence[Event]) -> None:
        """Note how far events go; each must be where the last one ended."""
        for event in events:
            assert event.offset() >= self.next[event.partition()]
            self.next[event.partition()] = event.offset() + 1


@contextmanager
def member(world: World) -> Iterator[tuple[Broker, Lanes]]:
    """A broker that has joined and will leave."""
    broker, lanes = world.open(), Lanes()
    broker.join(lanes)
    try:
        yield broker, lanes
    finally:
        broker.close()


def read(world: World, broker: Broker, lanes: Lanes, count: int, limit: int = 100) -> list[Event]:
    """Poll until ``count`` events came."""
    events: list[Event] = []
    patience = world.now() + PATIENCE
    while len(events) < count:
        assert world.now() < patience, f"{len(events)} of {count} events came"
        found = broker.poll(world.now() + 0.1, limit)
        assert len(found) <= limit
        lanes.take(found)
        events += found
    assert len(events) == count
    return events


def values(events: Sequence[Event], partition: int) -> list[bytes | None]:
    """Return the values of a partition's events."""
    return [event.value() for event in events if event.partition() == partition]


def enriched(events: Sequence[Event]) -> list[Result]:
    """Make enriched records."""
    return [Enriched(event, b"+" + (event.value() or b"")) for event in events]


def filled(world: World, count: int = 10) -> dict[int, list[bytes]]:
    """Fill all partitions."""
    made = {p: [b"%d-%d" % (p, number) for number in range(count)] for p in range(world.partitions)}
    world.fill(made)
    return made


def keeping(world: World) -> World:
    """Leave out worlds in which nothing outlives a broker."""
    if not world.keeps:
        pytest.skip("nothing outlives this broker, by design")
    return world


def test_partitions_are_told_from_within_poll(world: World) -> None:
    """Not by join; each begins at its first event where nothing was committed."""
    filled(world, 1)
    with member(world) as (broker, lanes):
        assert lanes.began == {}
        read(world, broker, lanes, world.partitions)
        assert lanes.began == dict.fromkeys(range(world.partitions), 0)


def test_events_of_a_partition_come_in_order(world: World) -> None:
    """All of them, once, with their place."""
    expected = filled(world)
    with member(world) as (broker, lanes):
        events = read(world, broker, lanes, 10 * world.partitions)
    for partition, made in expected.items():
        assert values(events, partition) == made
        assert [e.offset() for e in events if e.partition() == partition] == list(range(10))


def test_the_limit_is_respected(world: World) -> None:
    """A poll brings no more events than were asked for, and none is lost by asking for few."""
    filled(world)
    with member(world) as (broker, lanes):
        some = read(world, broker, lanes, 3, limit=1)
        rest = read(world, broker, lanes, 10 * world.partitions - 3, limit=4)
    assert len({(event.partition(), event.offset()) for event in some + rest}) == 10 * world.partitions


def test_an_idle_poll_waits_until_it_was_told(world: World) -> None:
    """Not less, and not much more; a finite input says that it has ended instead."""
    filled(world, 1)
    with member(world) as (broker, lanes):
        read(world, broker, lanes, world.partitions)
        until = world.now() + 0.3
        if world.ends:
            with pytest.raises(EndOfInputError):
                broker.poll(until, 10)
            return
        assert list(broker.poll(until, 10)) == []
        assert until - 0.01 <= world.now() < until + 2.0


def test_a_finite_input_says_so_again(world: World) -> None:
    """However often it is asked, before or after its last checkpoint."""
    if not world.ends:
        pytest.skip("this input never ends")
    filled(world, 1)
    with member(world) as (broker, lanes):
        read(world, broker, lanes, 1)
        for _ in range(2):
            with pytest.raises(EndOfInputError):
                broker.poll(world.now(), 10)
            broker.checkpoint(lanes.next)


def test_results_land_in_order_with_their_partition(world: World) -> None:
    """After the checkpoint, enriched records and dead letters are where they belong."""
    expected = filled(world)
    with member(world) as (broker, lanes):
        events = read(world, broker, lanes, 10 * world.partitions)
        results: list[Result] = [
            DeadLetter(event, LETTER) if event.offset() == 5 else Enriched(event, b"+" + (event.value() or b""))
            for event in events
        ]
        assert list(broker.write(results)) == []
        broker.checkpoint(lanes.next)
    assert world.enriched() == {
        p: [b"+" + value for place, value in enumerate(made) if place != 5] for p, made in expected.items()
    }
    assert sorted(world.dead()) == sorted((5, "Malformed", made[5]) for made in expected.values())


def test_positions_are_past_what_was_read(world: World) -> None:
    """Where everything was read, at the end."""
    filled(world, 3)
    with member(world) as (broker, lanes):
        read(world, broker, lanes, 3 * world.partitions)
        assert dict(broker.positions()) == dict.fromkeys(range(world.partitions), 3)


def test_a_checkpoint_of_nothing_does_nothing(world: World) -> None:
    """Neither before the first event nor twice at one place."""
    filled(world, 1)
    with member(world) as (broker, lanes):
        broker.checkpoint({})
        events = read(world, broker, lanes, world.partitions)
        broker.write(enriched(events))
        for _ in range(3):
            broker.checkpoint(lanes.next)
    assert [len(found) for found in world.enriched().values()] == [1] * world.partitions


def test_a_new_broker_continues_at_the_checkpoint(world: World) -> None:
    """What was committed does not come again, and the results are there once."""
    expected = filled(keeping(world), 4)
    with member(world) as (broker, lanes):
        broker.write(enriched(read(world, broker, lanes, 4 * world.partitions)))
        broker.checkpoint(lanes.next)
    world.fill({0: [b"more"]})
    with member(world) as (broker, lanes):
        events = read(world, broker, lanes, 1)
        assert lanes.began == dict.fromkeys(range(world.partitions), 4)
        assert [(e.partition(), e.offset(), e.value()) for e in events] == [(0, 4, b"more")]
    assert world.enriched() == {p: [b"+" + value for value in made] for p, made in expected.items()}


def test_a_new_broker_begins_at_the_oldest_open_event(world: World) -> None:
    """A checkpoint may lie before what was read."""
    filled(keeping(world), 4)
    with member(world) as (broker, lanes):
        events = read(world, broker, lanes, 4 * world.partitions)
        broker.write(enriched([event for event in events if event.offset() < 2]))
        broker.checkpoint(dict.fromkeys(range(world.partitions), 2))
    with member(world) as (broker, lanes):
        events = read(world, broker, lanes, 2 * world.partitions)
        assert {event.offset() for event in events} == {2, 3}


def test_positions_without_results_are_committed_too(world: World) -> None:
    """As of events that are no more than gaps and markers."""
    filled(keeping(world), 2)
    with member(world) as (broker, lanes):
        read(world, broker, lanes, 2 * world.partitions)
        broker.checkpoint(lanes.next)
    world.fill({0: [b"more"]})
    with member(world) as (broker, lanes):
        assert [event.value() for event in read(world, broker, lanes, 1)] == [b"more"]


def test_without_a_checkpoint_events_come_again(world: World) -> None:
    """A broker that is closed has not done what it did not check in."""
    filled(keeping(world), 2)
    for _ in range(2):
        with member(world) as (broker, lanes):
            events = read(world, broker, lanes, 2 * world.partitions)
            assert {event.offset() for event in events} == {0, 1}
            broker.write(enriched(events))


def test_without_a_checkpoint_no_result_is_seen(world: World) -> None:
    """By a read_committed reader, except where at least once was asked for."""
    filled(keeping(world), 2)
    with member(world) as (broker, lanes):
        broker.write(enriched(read(world, broker, lanes, 2 * world.partitions)))
    if not isinstance(world, KafkaWorld) or world.transactional:
        assert world.enriched() == {partition: [] for partition in range(world.partitions)}


def test_rewind_goes_back_to_what_is_committed(world: World) -> None:
    """And says where that is; the events after it come again."""
    filled(keeping(world), 4)
    with member(world) as (broker, lanes):
        events = read(world, broker, lanes, 4 * world.partitions)
        broker.write(enriched([event for event in events if event.offset() < 2]))
        broker.checkpoint(dict.fromkeys(range(world.partitions), 2))
        positions = dict(broker.rewind()[0])
        assert positions == dict.fromkeys(range(world.partitions), 2)
        lanes.next.update(positions)
        again = read(world, broker, lanes, 2 * world.partitions)
        assert {event.offset() for event in again} == {2, 3}


def test_a_held_partition_gives_nothing(world: World) -> None:
    """And keeps its offset, while the others go on."""
    filled(keeping(world), 1)
    with member(world) as (broker, lanes):
        read(world, broker, lanes, world.partitions)
        broker.hold(0)
        world.fill({0: [b"held"], 1: [b"goes"]})
        assert [event.value() for event in read(world, broker, lanes, 1)] == [b"goes"]
        assert list(broker.poll(world.now() + 0.2, 10)) == []


def test_a_released_partition_goes_on_where_it_is_told(world: World) -> None:
    """Also where its client had read further."""
    filled(keeping(world), 4)
    with member(world) as (broker, lanes):
        read(world, broker, lanes, 4 * world.partitions)
        broker.hold(0, "why")
        broker.release(0, 2)
        lanes.next[0] = 2
        again = read(world, broker, lanes, 2)
    assert [(event.partition(), event.offset()) for event in again] == [(0, 2), (0, 3)]


def test_invariant_5_a_note_is_told_to_who_comes_next(world: World) -> None:
    """Committed with the offset, kept by later checkpoints, and taken back by a release."""
    filled(keeping(world), 2)
    with member(world) as (broker, lanes):
        broker.write(enriched(read(world, broker, lanes, 2 * world.partitions)))
        broker.hold(0, "too many dead letters")
        broker.checkpoint(lanes.next)
        world.fill({1: [b"goes"]})
        broker.write(enriched(read(world, broker, lanes, 1)))
        broker.checkpoint(lanes.next)
    world.fill({0: [b"held"]})
    with member(world) as (broker, lanes):
        read(world, broker, lanes, 1)
        assert lanes.notes == {0: "too many dead letters"}
        broker.hold(0, "too many dead letters")
        broker.release(0, 2)
        broker.checkpoint({0: 2})
    with member(world) as (broker, lanes):
        assert [event.value() for event in read(world, broker, lanes, 1)] == [b"held"]
        assert lanes.notes == {}


def test_a_note_alone_is_worth_a_checkpoint(world: World) -> None:
    """A partition may be held where it stands, with nothing written."""
    filled(keeping(world), 1)
    with member(world) as (broker, lanes):
        read(world, broker, lanes, world.partitions)
        broker.hold(1, "stands")
        broker.checkpoint(dict.fromkeys(range(world.partitions), 0))
    with member(world) as (broker, lanes):
        read(world, broker, lanes, world.partitions)
        assert lanes.notes == {1: "stands"}


def test_ends_are_known_once_events_came(world: World) -> None:
    """Without asking a broker; a file does not know its own."""
    filled(world, 3)
    with member(world) as (broker, lanes):
        read(world, broker, lanes, 3 * world.partitions)
        assert dict(broker.ends()) == ({} if world.ends else dict.fromkeys(range(world.partitions), 3))


def test_files_refuse_what_they_cannot_do() -> None:
    """A file can't be written again, nor a part of it held: nobody may think so."""
    broker = FileWorld().open()
    with pytest.raises(NotImplementedError):
        broker.rewind()
    with pytest.raises(NotImplementedError):
        broker.hold(0)
    with pytest.raises(NotImplementedError):
        broker.release(0, 0)
