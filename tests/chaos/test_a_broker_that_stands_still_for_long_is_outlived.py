"""The only broker is frozen (connections open, no answers) for longer than the worker's patience with a client.

The worker replaces its producer, which does not close against such a broker: seen to take more than six minutes.
"""

import time
from collections.abc import Callable

import pytest

from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.kafka import KafkaBroker
from tests.support.scrape import ask
from tests.support.topics import committed, wait_until
from tests.support.verify import verify, wait_until_caught_up

EVENTS = 30_000


@pytest.mark.timeout(900)
def test_a_broker_that_stands_still_for_long_is_outlived(
    open_stream: OpenStream,
    start_worker: StartWorker,
    seconds: Callable[[float, float], float],
    survived: Callable[[Fault], None],
) -> None:
    """It is alive all the time, and goes on by itself; the long run outlasts the watchdog's limit too."""
    with KafkaBroker() as broker:
        stream = open_stream({"batch": {"rows": 16}}, brokers=broker)
        stream.feed(range(EVENTS))
        worker = start_worker(stream)
        wait_until(lambda: any(committed(stream.bootstrap, stream.name, stream.input).values()), 60, "no checkpoint")
        broker.freeze()
        try:
            thaw = time.monotonic() + seconds(75, 420)
            while time.monotonic() < thaw:
                assert ask(worker.http, "/live").status == 200
                time.sleep(1)  # how long it stands still is what is tested
        finally:
            broker.thaw()
        wait_until_caught_up(stream, 120)
        verify(stream, range(EVENTS)).assert_exactly_once()
        assert len(worker.logs("the producer is replaced")) > 0
        assert worker.stop() == 0
        survived(Fault("the only broker frozen for 75 s and more", "classic", "exactly_once", 1, EVENTS, 0, 0))
