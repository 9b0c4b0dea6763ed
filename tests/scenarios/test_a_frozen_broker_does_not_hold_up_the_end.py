"""A broker that is frozen (connections open, no answers) makes calls ignore their time-outs; SIGTERM still ends it.

The process is gone within its shutdown time-out, with code 3; once the broker answers again, a new one completes
the work.
"""

import time
from collections.abc import Callable

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.kafka import KafkaBroker
from tests.support.stream import Feeder, Stream
from tests.support.topics import read_all, wait_until
from tests.support.verify import verify, wait_until_caught_up
from tests.support.worker import Worker


def test_a_frozen_broker_does_not_hold_up_the_end(
    kafka: KafkaBroker, open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """SIGTERM, then the end within the time-out."""
    stream = open_stream({"operate": {"shutdown_timeout": "3s"}})

    def end(worker: Worker) -> None:
        worker.terminate()
        began = time.monotonic()
        worker.wait(allowed=[3], within=10)
        assert 2.5 < time.monotonic() - began < 5

    _end_while_frozen(kafka, stream, start_worker, end)


def test_a_second_signal_ends_it_at_once(
    kafka: KafkaBroker, open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """Who sends SIGTERM twice means it."""
    stream = open_stream({"operate": {"shutdown_timeout": "60s"}})

    def end(worker: Worker) -> None:
        worker.terminate()
        worker.wait_for("stopping")
        worker.terminate()
        worker.wait(allowed=[3], within=2)

    _end_while_frozen(kafka, stream, start_worker, end)


def _end_while_frozen(
    kafka: KafkaBroker, stream: Stream, start_worker: StartWorker, end: Callable[[Worker], None]
) -> None:
    """Freeze the broker under load, end the worker, thaw the broker, and let another worker complete the work."""
    with Feeder(stream, rate=600) as feeder:
        worker = start_worker(stream, "first")
        worker.wait_until_assigned(3)
        wait_until(lambda: read_all(stream.bootstrap, stream.output), 30, "no load yet")
        kafka.freeze()
        try:
            end(worker)
        finally:
            kafka.thaw()
        start_worker(stream, "second").wait_until_assigned(3)
        total = feeder.stop()
        wait_until_caught_up(stream)
    verify(stream, range(total)).assert_exactly_once()
