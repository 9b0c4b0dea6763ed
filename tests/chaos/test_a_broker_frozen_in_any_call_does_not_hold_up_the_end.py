"""The broker freezes (connections open, no answers) as a worker makes a call, whichever one; then SIGTERM comes.

The worker is gone within its shutdown time-out all the same: with code 3 where results were pending, with 3 or 0
where none were. Once the broker answers again, a successor of the same name, as a restarted pod has one, completes
the work, and nothing is lost.

A worker halts right before a call of its client (tests/support/halting_client.py); there the broker is frozen, and
then the call is made. Calls that come only in trouble are brought about: a record without a key, which a compacted
output topic refuses, makes for an abort; a committed offset whose record is deleted makes for a pause.
"""

import ast
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from tests.support.calls import (
    CHANGES,
    EVENTS,
    Call,
    assert_promise,
    complete,
    feed,
    missing_and_doubled,
    protocols,
    start_halting,
)
from tests.support.command import ROOT
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.kafka import KafkaBroker
from tests.support.stream import Stream
from tests.support.verify import wait_until_caught_up
from tests.support.worker import Worker

SHUTDOWN: Final = 3.0
# What the end may come later on a machine that is busy with a dozen workers.
GRACE: Final = 2.0
# Transactions outlast the wait for all workers and the freeze, however slow the machine is: rule 17 of DESIGN.md
# tells what can become of one that does not.
STOP: Final = {"operate": {"shutdown_timeout": f"{SHUTDOWN:g}s"}, "kafka": {"transaction.timeout.ms": 120_000}}

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
# The rest, in every second turn of the long run: those of a start, and those that seldom ask the broker for anything.
SELDOM: Final = (
    Call("AdminClient.list_topics", when="starting"),
    Call("AdminClient.describe_configs", when="starting"),
    Call("Consumer.subscribe", when="starting"),
    Call("Consumer.incremental_assign", when="starting"),
    Call("Consumer.get_watermark_offsets", when="starting"),
    Call("Consumer.resume", when="starting"),
    Call("Producer.poll", 3, often=True),
    Call("Consumer.incremental_unassign", when="stopping"),
)
# What the worker's clients are asked besides, and why they are not halted there.
EXEMPT: Final = {
    "AdminClient.poll": "gives the client's own words, and waits for nothing",
    "AdminClient.list_offsets": "asked once a producer has died, by a thread that is left behind if it hangs",
    "Consumer.assign": "of a client outside the group, that looks why a topic can't be read",
    "Consumer.consumer_group_metadata": "the client's memory",
    "Consumer.list_topics": "of the client that looks why a topic can't be read, or that a demo has",
    "Consumer.memberid": "the client's memory",
    "Producer.purge": "empties the client's queue, right before Producer.close",
}
CLIENTS: Final = {
    "consumer": Consumer,
    "asking": Consumer,
    "producer": Producer,
    "admin": AdminClient,
}
# Modules of consumer/kafka that no worker goes through: the commands for dead letters and samples, and the demo.
ASIDE: Final = {"embedded", "notes", "replay", "targets", "topics", "traffic"}


def called() -> set[str]:
    """Return what a worker's clients are asked anywhere in consumer/kafka."""
    found = set()
    for path in (ROOT / "consumer" / "kafka").glob("*.py"):
        if path.stem in ASIDE:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
                client = CLIENTS.get(owner.removeprefix("_"))
                if client is not None and hasattr(client, node.attr):
                    found.add(f"{client.__name__}.{node.attr}")
    return found


def test_every_call_is_frozen_in_or_there_is_a_reason() -> None:
    """A call that was added without would be one that nobody knows the end of."""
    halted = {call.method for calls in CALLS.values() for call in calls} | {call.method for call in SELDOM}
    assert not halted & EXEMPT.keys()
    assert called() == halted | EXEMPT.keys()


@pytest.mark.parametrize("delivery", CALLS)
def test_a_broker_frozen_in_any_call_does_not_hold_up_the_end(
    *,
    delivery: str,
    kafka: KafkaBroker,
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """Each worker ends in time, with the code that is due, and nothing that it had is lost."""
    for turn, protocol in enumerate(protocols(delivery, rounds(1))):
        streams = {
            call: open_stream(
                {**CHANGES, **STOP, "delivery": delivery}, protocol=protocol, name=f"call-{turn}-{number}"
            )
            for number, call in enumerate(SELDOM if turn % 2 else CALLS[delivery])
        }
        for call, stream in streams.items():
            feed(stream, call)
        codes = _end_while_frozen(kafka, streams, start_worker, turn)
        outcomes = complete(streams, start_worker, lambda call: call.worker)
        missing, doubled = missing_and_doubled(outcomes)
        ends = Counter(codes.values())
        note = f"during {len(codes)} calls of the clients; {ends[3]} ended with code 3, {ends[0]} with 0"
        events = len(streams) * EVENTS
        survived(Fault("broker frozen, SIGTERM", protocol, delivery, len(codes), events, missing, doubled, note))
        assert_promise(delivery, outcomes)


def _end_while_frozen(
    kafka: KafkaBroker, streams: dict[Call, Stream], start_worker: StartWorker, turn: int
) -> dict[Call, int]:
    """Freeze the broker as each worker makes its call, tell all to stop, and return their exit codes."""
    first = next(iter(streams.values()))
    until = first.pipeline.with_name(f"go-{turn}")
    workers = {call: start_halting(start_worker, stream, call, turn, until) for call, stream in streams.items()}
    _bring_to_a_halt(workers, streams)
    kafka.freeze()
    try:
        until.touch()
        return _end(workers)
    finally:
        kafka.thaw()


def _bring_to_a_halt(workers: dict[Call, Worker], streams: dict[Call, Stream]) -> None:
    """Wait until each worker is about to make its call; those that make it while they stop are stopped last.

    They have nothing left to do by then: their shutdown time-out is not for a drain on a busy machine.
    """
    stopping = [call for call in workers if call.when == "stopping"]
    for call, worker in workers.items():
        if call in stopping:
            wait_until_caught_up(streams[call], 90)
        else:
            worker.wait_for("halted", 90)
    for call in stopping:
        workers[call].terminate()
    for call in stopping:
        workers[call].wait_for("halted", SHUTDOWN)


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
