"""The producing side, by itself."""

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import msgspec
import pytest
from confluent_kafka import KafkaException

from consumer.kafka import aside
from consumer.kafka import outlet as module
from consumer.kafka.outlet import Outlet, Outputs
from consumer.operate.pulse import Pulse
from consumer.types import Enriched, PlainEvent

OUTPUTS = Outputs(input="in", enriched="out", dead="dead", model="m@1", pipeline="p@1", limit=None, partitions={})


@pytest.fixture
def silent() -> Iterator[str]:
    """Listen as a broker that is reached, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_record_that_is_not_delivered_in_time_was_cut_off(silent: str) -> None:
    """Not all brokers need be down for that: what its producer dies of afterwards is no fencing by another."""
    outlet = Outlet({"bootstrap.servers": silent, "message.timeout.ms": 300}, OUTPUTS, Pulse(60))
    outlet.write([Enriched(PlainEvent(b"{}"), b"{}")], {})
    assert not outlet.cut_off
    outlet.producer.flush(10)
    failed, topic = outlet.take_failure()
    assert failed is not None
    assert (failed.name(), topic) == ("_MSG_TIMED_OUT", "out")
    assert outlet.cut_off
    outlet.close()


def test_what_is_written_to_be_aborted_and_no_broker_takes_is_told(silent: str) -> None:
    """Whoever counts on its marker tries again."""
    outlet = Outlet({"bootstrap.servers": silent, "message.timeout.ms": 300}, OUTPUTS, Pulse(60))
    with pytest.raises(KafkaException) as failure:
        outlet.fill({"out": Enriched(PlainEvent(b"{}"), b"{}")}, [("out", 0), ("dead", 0)])
    assert failure.value.args[0].name() == "_MSG_TIMED_OUT"
    outlet.close()


class Played:
    """A producer that notes where records go, and whose queue has room for two.

    Attributes:
        topics: how many partitions each has; those that are gone have none.
    """

    topics: ClassVar[dict[str, int]] = {}

    def __init__(self, _: object) -> None:
        self.queue: list[tuple[str, int]] = []
        self.sent: list[tuple[str, int]] = []

    def list_topics(self, topic: str, timeout: float) -> SimpleNamespace:
        """Tell of a topic."""
        del timeout
        return SimpleNamespace(topics={topic: SimpleNamespace(partitions=range(self.topics[topic]))})

    def produce(self, topic: str, value: bytes, key: bytes | None, partition: int) -> None:
        """Queue a record."""
        del value, key
        if len(self.queue) == 2:
            raise BufferError
        self.queue.append((topic, partition))

    def poll(self, _: float) -> None:
        """Have nothing to tell."""

    def purge(self) -> None:
        """Nothing to purge."""

    def close(self) -> None:
        """Note by whom."""
        self.closed_by = threading.current_thread()

    def flush(self, _: float) -> int:
        """Send all."""
        self.sent += self.queue
        self.queue.clear()
        return 0


def test_a_topic_that_is_gone_changes_nothing_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A producer that is made meanwhile would send results to other partitions, and their order would be lost."""
    monkeypatch.setattr(module, "Producer", Played)
    outputs = msgspec.structs.replace(OUTPUTS, partitions={})
    monkeypatch.setattr(Played, "topics", {"in": 3, "out": 3, "dead": 3})
    Outlet({}, outputs, Pulse(60)).count_partitions()
    monkeypatch.setattr(Played, "topics", {"in": 3, "out": 3, "dead": 0})
    successor = Outlet({}, outputs, Pulse(60))
    successor.count_partitions()
    successor.write([Enriched(PlainEvent(b"{}", partition=2), b"{}")], {})
    producer: Any = successor.producer
    assert (producer.queue, successor.counted, successor.has_input) == ([("out", 2)], False, True)
    monkeypatch.setattr(Played, "topics", {"in": 0, "out": 4, "dead": 3})
    successor.count_partitions()
    successor.write([Enriched(PlainEvent(b"{}", partition=2), b"{}")], {})
    assert (producer.queue[-1], successor.has_input) == (("out", -1), False)


def test_more_than_the_queue_takes_is_written_to_be_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result may be a megabyte, and a topic have hundreds of partitions."""
    monkeypatch.setattr(module, "Producer", Played)
    outlet = Outlet({}, OUTPUTS, Pulse(60))
    places = [("out", partition) for partition in range(5)]
    outlet.fill({"out": Enriched(PlainEvent(b"{}"), b"{}")}, places)
    producer: Any = outlet.producer
    assert producer.sent == places


def test_a_producer_that_is_closed_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are many where one after the other is of no use."""
    monkeypatch.setattr(module, "Producer", Played)
    outlet = Outlet({}, OUTPUTS, Pulse(60))
    producer: Any = outlet.producer
    outlet.close()
    producer.closed_by.join(10)
    assert not producer.closed_by.is_alive()


class Stuck:
    """A producer whose close comes back when it is told to, as one against brokers that stand still."""

    def __init__(self, _: object) -> None:
        self.closing = threading.Event()
        self.over = threading.Event()

    def purge(self) -> None:
        """Nothing to purge."""

    def close(self) -> None:
        """Wait."""
        self.closing.set()
        self.over.wait()


def test_a_producer_that_does_not_close_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was seen to take more than six minutes, and a worker that waits for it so long is ended by its watchdog."""
    monkeypatch.setattr(module, "Producer", Stuck)
    monkeypatch.setattr(aside, "_CLOSING", 0.05)
    outlet = Outlet({}, OUTPUTS, Pulse(60))
    producer: Any = outlet.producer
    outlet.close()
    assert producer.closing.is_set()
    outlet.close()
    producer.over.set()
