"""The broker freezes (connections open, no answers) as a worker makes a call, whichever one; then SIGTERM comes.

The worker is gone within its shutdown time-out all the same: with code 3 where results were pending, with 3 or 0
where none were. Once the broker answers again, another worker completes the work, and nothing is lost.

A worker halts right before a call of its client (tests/support/halting_client.py); there the broker is frozen, and
then the call is made. Calls that come only in trouble are brought about: a record without a key, which a compacted
output topic refuses, makes for an abort; a committed offset whose record is deleted makes for a pause.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Final, Literal, get_args

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Protocol, Stream, record, value
from tests.support.topics import REQUEST_TIMEOUT, NewRecord, admin_client, produce, wait_until
from tests.support.verify import Outcome, verify
from tests.support.worker import Worker

SHUTDOWN: Final = 4.0
# What the end may come later on a machine that is busy with a dozen workers.
GRACE: Final = 2.0
EVENTS: Final = 600
# The last one has no key.
REFUSED: Final = EVENTS - 1
GAP: Final = 10
# Small batches, and a transaction for each.
CHANGES: Final = {
    "batch": {"rows": 16},
    "checkpoint": "1ms",
    "operate": {"shutdown_timeout": f"{SHUTDOWN:g}s"},
}

When = Literal["starting", "working", "after a refusal", "after a gap", "stopping"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call at which the broker freezes.

    Attributes:
        method: of which client.
        number: which call of its kind; where it comes often, any one in the long run.
        when: when it comes.
        often: whether it comes once a batch or more.
        pending: whether results wait for their checkpoint then, in every case.
    """

    method: str
    number: int = 1
    when: When = "working"
    often: bool = False
    pending: bool = False

    def on_turn(self, turn: int) -> str:
        """Which call of the method it is, in a turn."""
        return f"{self.method}:{1 + secrets.randbelow(12) if turn and self.often else self.number}"


SHARED: Final = (
    Call("Consumer.consume", 5, often=True),
    Call("Consumer.poll", 2),
    Call("Producer.produce", 99, often=True, pending=True),
    Call("Consumer.close", when="stopping"),
    Call("Producer.close", when="stopping"),
)
CALLS: Final[dict[str, Sequence[Call]]] = {
    "exactly_once": (
        *SHARED,
        Call("Consumer.committed", when="starting"),
        Call("Consumer.commit", when="starting"),
        Call("Producer.list_topics", when="starting"),
        Call("Producer.init_transactions", when="starting"),
        Call("Producer.begin_transaction", 2, often=True),
        Call("Producer.send_offsets_to_transaction", 2, often=True, pending=True),
        Call("Producer.commit_transaction", 3, often=True, pending=True),
        Call("Consumer.position", 2),
        Call("Producer.abort_transaction", when="after a refusal", pending=True),
        Call("Consumer.seek", when="after a refusal"),
        Call("Consumer.pause", when="after a gap"),
    ),
    "at_least_once": (
        *SHARED,
        Call("Producer.flush", 2, often=True, pending=True),
        Call("Consumer.commit", 4, pending=True),
    ),
}


