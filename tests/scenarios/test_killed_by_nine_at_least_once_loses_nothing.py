"""With `delivery: at_least_once`, kill -9 may double results but loses none; how many are doubled is measured."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.killer import Killer, spread
from tests.support.stream import Feeder
from tests.support.verify import CommittedReader, verify, wait_until_caught_up


@pytest.mark.timeout(120)
def test_killed_by_nine_at_least_once_loses_nothing(
    open_stream: OpenStream, start_worker: StartWorker, report: Callable[[str], None]
) -> None:
    """Every event is enriched at least once."""
    stream = open_stream({"checkpoint": "300ms", "delivery": "at_least_once"})
    with Feeder(stream, rate=600) as feeder, CommittedReader(stream.bootstrap, stream.output) as reader:
        killer = Killer(stream, partial(start_worker, stream), reader)
        waits = killer.kill_at_work(8)
        killer.kill_while_starting(2)
        total = feeder.stop()
        wait_until_caught_up(stream)
    outcome = verify(stream, range(total))
    assert not outcome.missing
    assert not outcome.dead
    assert outcome.duplicates.keys() <= set(range(total))
    report(
        f"kill -9, at_least_once: {total} events, {killer.kills} kills, 0 missing, {len(outcome.duplicates)} doubled;"
        f" a reader waited {spread(waits)}"
    )
