"""The leaders of the input's and the output's partitions are moved to other brokers each second, under load."""

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.support.cluster import KafkaCluster
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Protocol
from tests.support.work import Delivery, Work


@pytest.mark.timeout(240)
def test_leaders_that_move_each_second_lose_nothing(
    cluster: KafkaCluster,
    open_stream: OpenStream,
    start_worker: StartWorker,
    seconds: Callable[[float, float], float],
    survived: Callable[[Fault], None],
) -> None:
    """Fetches and writes that come to the wrong broker go to the right one, in order, and once where promised."""
    works = []
    moves = round(seconds(8, 60))
    cells: tuple[tuple[Delivery, Protocol], ...] = (("exactly_once", "classic"), ("at_least_once", "consumer"))
    for delivery, protocol in cells:
        name = delivery.replace("_", "-")
        stream = open_stream({"delivery": delivery}, protocol=protocol, brokers=cluster, name=name)
        works.append(Work(stream, start_worker(stream, name), protocol=protocol, delivery=delivery))
    topics = [topic for work in works for topic in (work.stream.input, work.stream.output)]
    with ExitStack() as stack:
        for work in works:
            stack.enter_context(work)
        move = stack.enter_context(cluster.moving_leaders(*topics))
        began = time.monotonic()
        for number in range(moves):
            move()  # and wait till each partition has another leader
            time.sleep(max(0.0, began + number + 1 - time.monotonic()))  # each second is what is tested
        lasted = time.monotonic() - began
        for work in works:
            assert work.wait_for_more() < 30
        for work in works:
            survived(work.end("leaders moved each second", moves, f"{moves} times within {lasted:.0f} s"))
    for work in works:
        work.worker.stop()
