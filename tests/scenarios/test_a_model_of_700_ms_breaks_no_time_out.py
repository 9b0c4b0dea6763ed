"""A model that takes 700 ms an inference runs one row a batch, and every time-out still holds.

The group never misses the worker, a second one can join meanwhile, and SIGTERM ends it in time: what is not enriched
by then is not committed, and is read again.
"""

import time
from collections.abc import Mapping

import pytest

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Protocol, Stream
from tests.support.topics import committed, read_all, wait_until
from tests.support.verify import verify, wait_until_caught_up
from tests.support.worker import Worker

CHANGES: Mapping[str, object] = {"batch": {"time": "1s", "wait": "20ms"}, "kafka": {"transaction.timeout.ms": 5000}}


def start_slow(stream: Stream, start_worker: StartWorker, instance: str) -> Worker:
    """Start a worker with the slow model."""
    return start_worker(
        stream, instance, module="tests.support.slow_model", environment={"SLOW_MODEL_SECONDS": "0.7"}
    )


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_model_of_700_ms_breaks_no_time_out(
    protocol: Protocol, open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """All events are enriched, and a second worker takes its share in reasonable time."""
    stream = open_stream(CHANGES, partitions=4, protocol=protocol)
    stream.feed(range(16))
    first = start_slow(stream, start_worker, "first")
    assert first.wait_for("started")["batch"]["rows"] == 1
    second = start_slow(stream, start_worker, "second")
    second.wait_for("started")
    began = time.monotonic()
    wait_until(lambda: first.lanes == second.lanes == 2, 15, "the two do not share the work")
    assert time.monotonic() - began < 10
    wait_until_caught_up(stream)
    for worker in (first, second):
        assert not worker.logs("partitions lost")
        assert not worker.logs("rewound to the last checkpoint")
        assert not worker.logs("the producer is replaced")
        worker.stop()
    verify(stream, range(16)).assert_exactly_once()


def test_sigterm_ends_a_slow_worker_in_time(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """More is open than it can do when it is told to stop; what it writes by then is committed, none is undone."""
    stream = open_stream(CHANGES, partitions=2)
    first = start_slow(stream, start_worker, "first")
    first.wait_until_assigned(2)
    stream.feed(range(60))
    wait_until(lambda: read_all(stream.bootstrap, stream.output), 30, "nothing is enriched")
    first.stop(within=25)
    assert not first.logs("rewound to the last checkpoint")
    done = committed(stream.bootstrap, stream.name, stream.input)
    written = read_all(stream.bootstrap, stream.output)
    assert sum(offset or 0 for offset in done.values()) == len(written)
    assert len(written) < 60
    start_worker(stream, "second")  # with the model as it is
    wait_until_caught_up(stream)
    verify(stream, range(60)).assert_exactly_once()
