"""The active controller is restarted under load, and another one takes over."""

from collections.abc import Callable

import pytest

from tests.support.cluster import KafkaCluster
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.work import Work


@pytest.mark.timeout(240)
def test_another_controller_takes_over_and_nothing_is_lost(
    cluster: KafkaCluster,
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """The worker, in a KIP-848 group here, does not mind who controls the cluster."""
    stream = open_stream(brokers=cluster, protocol="consumer")
    times = rounds(1)
    with Work(stream, start_worker(stream), protocol="consumer") as work:
        for _ in range(times):
            old, new = cluster.move_controller()
            assert old != new
            waited = work.wait_for_more()
        survived(work.end("active controller restarted, another takes over", times, f"more after {waited:.1f} s"))
    work.worker.stop()
