"""The producing side, by itself."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaException

from consumer.kafka import outlet as module
from consumer.kafka.outlet import Outlet, Outputs
from consumer.operate.pulse import Pulse
from consumer.types import Enriched, PlainEvent

OUTPUTS = Outputs(input="in", enriched="out", dead="dead", model="m@1", pipeline="p@1", limit=None)


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
    monkeypatch.setattr(module, "_CLOSING", 0.05)
    outlet = Outlet({}, OUTPUTS, Pulse(60))
    producer: Any = outlet.producer
    outlet.close()
    assert producer.closing.is_set()
    outlet.close()
    producer.over.set()
