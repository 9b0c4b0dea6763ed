"""The only broker there is gets killed with -9, and comes back when the open transaction has timed out.

It then takes the transaction for aborted and may write no markers: its results would be committed with the next one.
"""

import time
from collections.abc import Callable

import pytest

from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.kafka import KafkaBroker
from tests.support.work import Work


@pytest.mark.timeout(600)
def test_a_lone_broker_that_is_away_for_long_doubles_nothing(
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """A read_committed reader sees each result once, and the worker lives on."""
    times = rounds(2)
    with KafkaBroker() as broker:
        stream = open_stream(brokers=broker)  # whose transactions time out after 3 s
        with Work(stream, start_worker(stream)) as work:
            for turn in range(times):
                # Right after a commit, while its markers are written, or at some time in the next transaction.
                time.sleep(turn % 3 * 0.037)
                broker.kill()
                time.sleep(3 + turn % 4)  # how long it is away is what is tested
                broker.restart()
                work.wait_for_more()
            survived(work.end("the only broker killed by -9, for longer than a transaction may take", times))
        work.worker.stop()
