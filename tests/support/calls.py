"""Workers that halt at a call of their clients of Kafka, each on a stream that makes for the call."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Final, Literal, get_args

from confluent_kafka import TopicPartition

from tests.support.fixtures import StartWorker
from tests.support.stream import Protocol, Stream, record, value
from tests.support.topics import NewRecord, admin_client, commit, open_transactions, produce, wait_until
from tests.support.verify import Outcome, verify
from tests.support.worker import Worker

EVENTS: Final = 600
# The event without a key, where there is one.
REFUSED: Final = EVENTS - 1
GAP: Final = 10
# Small batches, and a checkpoint for each.
CHANGES: Final = {"batch": {"rows": 16}, "checkpoint": "1ms"}

When = Literal["starting", "working", "after a refusal", "after a gap", "stopping"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a client, right before or after which a worker halts.

    Attributes:
        method: of which client.
        number: which call of its kind.
        when: when it comes.
        often: whether it comes once a batch or more: any one of the first is taken in the long run.
        pending: whether results wait for their checkpoint then, in every case.
        halt: on which side of it the worker halts.
    """

    method: str
    number: int = 1
    when: When = "working"
    often: bool = False
    pending: bool = False
    halt: Literal["before", "after"] = "before"

    @property
    def worker(self) -> str:
        """The name of the worker that halts there."""
        return f"{self.method}-{self.halt}"

    def on_turn(self, turn: int) -> str:
        """Where a worker halts, in a turn."""
        return f"{self.method}:{1 + secrets.randbelow(12) if turn and self.often else self.number}:{self.halt}"


def protocols(delivery: str, turns: int) -> list[Protocol]:
    """A protocol a turn; the two ways to deliver begin with different ones."""
    both = get_args(Protocol)
    return list(islice(cycle(both if delivery == "exactly_once" else both[::-1]), turns))


def feed(stream: Stream, call: Call) -> None:
    """Write the events of a call's stream, and what makes for the trouble that it comes in."""
    partitions = 2 if call.when == "after a gap" else 3
    records = [record(number, partition=number % partitions) for number in range(EVENTS)]
    if call.when == "after a refusal":
        stream.broker.set_topic_config(stream.output, cleanup_policy="compact")
        records = [NewRecord(value=value(REFUSED), partition=0), *records[:REFUSED]]
    produce(stream.bootstrap, stream.input, records)
    if call.when == "after a gap":
        produce(stream.bootstrap, stream.input, [record(EVENTS, partition=2)] * GAP)
        _delete_what_is_committed(stream)


def start_halting(start: StartWorker, stream: Stream, call: Call, turn: int, until: Path) -> Worker:
    """Start a worker that halts at a call until a file is there."""
    return start(
        stream,
        call.worker,
        module="tests.support.halting_client",
        environment={"HALT_AT": call.on_turn(turn), "HALT_UNTIL": str(until)},
    )


def complete(
    streams: dict[Call, Stream], start: StartWorker, name: Callable[[Call], str] = lambda _: "successor"
) -> dict[Call, Outcome]:
    """Let another worker complete each stream, and return what became of the events in all.

    Args:
        streams: those whose workers have ended.
        start: starts a worker.
        name: of a stream's successor; under the name of the worker that it follows, it ends what that one left open.
    """
    successors = [start(stream, name(call)) for call, stream in streams.items()]
    for call, stream in streams.items():
        _wait_until_complete(stream, call)
    for successor in successors:
        successor.terminate()
    for successor in successors:
        successor.wait()
    return {call: verify(stream, range(EVENTS)) for call, stream in streams.items()}


def missing_and_doubled(outcomes: dict[Call, Outcome]) -> tuple[int, int]:
    """How many events are missing and doubled in all."""
    found = outcomes.values()
    return sum(len(outcome.missing) for outcome in found), sum(len(outcome.duplicates) for outcome in found)


def assert_promise(delivery: str, outcomes: dict[Call, Outcome]) -> None:
    """Hold each outcome to what the way to deliver promises."""
    for call, outcome in outcomes.items():
        assert not outcome.missing, call
        assert outcome.dead in ([], [REFUSED]), call
        assert delivery == "at_least_once" or not (outcome.duplicates or outcome.strangers or outcome.disorder), call


def _wait_until_complete(stream: Stream, call: Call) -> None:
    try:
        wait_until(partial(_is_complete, stream), 120, f"what was left at {call} is not completed")
    except TimeoutError as error:
        hidden = open_transactions(stream.bootstrap, stream.output)
        raise TimeoutError(f"{error}; transactions are open in partitions {sorted(hidden)} of the output") from error


def _is_complete(stream: Stream) -> bool:
    return not verify(stream, range(EVENTS)).missing


def _delete_what_is_committed(stream: Stream) -> None:
    """Have the group committed in the third partition to a record that is deleted then."""
    committed, first = TopicPartition(stream.input, 2, 1), TopicPartition(stream.input, 2, GAP)
    commit(stream.bootstrap, stream.name, committed)
    with admin_client(stream.bootstrap) as admin:
        admin.delete_records([first])[first].result()
