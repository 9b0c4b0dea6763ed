"""Without events there are no transactions: no markers on the output topic, no traffic to the coordinator."""

import time

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Stream
from tests.support.topics import end_offsets
from tests.support.verify import wait_until_caught_up

IDLE_SECONDS = 3.0
ATTEMPTS = 5


def test_an_idle_worker_makes_no_transactions(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """There are three seconds in which nothing is written that an idle worker would write again and again.

    Other groups on this broker may write meanwhile, such as those whose workers were killed by another test.
    """
    stream = open_stream()
    worker = start_worker(stream)
    worker.wait_until_assigned(3)
    stream.feed(range(100))
    wait_until_caught_up(stream)
    written = _ends(stream)[0]
    assert sum(written.values()) > 100
    assert any(_stay_for(IDLE_SECONDS, stream) for _ in range(ATTEMPTS))
    assert _ends(stream)[0] == written
    worker.stop()


def _stay_for(seconds: float, stream: Stream) -> bool:
    """Whether the ends stay where they are."""
    before = _ends(stream)
    time.sleep(seconds)  # that nothing happens can't be waited for otherwise
    return _ends(stream) == before


def _ends(stream: Stream) -> list[dict[int, int]]:
    """Where the topics end that a transaction writes to."""
    topics = (stream.output, stream.dead, "__transaction_state", "__consumer_offsets")
    return [end_offsets(stream.bootstrap, topic, "read_uncommitted") for topic in topics]
