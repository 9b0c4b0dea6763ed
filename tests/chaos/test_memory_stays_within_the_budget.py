"""A backlog on 200 partitions, all of them one worker's: its memory stays below what its start line says.

Nothing grows with the backlog: what is fetched ahead, what is open and what is not delivered yet are all bounded.
"""

from collections.abc import Callable

import psutil
import pytest
from confluent_kafka import Producer

from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Stream, value
from tests.support.topics import count_all, end_offsets, lag, wait_until

PARTITIONS = 200


def fill(stream: Stream, events: int) -> None:
    """Write the same event again and again, to each partition in turn."""
    producer = Producer(
        {"bootstrap.servers": stream.bootstrap, "linger.ms": 20, "delivery.report.only.error": True, "acks": 1}
    )
    event = value(7)
    for number in range(events):
        while True:
            try:
                producer.produce(stream.input, event, partition=number % PARTITIONS)
            except BufferError:
                producer.poll(0.1)
            else:
                break
    assert producer.flush(60) == 0


@pytest.mark.timeout(900)
def test_invariant_8_memory_stays_within_the_budget(
    open_stream: OpenStream,
    start_worker: StartWorker,
    seconds: Callable[[float, float], float],
    survived: Callable[[Fault], None],
) -> None:
    """From start to an empty backlog, looked at all the time; nothing is written to disk."""
    events = int(seconds(200_000, 2_000_000))
    stream = open_stream({"kafka": {"transaction.timeout.ms": 10_000}}, partitions=PARTITIONS)
    fill(stream, events)
    worker = start_worker(stream)
    started = worker.wait_for("started")
    budget, process = started["memory_budget_bytes"], psutil.Process(worker.pid)
    worker.wait_until_assigned(PARTITIONS)
    peak = 0

    def done() -> bool:
        nonlocal peak
        peak = max(peak, process.memory_info().rss)
        assert peak < budget["total"], f"{peak} bytes, budget {budget}"
        return sum(end_offsets(stream.bootstrap, stream.output).values()) >= events

    wait_until(done, 600, "the backlog is not done")
    wait_until(lambda: lag(stream.bootstrap, stream.name, stream.input) == 0, 60, "there is lag")
    assert not [file.path for file in process.open_files() if "pytest" not in file.path]
    assert worker.stop() == 0
    assert worker.wait_for_end("stopped")["enriched"] == events
    assert count_all(stream.bootstrap, stream.output) == events
    note = f"at most {peak / 1e6:.0f} MB, budget {budget['total'] / 1e6:.0f} MB"
    survived(Fault(f"backlog on {PARTITIONS} partitions", "classic", "exactly_once", 1, events, 0, 0, note))
