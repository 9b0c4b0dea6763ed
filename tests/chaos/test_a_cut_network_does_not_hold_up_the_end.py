"""SIGTERM while the network is cut ends the worker within its shutdown time-out; the next one completes the work."""

import time
from collections.abc import Callable

import pytest

from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.toxiproxy import BOTH, FarBroker
from tests.support.work import Work

SHUTDOWN = 3.0


@pytest.mark.timeout(300)
def test_a_cut_network_does_not_hold_up_the_end(
    far: FarBroker,
    open_far_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """Code 3, or 0 where nothing was left to commit; nothing is lost or doubled either way."""
    stream = open_far_stream({"operate": {"shutdown_timeout": f"{SHUTDOWN:g}s"}})
    times, took = rounds(1), []
    with Work(stream, start_worker(stream)) as work:
        for _ in range(times):
            far.network.swallow(*BOTH)
            time.sleep(0.5)  # calls are on their way into nowhere
            began = time.monotonic()
            work.worker.stop(allowed=[0, 3], within=SHUTDOWN + 10)
            took.append(time.monotonic() - began)
            far.network.heal()
            work.worker = start_worker(stream)
            work.wait_for_more()
        survived(work.end("SIGTERM while the network is cut", times, f"ended within {max(took):.1f} s"))
    assert max(took) < SHUTDOWN + 2
    work.worker.stop()
