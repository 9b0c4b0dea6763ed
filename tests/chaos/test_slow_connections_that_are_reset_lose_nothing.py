"""Each answer takes 300 ms more, and all connections are reset again and again, under load."""

import time
from collections.abc import Callable, Sequence

import pytest

from tests.support.faults import Fault
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
    far.network.delay(300)
    for _ in range(times):
        time.sleep(1)  # some requests go well in between
        far.network.reset()
    for work in far_works:
        work.wait_for_more()
    far.network.heal()
    for work in far_works:
        survived(work.end("300 ms of latency, connections reset", times))
        work.worker.stop()
