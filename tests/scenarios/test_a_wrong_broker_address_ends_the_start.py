"""Where no broker answers within 30 s of the start, the worker says so and ends with code 4."""

import socket
import time

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.kafka import HOST


def test_a_wrong_broker_address_ends_the_start(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """It tries for 30 s, and names the address."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))  # and never listens: connections are refused
        address = f"{HOST}:{taken.getsockname()[1]}"
        worker = start_worker(open_stream({"kafka": {"bootstrap.servers": address}}))
        began = time.monotonic()
        worker.wait(allowed=[4], within=45)
    assert 28 < time.monotonic() - began < 40
    assert address in worker.tail()


def test_a_worker_that_finds_no_broker_stops_when_it_is_told_to(
    open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """SIGTERM while it looks for a broker ends it at once with code 0: it has read nothing."""
    worker = start_worker(open_stream({"kafka": {"bootstrap.servers": "127.0.0.1:1"}}))
    worker.wait_for("librdkafka")
    worker.terminate()
    worker.wait(allowed=[0], within=10)
    assert worker.logs("stopped")[0]["why"] == "stopped before a broker was found"
