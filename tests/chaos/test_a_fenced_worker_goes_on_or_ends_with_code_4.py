"""A worker that everybody has given up wakes up again: it goes on as a member that begins anew, or ends with code 4.

It is never a zombie that runs and does nothing, and a read_committed reader sees each event's result once. Fenced it
is by the group (its session timed out while it stood still, its partitions nobody's or somebody else's), by the
transaction coordinator (its transaction timed out), or by another worker that runs under its instance name; or its
consumer dies for good.

Faust's consumers "slowly die over time" (https://github.com/faust-streaming/faust/issues/175), and elsewhere a fatal
error of the client was taken for one that passes, the pod Ready and idle for ever
(https://github.com/PostHog/posthog/pull/65809). So the probes are asked all the while: a worker that has work is
never Ready for long without making something durable.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from tests.support.abreast import side_by_side
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.killer import freeze_in_transaction
from tests.support.probing import Progress
from tests.support.scrape import scrape, total
from tests.support.stream import Feeder, Protocol, Stream
from tests.support.topics import committed, open_transactions, wait_until
from tests.support.verify import Outcome, verify, wait_until_caught_up
from tests.support.worker import Worker

LIMIT = 60.0
LONG_SESSION = 30.0
# Ready without progress: a new producer, and a group that takes it in again, on a machine that is busy.
SILENCE = 30.0

Start = Callable[[str], Worker]
# Does it to a worker that works, and returns the worker that it was done to, and whoever else is there now.
Act = Callable[[Stream, Start, Worker], tuple[Worker, Worker | None]]


def stand_still_alone(stream: Stream, start: Start, worker: Worker) -> tuple[Worker, Worker | None]:
    """Its transaction and its session time out, and nobody takes over."""
    del start
    freeze_in_transaction(stream, worker)
    wait_until(lambda: not open_transactions(stream.bootstrap, stream.output), LIMIT, "no time-out")
    worker.thaw()
    return worker, None


def stand_still_beside_a_successor(stream: Stream, start: Start, worker: Worker) -> tuple[Worker, Worker | None]:
    """Another has its partitions by the time that it wakes up."""
    freeze_in_transaction(stream, worker)
    successor = start("successor")
    successor.wait_until_assigned(3, LIMIT)
    worker.thaw()
    wait_until(
        lambda: (
            not worker.running
            or (worker.owned and len(worker.owned | successor.owned) == 3 == _lanes(worker, successor))
        ),
        LIMIT,
        f"the one that stood still is not back in the group; it said:\n{worker.tail()}",
    )
    if worker.running:
        assert worker.logs("partitions lost")
        assert total(scrape(worker.http), "onelane_rebalances_total", change="lost") >= 1
    successor.stop()
    return worker, None


def stand_still_within_the_session(stream: Stream, start: Start, worker: Worker) -> tuple[Worker, Worker | None]:
    """Its transaction alone times out: it is a member still, and no rebalance rewinds its partitions for it."""
    stand_still_alone(stream, start, worker)
    wait_until(
        lambda: worker.logs("rewound to the last checkpoint") or not worker.running, LIMIT, "it is not rewound"
    )
    assert not worker.logs("partitions lost")
    return worker, None


def run_a_twin(stream: Stream, start: Start, worker: Worker) -> tuple[Worker, Worker | None]:
    """A second worker has its instance name: they must not fence each other for ever."""
    del stream
    twin = start(worker.instance)
    wait_until(lambda: not (worker.running and twin.running), LIMIT, "they fence each other for ever")
    return worker, twin


def die_for_good(stream: Stream, start: Start, worker: Worker) -> tuple[Worker, Worker | None]:
    """Its consumer has a fatal error: nothing is left to do but to say so and end."""
    del start
    dying(stream).touch()
    wait_until(lambda: not worker.running, LIMIT, f"it lives on; it said:\n{worker.tail()}")
    return worker, None


ACTS: dict[str, tuple[Act, int]] = {
    "fenced: stood still past its session": (stand_still_alone, 1),
    "fenced: stood still, another took over": (stand_still_beside_a_successor, 1),
    "fenced: transaction timed out": (stand_still_within_the_session, 2),
    "fenced: a twin has its instance name": (run_a_twin, 1),
    "its consumer died": (die_for_good, 1),
}


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_a_fenced_worker_goes_on_or_ends_with_code_4_and_is_no_zombie_as_fausts_whose_pods_stayed_ready(
    protocol: Protocol,
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """After each fault it makes progress or is gone with code 4, and nothing is lost or doubled."""
    streams = {
        act: open_stream(_changes(act, protocol), protocol=protocol, name=act.__name__.replace("_", "-"))
        for act, _ in ACTS.values()
    }
    if protocol == "consumer":
        streams[stand_still_within_the_session].set_group_session(LONG_SESSION)
    results = side_by_side(
        [partial(_fence, streams[act], start_worker, act, rounds(short)) for act, short in ACTS.values()]
    )
    for what, (ends, events, silence, outcome) in zip(ACTS, results, strict=True):
        note = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
        note = f"{note}; ready without progress for {silence:.1f} s at most"
        missing, doubled = len(outcome.missing), len(outcome.duplicates)
        survived(Fault(what, protocol, "exactly_once", ends.total(), events, missing, doubled, note))
        assert silence < SILENCE, what
        outcome.assert_exactly_once()


def _changes(act: Act, protocol: Protocol) -> dict[str, object]:
    session = {"session.timeout.ms": round(1000 * LONG_SESSION)}
    kafka = session if act is stand_still_within_the_session and protocol == "classic" else {}
    return {"checkpoint": "500ms", "kafka": kafka}


def dying(stream: Stream) -> Path:
    """The file of which the consumers of a stream's workers die."""
    return stream.pipeline.with_suffix(".dies")


