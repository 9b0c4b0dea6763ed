"""A worker is killed with -9 twenty times at random moments while events keep coming, and restarted each time.

A read_committed reader sees each event's result once, in the order of its key. A worker that comes back under the
same instance name aborts what it left open as soon as it starts; one with a new name leaves it to the transaction
time-out (3 s here, 10 s by default), and readers wait as long. Both waits are measured; none is shorter than the
session time-out (2 s here), after which the group gives a dead member's partitions away.
"""

import secrets
from collections.abc import Callable
from functools import partial

import pytest

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.killer import Killer, spread
from tests.support.stream import Feeder
from tests.support.verify import CommittedReader, verify, wait_until_caught_up

LEAST_IN_TRANSACTION = 5


@pytest.mark.timeout(180)
def test_killed_by_nine_twenty_times_nothing_is_lost_or_doubled(
    open_stream: OpenStream, start_worker: StartWorker, report: Callable[[str], None]
) -> None:
    """Kills lose nothing and double nothing, also with transactions open."""
    stream = open_stream({"checkpoint": "300ms"})
    with Feeder(stream, rate=600) as feeder, CommittedReader(stream.bootstrap, stream.output) as reader:
        killer = Killer(stream, partial(start_worker, stream), reader)
        stable = killer.kill_at_work(13)
        random = killer.kill_at_work(3, lambda: secrets.token_hex(4))
        killer.kill_while_starting(4)
        total = feeder.stop()
        wait_until_caught_up(stream)
    verify(stream, range(total)).assert_exactly_once()
    assert killer.kills == 20
    assert killer.in_transaction >= LEAST_IN_TRANSACTION
    report(
        f"kill -9, exactly_once: {total} events, {killer.in_transaction} of {killer.kills} kills with a transaction "
        f"open; a read_committed reader waited {spread(stable)} where the worker came back under its name, "
        f"{spread(random)} where under another (transaction time-out 3 s, session 2 s)"
    )
