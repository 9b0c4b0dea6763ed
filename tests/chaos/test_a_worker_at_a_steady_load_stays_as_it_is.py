"""A worker under a steady load for SECONDS (25; `make soak` has half an hour): its memory, files and threads stay.

Sampled after a warm-up, in which arenas, queues and connections grow to what the load needs. Nothing is lost or
doubled.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import linear_regression
from typing import Final

import psutil
import pytest
from confluent_kafka import Message

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Feeder
from tests.support.topics import wait_until
from tests.support.verify import CommittedReader, event_id, wait_until_caught_up

SECONDS: Final = float(os.environ.get("SECONDS", "25"))
RATE: Final = 500
PERIOD: Final = 0.5
# The short run has its first 10 s to warm up, the long one its first 3 minutes.
WARM_UP: Final = min(0.4 * SECONDS, 180.0)
LONG: Final = 300.0
# What memory may grow in all once it is warm, in MB: allocators breathe, a leak of a byte an event would not pass.
GROWTH: Final = 8.0
# Brokers close connections that are idle for ten minutes, and clients open them again.
BREATH: Final = 2 if SECONDS > LONG else 0

MB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process holds at a moment."""

    at: float
    rss: float
    files: int
    threads: int


class Tally(CommittedReader):
    """A read_committed reader that counts how often each event's result came.

    Attributes:
        counts: by id.
        seen: results in all.
    """

    def __init__(self, bootstrap: str, topic: str, size: int) -> None:
        super().__init__(bootstrap, topic)
        self.counts = bytearray(size)
        self.seen = 0

    def note(self, message: Message) -> None:
        """Count a result."""
        self.counts[event_id(message.value() or b"")] += 1
        self.seen += 1


@pytest.mark.timeout(300 + 2 * SECONDS)
def test_a_worker_at_a_steady_load_stays_as_it_is(
    open_stream: OpenStream, start_worker: StartWorker, report: Callable[[str], None]
) -> None:
    """No file and no thread more, and memory that is flat."""
    stream = open_stream()
    worker = start_worker(stream)
    worker.wait_until_assigned(3)
    most = round(RATE * (SECONDS + 120))
    with Tally(stream.bootstrap, stream.output, most) as tally:
        with Feeder(stream, RATE) as feeder:
            samples = _samples(psutil.Process(worker.pid))
            total = feeder.stop()
        wait_until_caught_up(stream)
        worker.stop()
        wait_until(lambda: tally.seen >= total, 60, "a reader does not see all results")
    assert len(samples) > 0.5 * (SECONDS - WARM_UP) / PERIOD
    slope = linear_regression([one.at for one in samples], [one.rss for one in samples]).slope
    files, threads = {one.files for one in samples}, {one.threads for one in samples}
    report(
        f"steady load: {total} events in {SECONDS:g} s, memory {samples[0].rss:.1f} to {samples[-1].rss:.1f} MB "
        f"(trend {3600 * slope:+.1f} MB an hour), {_range(files)} open files, {_range(threads)} threads"
    )
    assert tally.counts.count(1) == total
    assert tally.counts.count(0) == most - total
    assert max(files) - min(files) <= BREATH
    assert max(threads) - min(threads) <= BREATH
    assert slope * (SECONDS - WARM_UP) < GROWTH


def _samples(process: psutil.Process) -> list[Sample]:
    """Look at a process until the time is over, and return what was seen after the warm-up."""
    began = time.monotonic()
    samples = []
    while (at := time.monotonic() - began) < SECONDS:
        if at > WARM_UP:
            samples.append(Sample(at, process.memory_info().rss / MB, process.num_fds(), process.num_threads()))
        time.sleep(PERIOD)  # a steady load is a matter of time
    return samples


def _range(found: set[int]) -> str:
    return f"{min(found)}" if len(found) == 1 else f"{min(found)} to {max(found)}"
