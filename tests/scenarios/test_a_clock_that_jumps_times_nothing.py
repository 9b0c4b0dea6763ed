"""The wall clock is set ahead by half an hour under a worker, then back by an hour, as a wrong time server does.

Batches are closed and checkpoints made on time all the same, no probe fails, and every event is enriched, once. Only
times that are told to people show it.
"""

from datetime import datetime
from pathlib import Path

import pytest

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.probing import Asking
from tests.support.scrape import ask, scrape, status, total
from tests.support.topics import read_all, wait_until
from tests.support.verify import verify, wait_until_caught_up
from tests.support.worker import Worker

HALF_AN_HOUR = 1800
EVENTS = 5


def set_clock(jump: Path, seconds: int) -> None:
    """Have the worker's clock be off by so much from one look to the next, at none of which the file is empty."""
    new = jump.with_suffix(".new")
    new.write_text(str(seconds))
    new.replace(jump)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_clock_that_jumps_times_nothing(
    open_stream: OpenStream, start_worker: StartWorker, tmp_path: Path, delivery: str
) -> None:
    """Each batch is too small to be full, so that nothing but the time closes it."""
    long = {"batch": {"time": "1s"}, "kafka": {"transaction.timeout.ms": 10_000}}
    stream = open_stream({"delivery": delivery, **long}, partitions=1)
    jump = tmp_path / "jump"
    set_clock(jump, 0)
    worker = start_worker(stream, module="tests.support.jumping_clock", environment={"JUMP": str(jump)})
    worker.wait_until_assigned(1)
    wait_until(lambda: ask(worker.http, "/ready").status == 200, 30, worker.tail)
    at_first, done = started(worker), 0
    with Asking(worker) as asking:
        for seconds in (0, HALF_AN_HOUR, -HALF_AN_HOUR):
            set_clock(jump, seconds)
            stream.feed(range(done, done + EVENTS))
            done += EVENTS
            wait_until(lambda: len(read_all(stream.bootstrap, stream.output)) == done, 60, worker.tail)  # noqa: B023
            assert started(worker) - at_first == pytest.approx(seconds, abs=1), "the clock did not jump"
        wait_until_caught_up(stream)
    assert {answer for _, answer in asking.answers} == {200}
    found = scrape(worker.http)
    assert total(found, "onelane_batches_total", reason="wait") == total(found, "onelane_batches_total") >= 3
    assert total(found, "onelane_aborts_total") == 0
    assert worker.stop() == 0
    verify(stream, range(done)).assert_exactly_once()


def started(worker: Worker) -> float:
    """When it started, by its wall clock as it is now."""
    return datetime.fromisoformat(str(status(worker.http)["started"]["since"])).timestamp()
