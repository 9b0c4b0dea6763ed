"""One of three brokers is killed with -9 under load and comes back, each in turn: two copies of all are left."""

from collections.abc import Callable

import pytest

from tests.support.cluster import NODES, KafkaCluster
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.work import Work


@pytest.mark.timeout(240)
def test_a_broker_killed_by_nine_loses_nothing(
    cluster: KafkaCluster,
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """Whatever the broker led or coordinated, each event is enriched once, by a worker that lives on."""
    stream = open_stream(brokers=cluster)
    times, waits = rounds(1), []
    with Work(stream, start_worker(stream)) as work:
        for time in range(times):
            # The one that coordinates the group and the transactions is as good as any other, and comes in its turn.
            victim = NODES[time % len(NODES)] if times > 1 else cluster.leaders(stream.output)[0]
            cluster.kill(victim)
            waits.append(work.wait_for_more())
            cluster.start()
            work.wait_for_more()
        survived(work.end("one of three brokers killed by -9", times, f"written again after {max(waits):.1f} s"))
    work.worker.stop()
