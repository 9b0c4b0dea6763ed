"""All brokers are killed and away for a while: the worker waits, says since when, and goes on when they are back."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.support.cluster import NODES, KafkaCluster
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.topics import wait_until
from tests.support.work import Work
from tests.support.worker import Worker


@pytest.mark.timeout(300)
def test_with_all_brokers_away_the_worker_waits_and_says_so(
    cluster: KafkaCluster,
    open_stream: OpenStream,
    start_worker: StartWorker,
    seconds: Callable[[float, float], float],
    survived: Callable[[Fault], None],
) -> None:
    """No supervisor has to restart it, and nothing is lost or doubled."""
    stream = open_stream(brokers=cluster)
    away = seconds(12, 60)
    with Work(stream, start_worker(stream)) as work:
        cluster.kill(*NODES)
        time.sleep(away)  # how long they are away is what is tested
        wait_until(partial(_says_it_waits, work.worker, away / 2), 60, f"it does not say so:\n{work.worker.tail()}")
        cluster.start()
        resumed = work.wait_for_more()
        survived(work.end(f"all brokers away for {away:.0f} s", 1, f"more {resumed:.1f} s after they were back"))
    work.worker.stop()


def _says_it_waits(worker: Worker, least: float) -> bool:
    """Whether it has said that it waits for longer than so many seconds; it must not have ended."""
    assert worker.running, worker.tail()
    told = [*worker.logs("waiting for the broker"), *worker.logs("no broker answers")]
    return any(float(line["seconds"]) > least for line in told)
