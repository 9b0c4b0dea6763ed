"""Members join, leave, die and stand still past their session time-out, in quick succession, under load.

Rebalances fall into whatever a worker is at: with a model of 100 ms an inference mostly into an open batch or an
invoke, with a fast one into polls and checkpoints, and with SIGTERM into drains. A read_committed reader sees each
event's result once, and in order, or at least once where no more is promised. A lane that stays is not begun anew: no
interpreter is made but for a partition that came.
"""

from collections.abc import Callable, Sequence
from functools import partial

from tests.support.abreast import side_by_side
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.storm import Storm, assignments, interpreters
from tests.support.stream import Feeder, Protocol, Stream
from tests.support.verify import Outcome, verify, wait_until_caught_up
from tests.support.work import Delivery
from tests.support.worker import Worker

PARTITIONS = 6
# Troubles in which each kind comes.
EACH = 3
CHANGES = {"checkpoint": "300ms", "batch": {"wait": "100ms", "time": "500ms"}}
# Seconds an inference, by the name of the stream.
MODELS = {"fast": "0", "slow": "0.1"}
SHORT: Sequence[tuple[Protocol, str, Delivery]] = (
    ("classic", "fast", "exactly_once"),
    ("classic", "slow", "at_least_once"),
    ("consumer", "fast", "at_least_once"),
    ("consumer", "slow", "exactly_once"),
)


def test_a_storm_of_rebalances_loses_and_doubles_nothing(
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """Four storms, in groups of both protocols, over a fast and over a slow model: nothing lost, lanes that last."""
    crossed: Sequence[tuple[Protocol, str, Delivery]] = [
        (protocol, model, "at_least_once" if delivery == "exactly_once" else "exactly_once")
        for protocol, model, delivery in SHORT
    ]
    for cells in (SHORT, crossed) if rounds(0) else (SHORT,):
        _storms(open_stream, start_worker, cells, max(EACH, rounds(4)), survived)


def _storms(
    open_stream: OpenStream,
    start_worker: StartWorker,
    cells: Sequence[tuple[Protocol, str, Delivery]],
    times: int,
    survived: Callable[[Fault], None],
) -> None:
    """Let storms rage beside each other."""
    streams = [
        open_stream(
            {**CHANGES, "delivery": delivery},
            partitions=PARTITIONS,
            protocol=protocol,
            name=f"{protocol}-{model}-{delivery}".replace("_", "-"),
        )
        for protocol, model, delivery in cells
    ]
    results = side_by_side(
        [
            partial(_storm, stream, partial(_start, start_worker, stream, model), times)
            for stream, (_, model, _) in zip(streams, cells, strict=True)
        ]
    )
    for (protocol, model, delivery), (storm, total, outcome) in zip(cells, results, strict=True):
        made = [interpreters(member) for member in storm.members]
        assigned = [assignments(member) for member in storm.members]
        what = ", ".join(f"{count} {trouble}" for trouble, count in sorted(storm.happened.items()))
        survived(
            Fault(
                f"rebalance storm, {model} model",
                protocol,
                delivery,
                storm.happened.total(),
                total,
                len(outcome.missing),
                len(outcome.duplicates),
                f"{what}; {sum(assigned)} partitions assigned, {sum(made)} interpreters made for them",
            )
        )
        outcome.assert_each_enriched()
        if delivery == "exactly_once":
            outcome.assert_exactly_once()
        assert storm.happened.keys() == {"join", "SIGTERM", "kill -9", "SIGSTOP"}
        assert all(here <= wanted for here, wanted in zip(made, assigned, strict=True)), (made, assigned)


def _start(start_worker: StartWorker, stream: Stream, model: str, instance: str) -> Worker:
    """Start a member whose interpreters can be counted."""
    return start_worker(
        stream, instance, module="tests.support.slow_model", environment={"SLOW_MODEL_SECONDS": MODELS[model]}
    )


def _storm(stream: Stream, start: Callable[[str], Worker], times: int) -> tuple[Storm, int, Outcome]:
    """Let a storm rage over one stream; the storm, how many events there were, and what became of them."""
    storm = Storm(start)
    with Feeder(stream, rate=150) as feeder:
        storm.rage(times)
        left = storm.settle(PARTITIONS, 120)
        total = feeder.stop()
        wait_until_caught_up(stream, 120)
    for member in left:
        member.stop()
    for member in storm.members:
        # 4 is what a member says that was fenced twice within a minute, -9 that it was killed.
        member.wait(allowed=[0, 4, -9])
        assert not member.owned or member.code != 0
    return storm, total, verify(stream, range(total))
