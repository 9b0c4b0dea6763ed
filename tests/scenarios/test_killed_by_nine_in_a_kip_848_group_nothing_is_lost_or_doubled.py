"""The same kills with `group.protocol: consumer`, where the broker assigns partitions and decides who is gone."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.killer import Killer, spread
from tests.support.stream import Feeder
from tests.support.verify import CommittedReader, verify, wait_until_caught_up


@pytest.mark.timeout(120)
def test_killed_by_nine_in_a_kip_848_group_nothing_is_lost_or_doubled(
    open_stream: OpenStream, start_worker: StartWorker, report: Callable[[str], None]
) -> None:
    """Kills lose nothing and double nothing under the new group protocol either."""
    stream = open_stream({"checkpoint": "300ms"}, protocol="consumer")
    with Feeder(stream, rate=600) as feeder, CommittedReader(stream.bootstrap, stream.output) as reader:
        killer = Killer(stream, partial(start_worker, stream), reader)
        waits = killer.kill_at_work(6)
        killer.kill_while_starting(2)
        total = feeder.stop()
        wait_until_caught_up(stream)
    verify(stream, range(total)).assert_exactly_once()
    report(
        f"kill -9, exactly_once in a KIP-848 group: {total} events, {killer.in_transaction} of {killer.kills} kills "
        f"with a transaction open; a read_committed reader waited {spread(waits)} (session time-out 2 s)"
    )
