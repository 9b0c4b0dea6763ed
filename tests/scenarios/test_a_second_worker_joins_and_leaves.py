"""A second worker joins a working group, takes half of the partitions, and leaves again.

Nothing is lost or doubled, each key keeps its order, and the worker that stays goes on with the partitions that it
keeps: it gives away only those that move.
"""

import pytest

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Feeder, Protocol
from tests.support.verify import verify, wait_until_caught_up
from tests.support.worker import Worker

ROUNDS = 2
BACKLOG = 15_000


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_second_worker_joins_and_leaves(
    protocol: Protocol, open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """Partitions move, also while there is a backlog, and events don't get lost on the way."""
    stream = open_stream(partitions=6, protocol=protocol)
    with Feeder(stream, rate=1000, backlog=BACKLOG) as feeder:
        first = start_worker(stream, "first")
        first.wait_until_assigned(6)
        for turn in range(1, ROUNDS + 1):
            second = start_worker(stream, f"second-{turn}")
            second.wait_until_assigned(3)
            first.wait_until_assigned(3)
            assert len(_revoked(first)) == 3 * turn
            second.stop()
            first.wait_until_assigned(6)
        total = feeder.stop()
        wait_until_caught_up(stream)
    assert len(_revoked(first)) == 3 * ROUNDS
    assert not first.logs("partitions lost")
    verify(stream, range(total)).assert_exactly_once()


def _revoked(worker: Worker) -> list[int]:
    """The partitions that were taken from a worker."""
    return [partition for line in worker.logs("partitions revoked") for partition in line["partitions"]]