@pytest.mark.parametrize("delivery", CALLS)
def test_a_broker_frozen_in_any_call_does_not_hold_up_the_end(
    delivery: str,
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """Each worker ends in time, with the code that is due, and nothing that it had is lost."""
    protocols = get_args(Protocol) if delivery == "exactly_once" else get_args(Protocol)[::-1]
    for turn, protocol in enumerate(islice(cycle(protocols), rounds(1))):
        streams = {
            call: open_stream({**CHANGES, "delivery": delivery}, protocol=protocol, name=f"call-{turn}-{number}")
            for number, call in enumerate(CALLS[delivery])
        }
        for call, stream in streams.items():
            _feed(stream, call)
        codes = _end_while_frozen(streams, start_worker, turn)
        outcomes = _complete(streams, start_worker)
        missing = sum(len(outcome.missing) for outcome in outcomes.values())
        doubled = sum(len(outcome.duplicates) for outcome in outcomes.values())
        ends = Counter(codes.values())
        note = f"during {len(codes)} calls of the clients; {ends[3]} ended with code 3, {ends[0]} with 0"
        events = len(outcomes) * EVENTS
        survived(Fault("broker frozen, SIGTERM", protocol, delivery, len(codes), events, missing, doubled, note))
        for call, outcome in outcomes.items():
            assert not outcome.missing, call
            assert outcome.dead in ([], [REFUSED]), call
            assert delivery == "at_least_once" or not (outcome.duplicates or outcome.disorder), call


def _feed(stream: Stream, call: Call) -> None:
    """Write the events of a call's stream, and what makes for the trouble that it comes in."""
    partitions = 2 if call.when == "after a gap" else 3
    records = [record(number, partition=number % partitions) for number in range(EVENTS)]
    if call.when == "after a refusal":
        stream.broker.set_topic_config(stream.output, cleanup_policy="compact")
        records.insert(0, NewRecord(value=value(REFUSED), partition=0))
        del records[-1]
    produce(stream.bootstrap, stream.input, records)
    if call.when == "after a gap":
        produce(stream.bootstrap, stream.input, [record(EVENTS, partition=2)] * GAP)
        _delete_what_is_committed(stream)


def _delete_what_is_committed(stream: Stream) -> None:
    """Have the group committed in the third partition to a record that is deleted then."""
    place = TopicPartition(stream.input, 2, 1)
    with admin_client(stream.bootstrap) as admin:
        request = ConsumerGroupTopicPartitions(stream.name, [place])
        admin.alter_consumer_group_offsets([request], request_timeout=REQUEST_TIMEOUT)[stream.name].result()
        admin.delete_records([TopicPartition(stream.input, 2, GAP)])[TopicPartition(stream.input, 2, GAP)].result()


def _end_while_frozen(streams: dict[Call, Stream], start_worker: StartWorker, turn: int) -> dict[Call, int]:
    """Freeze the broker as each worker makes its call, tell all to stop, and return their exit codes."""
    first = next(iter(streams.values()))
    until = first.pipeline.with_name(f"go-{turn}")
    workers = {
        call: start_worker(
            stream,
            f"{call.method}-{call.number}",
            module="tests.support.halting_client",
            environment={"HALT_AT": call.on_turn(turn), "HALT_UNTIL": str(until)},
        )
        for call, stream in streams.items()
    }
    _bring_to_a_halt(workers)
    first.broker.freeze()
    try:
        until.touch()
        return _end(workers)
    finally:
        first.broker.thaw()


def _bring_to_a_halt(workers: dict[Call, Worker]) -> None:
    """Wait until each worker is about to make its call; those that make it while they stop are stopped last."""
    stopping = [worker for call, worker in workers.items() if call.when == "stopping"]
    for worker in workers.values():
        worker.wait_for("partitions assigned" if worker in stopping else "halted", 90)
    for worker in stopping:
        worker.terminate()
    for worker in stopping:
        worker.wait_for("halted", SHUTDOWN)


def _end(workers: dict[Call, Worker]) -> dict[Call, int]:
    """Tell workers to stop, and return their exit codes, which must come in time."""
    for call, worker in workers.items():
        if call.when != "stopping":
            worker.terminate()
    end = time.monotonic() + SHUTDOWN + GRACE
    return {
        call: worker.wait([3] if call.pending else [0, 3], within=max(0.1, end - time.monotonic()))
        for call, worker in workers.items()
    }


def _complete(streams: dict[Call, Stream], start_worker: StartWorker) -> dict[Call, Outcome]:
    """Let another worker complete each stream, and return what became of the events in all."""
    successors = [start_worker(stream, "successor") for stream in streams.values()]
    for call, stream in streams.items():
        wait_until(partial(_complete_by_now, stream), 120, f"{call} is not completed")
    for successor in successors:
        successor.terminate()
    for successor in successors:
        successor.wait()
    return {call: verify(stream, range(EVENTS)) for call, stream in streams.items()}


def _complete_by_now(stream: Stream) -> bool:
    return not verify(stream, range(EVENTS)).missing
