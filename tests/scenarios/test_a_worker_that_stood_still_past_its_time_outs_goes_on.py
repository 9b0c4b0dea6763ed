"""A worker is frozen (a stopped container, a swapped-out machine) until everybody has given it up, and then goes on.

Its transaction is timed out by the coordinator and its partitions are somebody else's or nobody's: what it had open
is undone, and it comes back with a new producer, or as a member that begins anew.
"""

import pytest

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Feeder, Protocol, Stream
from tests.support.topics import open_transactions, wait_until
from tests.support.verify import verify, wait_until_caught_up
from tests.support.worker import Worker


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_alone_it_goes_on(protocol: Protocol, open_stream: OpenStream, start_worker: StartWorker) -> None:
    """Nobody took over: it takes up its work where it was."""
    stream = open_stream({"checkpoint": "500ms"}, protocol=protocol)
    with Feeder(stream, rate=600) as feeder:
        worker = start_worker(stream, "only")
        worker.wait_until_assigned(3)
        _freeze_in_transaction(stream, worker)
        wait_until(lambda: not open_transactions(stream.bootstrap, stream.output), 30, "no time-out")
        worker.thaw()
        total = feeder.stop()
        wait_until_caught_up(stream)
    worker.stop()
    verify(stream, range(total)).assert_exactly_once()


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_beside_a_successor_it_doubles_nothing(
    protocol: Protocol, open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """Another took over its partitions: it is no member any more when it wakes up, and writes nothing of theirs."""
    stream = open_stream({"checkpoint": "500ms"}, protocol=protocol)
    with Feeder(stream, rate=600) as feeder:
        worker = start_worker(stream, "sleeper")
        worker.wait_until_assigned(3)
        _freeze_in_transaction(stream, worker)
        successor = start_worker(stream, "successor")
        successor.wait_until_assigned(3)
        worker.thaw()
        wait_until(lambda: worker.lanes + successor.lanes == 3 and worker.lanes, 30, "it is not back in the group")
        total = feeder.stop()
        wait_until_caught_up(stream)
    worker.stop()
    successor.stop()
    verify(stream, range(total)).assert_exactly_once()


def test_only_its_transaction_timed_out(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """It is a member still, and rewinds the partitions that it has: no rebalance does that for it."""
    stream = open_stream({"checkpoint": "500ms", "kafka": {"session.timeout.ms": 30_000}})
    with Feeder(stream, rate=600) as feeder:
        worker = start_worker(stream, "only")
        worker.wait_until_assigned(3)
        _freeze_in_transaction(stream, worker)
        wait_until(lambda: not open_transactions(stream.bootstrap, stream.output), 30, "no time-out")
        worker.thaw()
        worker.wait_for("rewound to the last checkpoint")
        total = feeder.stop()
        wait_until_caught_up(stream)
    assert not worker.logs("partitions lost")
    worker.stop()
    verify(stream, range(total)).assert_exactly_once()


def _freeze_in_transaction(stream: Stream, worker: Worker) -> None:
    """Freeze a worker that has a transaction open."""

    def frozen() -> bool:
        worker.freeze()
        if open_transactions(stream.bootstrap, stream.output):
            return True
        worker.thaw()
        return False

    wait_until(frozen, 30, "no transaction was open")
