"""The network between worker and broker is cut, both ways or one way only, and mended: the worker resumes by itself.

Meanwhile it says since when it waits, in its log and its metrics, and is alive and ready: a restart would not help.

What is sent into a cut is swallowed; connections stay open and nothing tells that they are dead. The broker misses
the member, and aborts its transaction.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import pytest

from tests.support.faults import Fault
from tests.support.probing import Asking, wait_until_shown
from tests.support.scrape import scrape, total
from tests.support.topics import wait_until
from tests.support.toxiproxy import BOTH, Direction, FarBroker
from tests.support.work import Work
from tests.support.worker import Worker

# Where the log says since when it waits.
TOLD = {"waiting for the broker", "no broker answers"}

# Longer than the session (2 s) and the transaction (3 s) last without a word.
CUT = 5.0


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("what", "ways"),
    [
        ("network cut both ways", BOTH),
        ("network cut: nothing reaches the broker", BOTH[:1]),
        ("network cut: nothing reaches the worker", BOTH[1:]),
    ],
    ids=["both", "upstream", "downstream"],
)
def test_a_network_that_is_cut_loses_nothing(
    *,
    far: FarBroker,
    far_works: Sequence[Work],
    what: str,
    ways: tuple[Direction, ...],
    rounds: Callable[[int], int],
    seconds: Callable[[float, float], float],
    survived: Callable[[Fault], None],
) -> None:
    """Exactly once nothing is doubled either; at least once nothing is missing."""
    cuts = [CUT] * (rounds(1) - 1) + [seconds(CUT, 75)]  # past librdkafka's socket.timeout.ms of 60 s, in the end
    waits = []
    with ExitStack() as stack:
        probes = [stack.enter_context(Asking(work.worker)) for work in far_works]
        for length in cuts:
            far.network.swallow(*ways)
            time.sleep(length - 1)  # how long it is cut is what is tested
            before = [work.done() for work in far_works]
            time.sleep(1)
            assert [work.done() for work in far_works] == before, "the network is not cut"
            for work in far_works:
                wait_until_shown(work.worker, "broker away", timeout=10)  # since when, and no probe fails
            far.network.heal()
            waits.append(max([work.wait_for_more() for work in far_works]))
        for work in far_works:
            wait_until(partial(_goes_on, work.worker), 30, work.worker.tail)
    for asking in probes:
        assert {status for _, status in asking.answers} == {200}, asking.answers
    for work in far_works:
        assert [line for line in work.worker.logs() if line.get("event") in TOLD and "seconds" in line]
        survived(work.end(what, len(cuts), f"for {CUT:g} to {cuts[-1]:g} s; more {max(waits):.1f} s later at most"))
        work.worker.stop()


def _goes_on(worker: Worker) -> bool:
    """Whether it waits for nothing any more."""
    return total(scrape(worker.http), "onelane_broker_wait_seconds") == 0
