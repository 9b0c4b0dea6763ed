"""A scale-up takes partitions from a worker that holds an open batch in each: what was open is the next owner's.

Redpanda Connect lost one batching window a revoked partition, 10,433 messages in one scale-up:
https://github.com/redpanda-data/connect/pull/4009

What is open of partitions that stay is kept: nothing is read again, but where a checkpoint comes to a group that has
just gone on without it, and its transaction is aborted.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import get_args

from tests.support.abreast import side_by_side
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.scrape import scrape
from tests.support.scrape import total as total_of
from tests.support.storm import assignments, interpreters
from tests.support.stream import Feeder, Protocol, Stream
from tests.support.verify import Outcome, verify, wait_until_caught_up
from tests.support.work import Delivery
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
    cells: list[tuple[Protocol, Delivery]] = list(product(get_args(Protocol), get_args(Delivery)))
    if not rounds(0):
        cells.remove(("classic", "at_least_once"))
    streams = [
        open_stream(
            {**WINDOW, "delivery": delivery},
            partitions=PARTITIONS,
            protocol=protocol,
            name=f"{protocol}-{delivery}".replace("_", "-"),
        )
        for protocol, delivery in cells
    ]
    results = side_by_side(
        [
            partial(_scale, stream, start_worker, rounds(1), delivery)
            for stream, (_, delivery) in zip(streams, cells, strict=True)
        ]
    )
    for (protocol, delivery), (moved, total, outcome) in zip(cells, results, strict=True):
        missing, doubled = len(outcome.missing), len(outcome.duplicates)
        note = "at most one interpreter was made for each partition that came, none for those that stayed"
        survived(Fault("scale-up with windows open", protocol, delivery, moved, total, missing, doubled, note))
        outcome.assert_each_enriched()
        if delivery == "exactly_once":
            outcome.assert_exactly_once()
        assert moved


def _scale(stream: Stream, start_worker: StartWorker, times: int, delivery: Delivery) -> tuple[int, int, Outcome]:
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
    aborts = total_of(scrape(first.http), "onelane_aborts_total")
    first.stop()
    assert len(first.logs("sought")) == len(first.logs("rewound to the last checkpoint")) == aborts
    # What overtakes a checkpoint without a transaction leaves it to the next one.
    assert not aborts or delivery == "exactly_once"
    moved = assignments(first) - PARTITIONS
    # One for each lane that came, at its first batch: lanes that stay keep theirs, and some go before they had one.
    assert PARTITIONS <= interpreters(first) <= assignments(first)
    # Two workers more take four partitions, one after the other, and give them back.
    assert 4 * times <= moved <= 6 * times
    assert not first.owned
    return moved, total, verify(stream, range(total))
