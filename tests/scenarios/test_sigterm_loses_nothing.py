"""SIGTERM under load: the worker drains, commits what it has written, and is gone with code 0; a new one goes on.

Between the two, what is committed is what is written: each event before the committed offsets has its enriched
record, none behind them has.
"""

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Feeder
from tests.support.topics import committed, open_transactions, read_all, wait_until
from tests.support.verify import verify, wait_until_caught_up


def test_sigterm_loses_nothing(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """A worker that is told to stop leaves offsets that match its outputs, and the next one completes them."""
    stream = open_stream()
    with Feeder(stream, rate=1500) as feeder:
        worker = start_worker(stream, "first")
        worker.wait_until_assigned(3)
        wait_until(lambda: len(read_all(stream.bootstrap, stream.output)) > 2000, 30, "no load yet")
        worker.stop()
        assert not open_transactions(stream.bootstrap, stream.output)
        done = committed(stream.bootstrap, stream.name, stream.input)
        assert sum(offset or 0 for offset in done.values()) == len(read_all(stream.bootstrap, stream.output))
        start_worker(stream, "second").wait_until_assigned(3)
        total = feeder.stop()
    wait_until_caught_up(stream)
    verify(stream, range(total)).assert_exactly_once()
