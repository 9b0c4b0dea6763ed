"""Each answer takes 300 ms more, and all connections are reset again and again, under load."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from psutil import Process

from tests.support.faults import Fault
from tests.support.scrape import scrape, total
from tests.support.topics import wait_until
from tests.support.toxiproxy import FarBroker
from tests.support.work import Work


@pytest.mark.timeout(300)
def test_slow_connections_that_are_reset_lose_nothing(
    far: FarBroker,
    far_works: Sequence[Work],
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """Requests whose answers are lost are asked again, and count once."""
    times = rounds(6)
    spent = [_checkpoints(work) for work in far_works]
    far.network.delay(300)
    lost = [0 for _ in far_works]
    for _ in range(times):
        time.sleep(1)  # some requests go well in between
        before = [wait_until(partial(_connections, work, far), 30, work.worker.tail) for work in far_works]
        with far.network.resetting():
            # Of any: one over which nothing comes any more is not reset, and may be all that a worker has just now.
            gone = wait_until(partial(_gone, before, far_works, far), 30, "no connection is lost")
        lost = [sum(both) for both in zip(lost, gone, strict=True)]
    for work in far_works:
        work.wait_for_more()
    slow = [_checkpoints(work) for work in far_works]
    far.network.heal()
    assert all(lost), lost
    for work, (seconds, count), (until, last), connections in zip(far_works, spent, slow, lost, strict=True):
        assert until - seconds > 0.25 * (last - count) > 0, "the network is not slow"
        note = f"{connections} connections lost; a checkpoint took {(until - seconds) / (last - count):.1f} s"
        survived(work.end("300 ms of latency, connections reset", times, note))
        work.worker.stop()


def _checkpoints(work: Work) -> tuple[float, float]:
    """How many seconds a worker has spent in checkpoints, and how many it has made."""
    found = scrape(work.worker.http)
    return total(found, "onelane_checkpoint_seconds_sum"), total(found, "onelane_checkpoint_seconds_count")


def _connections(work: Work, far: FarBroker) -> set[int]:
    """The worker's own ports of its connections to the broker."""
    connections = Process(work.worker.pid).net_connections("tcp")
    return {one.laddr.port for one in connections if one.raddr[1:] == (far.network.port,)}


def _gone(before: Sequence[set[int]], works: Sequence[Work], far: FarBroker) -> list[int]:
    """How many of these connections each worker has no more; nothing, while all have all of them."""
    gone = [len(ports - _connections(work, far)) for ports, work in zip(before, works, strict=True)]
    return gone if any(gone) else []
