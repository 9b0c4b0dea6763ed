"""The network is cut under a worker that has nothing to do: it notices by itself, and loses nothing of what comes.

Nothing of its own is on its way whose failing would tell it. The broker misses the member, and its producer may stand
idle for longer than anything lasts.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import get_args

import pytest

from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.probing import Asking
from tests.support.stream import Protocol
from tests.support.toxiproxy import BOTH, FarBroker
from tests.support.verify import verify, wait_until_caught_up

EVENTS = 60
# Longer than the session (2 s, 5 s in a KIP-848 group) lasts without a word.
CUT = 6.0


@pytest.mark.timeout(300)
def test_an_idle_worker_lives_through_a_cut_network(
    *,
    far: FarBroker,
    open_far_stream: OpenStream,
    start_worker: StartWorker,
    seconds: Callable[[float, float], float],
    survived: Callable[[Fault], None],
) -> None:
    """In both kinds of group; each event is enriched once."""
    streams = {
        protocol: open_far_stream(protocol=protocol, name=f"idle-{protocol}") for protocol in get_args(Protocol)
    }
    workers = {protocol: start_worker(stream, protocol) for protocol, stream in streams.items()}
    for protocol, stream in streams.items():
        stream.feed(range(EVENTS // 2))
        wait_until_caught_up(stream)
        workers[protocol].wait_until_assigned(3)
    cut = seconds(CUT, 75)
    with ExitStack() as stack:
        probes = [stack.enter_context(Asking(worker)) for worker in workers.values()]
        far.network.swallow(*BOTH)
        time.sleep(cut)  # how long it is cut is what is tested
        for stream in streams.values():
            stream.feed(range(EVENTS // 2, EVENTS))
    for asking in probes:
        assert {status for _, status in asking.answers} == {200}, asking.answers
    far.network.heal()
    healed = time.monotonic()
    for protocol, stream in streams.items():
        wait_until_caught_up(stream, 90)
        note = f"for {cut:g} s; caught up {time.monotonic() - healed:.1f} s later"
        verify(stream, range(EVENTS)).assert_exactly_once()
        survived(Fault("network cut under an idle worker", protocol, "exactly_once", 1, EVENTS, 0, 0, note))
        workers[protocol].stop()
