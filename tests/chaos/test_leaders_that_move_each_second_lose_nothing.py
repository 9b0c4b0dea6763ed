"""The leaders of the input's and the output's partitions are moved to other brokers each second, under load."""

import time
from collections.abc import Callable

import pytest

from tests.support.cluster import KafkaCluster
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.work import Work


@pytest.mark.timeout(240)
def test_leaders_that_move_each_second_lose_nothing(
    cluster: KafkaCluster,
    open_stream: OpenStream,
    start_worker: StartWorker,
    seconds: Callable[[float, float], float],
    survived: Callable[[Fault], None],
) -> None:
    """Fetches and writes that come to the wrong broker go to the right one, once and in order."""
    stream = open_stream(brokers=cluster)
    moves = 0
    with Work(stream, start_worker(stream)) as work:
        end = time.monotonic() + seconds(8, 60)
        while (began := time.monotonic()) < end:
            leaders = cluster.leaders(stream.output)
            cluster.move_leaders(stream.output)
            cluster.move_leaders(stream.input)
            moved = cluster.leaders(stream.output)
            assert all(moved[partition] != leader for partition, leader in leaders.items())
            moves += 1
            time.sleep(max(0.0, began + 1 - time.monotonic()))  # each second is what is tested
        assert work.wait_for_more() < 30
        survived(work.end("leaders moved each second", moves))
    work.worker.stop()