def _fence(
    stream: Stream, start_worker: StartWorker, act: Act, times: int
) -> tuple[Counter[str], int, float, Outcome]:
    """Do it so often.

    Returns:
        How it ended, how many events there were, for how long a worker was ready without progress, and what became of
        the events.
    """
    ends: Counter[str] = Counter()
    with Feeder(stream, rate=300) as feeder, Progress() as progress:

        def start(instance: str) -> Worker:
            environment = {"DIES_ONCE": str(dying(stream))}
            module = "tests.support.fatal_client"
            return progress.watch(start_worker(stream, instance, module=module, environment=environment))

        worker = start("only")
        for _ in range(times):
            worker.wait_until_assigned(3, LIMIT)
            worker, other = act(stream, start, worker)
            ends[_end_of(stream, worker, other)] += 1
            if not worker.running:
                worker = other or start("only")
                worker.wait_until_assigned(3, LIMIT)
    events = feeder.stop()
    wait_until_caught_up(stream, 120)
    worker.stop()
    return ends, events, progress.silence, verify(stream, range(events))


def _end_of(stream: Stream, worker: Worker, other: Worker | None) -> str:
    """What became of a worker: it goes on alone, or it is gone with code 4; fails where it does neither."""
    if other is not None and not other.running:
        assert_told(other)
    before = committed(stream.bootstrap, stream.name, stream.input)

    def progress() -> bool:
        now = committed(stream.bootstrap, stream.name, stream.input)
        return all((now[partition] or 0) > (at or 0) for partition, at in before.items())

    wait_until(lambda: progress() or not worker.running, LIMIT, f"a zombie; it said:\n{worker.tail()}")
    if worker.running:
        return "went on"
    assert_told(worker)
    return "ended with code 4"


def assert_told(worker: Worker) -> None:
    """One that has ended says why, and of what name there may be two."""
    worker.wait(allowed=[4])
    words = worker.tail(10)
    assert "under the same --instance name" in words or "the consumer is dead" in words


def _lanes(*workers: Worker) -> int:
    return sum(len(worker.owned) for worker in workers)
