"""The producing side, by itself."""

import socket
from collections.abc import Iterator

import pytest

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
