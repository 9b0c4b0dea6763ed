"""The group rebalances while its members decode, invoke, commit and drain, each of them at another of its stages.

Members halt at their stages (tests/support/halting_client.py), all of one group; meanwhile others join, or one
leaves, and the coordinator knows of it before they go on. There are as many partitions as make each of them give one
away, or take one more: none is left out of it. The short run has half of the stages for each delivery.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final, Literal, NamedTuple

from tests.support.abreast import side_by_side
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Protocol, Stream, value
from tests.support.topics import NewRecord, members, produce, wait_until
from tests.support.verify import Outcome, verify, wait_until_caught_up
from tests.support.work import Delivery
from tests.support.worker import Worker

LIMIT: Final = 60.0
CHANGES: Final = {
    "batch": {"wait": "100ms"},
    "checkpoint": "1ms",
    "kafka": {"transaction.timeout.ms": 60_000},  # no stage is to end because it lasts
}

Change = Literal["join", "leave"]


class Stage(NamedTuple):
    """Where a member halts.

    Attributes:
        what: it is doing then.
        at: the call.
        side: of the call.
        number: which call of its kind; the second, so that some of the work is done.
    """

    what: str
    at: str
    side: Literal["before", "after"] = "before"
    number: int = 2

    @property
    def halt(self) -> str:
        """As the halting client takes it."""
        return f"{self.at}:{self.number}:{self.side}"


DRAIN: Final = Stage("drain", "consumer.worker.Worker._finish", number=1)
JOIN: Final = "Consumer.subscribe:1:before"
SHARED: Final = (
    Stage("decode", "consumer.records.json_reader.JsonReader.read"),
    Stage("invoke", "ai_edge_litert.interpreter.Interpreter.invoke"),
)
STAGES: Final[dict[Delivery, tuple[Stage, ...]]] = {
    "exactly_once": (
        *SHARED,
        Stage("send offsets", "Producer.send_offsets_to_transaction"),
        Stage("between offsets and commit", "Producer.send_offsets_to_transaction", "after"),
        Stage("commit", "Producer.commit_transaction"),
        Stage("committed", "Producer.commit_transaction", "after"),
        DRAIN,
    ),
    "at_least_once": (
        *SHARED,
        Stage("flush", "Producer.flush"),
        Stage("flushed", "Producer.flush", "after"),
        Stage("commit", "Consumer.commit"),
        Stage("committed", "Consumer.commit", "after"),
        DRAIN,
    ),
}


class Cell(NamedTuple):
    """A group.

    Attributes:
        protocol: of it.
        delivery: of its members.
        change: what others do while its members halt.
    """

    protocol: Protocol
    delivery: Delivery
    change: Change


SHORT: Final = (Cell("classic", "exactly_once", "join"), Cell("consumer", "at_least_once", "leave"))
# Two at a time: more members than that would be too slow for their own time-outs.
LONG: Final = (
    SHORT,
    (Cell("consumer", "exactly_once", "join"), Cell("classic", "at_least_once", "leave")),
    (Cell("classic", "exactly_once", "leave"), Cell("consumer", "at_least_once", "join")),
    (Cell("consumer", "exactly_once", "leave"), Cell("classic", "at_least_once", "join")),
)


def test_a_rebalance_at_any_stage_loses_nothing(
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """Every member goes on with what it has by then, and each event is enriched, once where that is promised."""
    for turn, pair in enumerate(LONG * rounds(0) or [SHORT]):
        groups = []
        for cell in pair:
            every = STAGES[cell.delivery]
            stages = every if rounds(0) else every[cell.delivery == "at_least_once" :: 2]
            stream = open_stream(
                {**CHANGES, "delivery": cell.delivery},
                partitions=len(stages) * (len(stages) + 1),
                protocol=cell.protocol,
                name=f"{cell.delivery}-{turn}".replace("_", "-"),
            )
            groups.append((cell, stages, partial(_rebalance, stream, start_worker, stages, cell.change)))
        results = side_by_side([part for *_, part in groups])
        for (cell, stages, _), (total, outcome) in zip(groups, results, strict=True):
            what = f"rebalance at every stage: others {cell.change}"
            note = "in " + ", ".join(stage.what for stage in stages)
            missing, doubled = len(outcome.missing), len(outcome.duplicates)
            survived(Fault(what, cell.protocol, cell.delivery, len(stages), total, missing, doubled, note))
            outcome.assert_each_enriched()
            if cell.delivery == "exactly_once":
                outcome.assert_exactly_once()


class Feed:
    """Events for all partitions in turn."""

    def __init__(self, stream: Stream, partitions: int) -> None:
        self._stream = stream
        self._partitions = partitions
        self._numbers = count()
        self.total = 0

    def until_halted(self, workers: Sequence[Worker]) -> None:
        """Write an event to each partition, again and again, until each worker is at its stage."""
        self._until(lambda worker: bool(worker.logs("halted")), workers)

    def until_moved(self, workers: Sequence[Worker], what: str) -> None:
        """The same until each has been given a partition, or has given one away, since it halted."""

        def moved(worker: Worker) -> bool:
            events = [line["event"] for line in worker.logs()]
            return what in events[events.index("halted") :]

        self._until(moved, workers)

    def _until(self, condition: Callable[[Worker], bool], workers: Sequence[Worker]) -> None:
        wait_until(
            lambda: self._round() and all(map(condition, workers)),
            LIMIT,
            lambda: "\n".join(f"{worker.instance} said:\n{worker.tail(6)}" for worker in workers),
        )

    def _round(self) -> bool:
        records = [
            NewRecord(key=b"key-%d" % partition, value=value(next(self._numbers)), partition=partition)
            for partition in range(self._partitions)
        ]
        produce(self._stream.bootstrap, self._stream.input, records)
        self.total += len(records)
        return True


def _rebalance(
    stream: Stream, start_worker: StartWorker, stages: Sequence[Stage], change: Change
) -> tuple[int, Outcome]:
    """Have a group rebalance with a member at each stage; how many events there were, and what became of them."""
    begin, go_on, enter = (stream.pipeline.with_suffix(f".{name}") for name in ("begin", "go-on", "enter"))

    def start(instance: str, at: str, until: Path) -> Worker:
        files = {"HALT_FROM": str(begin), "HALT_UNTIL": str(until)} if until is go_on else {"HALT_UNTIL": str(until)}
        return start_worker(
            stream, instance, module="tests.support.halting_client", environment={"HALT_AT": at, **files}
        )

    staged = {stage: start(stage.what.replace(" ", "-"), stage.halt, go_on) for stage in stages}
    staying = [worker for stage, worker in staged.items() if stage is not DRAIN]
    draining = [worker for stage, worker in staged.items() if stage is DRAIN]
    # Two that join: the one that drains makes room for one.
    others = [start(f"other-{one}", JOIN, enter) for one in range(2 if change == "join" else 1)]
    if change == "leave":
        enter.touch()
    for worker in others:
        worker.wait_for("halted")
    for worker in (*staged.values(), *(others if change == "leave" else ())):
        worker.wait_until_assigned(len(stages) if change == "leave" else len(stages) + 1, LIMIT)

    feed = Feed(stream, len(stages) * (len(stages) + 1))
    begin.touch()
    feed.until_halted(staying)
    for worker in draining:
        worker.terminate()
    feed.until_halted(draining)
    if change == "leave":
        others.pop().stop()
    enter.touch()
    there = len(stages) + len(others)
    wait_until(lambda: members(stream.bootstrap, stream.name) == there, LIMIT, f"the group has not {there} members")
    go_on.touch()

    for worker in draining:
        worker.wait()
    feed.until_moved(staying, "partitions assigned" if change == "leave" else "partitions revoked")
    wait_until_caught_up(stream, LIMIT)
    for worker in (*staying, *others):
        worker.terminate()
    for worker in (*staying, *others):
        worker.wait()
    return feed.total, verify(stream, range(feed.total))
