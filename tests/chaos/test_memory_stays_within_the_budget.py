"""A backlog on 200 partitions, all of them one worker's: its memory stays below what its start line says.

Nothing grows with the backlog: what is fetched ahead, what is open and what is not delivered yet are all bounded.
"""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer

from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Protocol, Stream, value
from tests.support.topics import count_all, end_offsets, lag, wait_until
from tests.support.work import Delivery
from tests.support.worker import Worker

PARTITIONS = 200
CASES: list[tuple[Delivery, Protocol]] = [("exactly_once", "classic"), ("at_least_once", "consumer")]
# Bytes that the log may have by far; the backlog has a hundred times more.
LOG = 500_000


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
    *,
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    seconds: Callable[[float, float], float],
    survived: Callable[[Fault], None],
    tmp_path: Path,
) -> None:
    """From start to an empty backlog, looked at all the time; nothing is written to disk but the log."""
    events = int(seconds(200_000, 2_000_000))
    for delivery, protocol in CASES if rounds(0) else CASES[:1]:
        changes = {"delivery": delivery, "kafka": {"transaction.timeout.ms": 10_000}}
        stream = open_stream(changes, partitions=PARTITIONS, protocol=protocol, name=f"backlog-{protocol}")
        fill(stream, events)
        empty = tmp_path / f"empty-{protocol}"
        empty.mkdir()
        worker = start_worker(stream, environment={"TMPDIR": str(empty), "HOME": str(empty)})
        peak, budget = work_it_off(worker, stream, events)
        assert not list(empty.iterdir())
        note = f"at most {peak / 1e6:.0f} MB, budget {budget / 1e6:.0f} MB"
        survived(Fault(f"backlog on {PARTITIONS} partitions", protocol, delivery, 1, events, 0, 0, note))


def work_it_off(worker: Worker, stream: Stream, events: int) -> tuple[int, int]:
    """Look at a worker until its backlog is done and it has ended; the most bytes that it took, and its budget."""
    budget, process = worker.wait_for("started")["memory_budget_bytes"], psutil.Process(worker.pid)
    worker.wait_until_assigned(PARTITIONS)
    written, peak = process.io_counters().write_bytes, 0

    def done() -> bool:
        nonlocal peak
        peak = max(peak, process.memory_info().rss)
        # What is bounded by a sum of limits takes a third of it; a half would be something that nobody thought of.
        assert peak < budget["total"] / 2, f"{peak} bytes, budget {budget}"
        files = [Path(file.path).suffix for file in process.open_files() if file.mode != "r"]
        assert files == [".log"] * len(files), process.open_files()
        return sum(end_offsets(stream.bootstrap, stream.output).values()) >= events

    wait_until(done, 600, "the backlog is not done")
    wait_until(lambda: lag(stream.bootstrap, stream.name, stream.input) == 0, 60, "there is lag")
    assert process.io_counters().write_bytes - written < LOG
    assert worker.stop() == 0
    assert worker.wait_for_end("stopped")["enriched"] == events
    assert count_all(stream.bootstrap, stream.output) == events
    return peak, budget["total"]
