"""A scale-up takes partitions from a worker that holds an open batch in each: what was open is the next owner's.

Redpanda Connect lost one batching window a revoked partition, 10,433 messages in one scale-up:
https://github.com/redpanda-data/connect/pull/4009
"""

from collections.abc import Callable
from functools import partial
from typing import get_args

from tests.support.abreast import side_by_side
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.storm import assignments, interpreters
from tests.support.stream import Feeder, Protocol, Stream
from tests.support.verify import Outcome, verify, wait_until_caught_up
from tests.support.worker import Worker

PARTITIONS = 6
# Windows that are open nearly always: as long as a whole second, and never full.
WINDOW = {"batch": {"wait": "1s", "rows": 4096}}


def test_a_scale_up_loses_no_batching_window_as_redpanda_connect_4009_did(
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """Two more workers join and leave: nothing is lost, and lanes that stay keep their batch and interpreter."""
    protocols = get_args(Protocol)
    streams = [
        open_stream(WINDOW, partitions=PARTITIONS, protocol=protocol, name=f"{protocol}-windows")
        for protocol in protocols
    ]
    results = side_by_side([partial(_scale, stream, start_worker, rounds(1)) for stream in streams])
    for protocol, (moved, total, outcome) in zip(protocols, results, strict=True):
        missing, doubled = len(outcome.missing), len(outcome.duplicates)
        note = "at most one interpreter was made for each partition that came, none for those that stayed"
        survived(Fault("scale-up with windows open", protocol, "exactly_once", moved, total, missing, doubled, note))
        outcome.assert_exactly_once()
        assert moved


def _scale(stream: Stream, start_worker: StartWorker, times: int) -> tuple[int, int, Outcome]:
    """Scale up and down so often; how many partitions were taken from the first, how many events, what became."""

    def start(instance: str) -> Worker:
        return start_worker(
            stream, instance, module="tests.support.slow_model", environment={"SLOW_MODEL_SECONDS": "0"}
        )

    with Feeder(stream, rate=600) as feeder:
        first = start("first")
        first.wait_until_assigned(PARTITIONS)
        for _ in range(times):
            more = [start(f"more-{number}") for number in range(2)]
            for worker in [first, *more]:
                worker.wait_until_assigned(2)
            for worker in more:
                worker.stop()
            first.wait_until_assigned(PARTITIONS)
        total = feeder.stop()
        wait_until_caught_up(stream)
    first.stop()
    moved = assignments(first) - PARTITIONS
    # One for each lane that came, at its first batch: lanes that stay keep theirs, and some go before they had one.
    assert PARTITIONS <= interpreters(first) <= assignments(first)
    # Two workers more take four partitions, one after the other, and give them back.
    assert 4 * times <= moved <= 6 * times
    assert not first.owned
    return moved, total, verify(stream, range(total))
