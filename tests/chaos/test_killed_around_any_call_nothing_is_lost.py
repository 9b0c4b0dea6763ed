"""A worker is killed with -9 right before or right after a call that writes or commits, each in its turn.

A random kill hardly ever falls between two such calls, where a guarantee that has a gap would break. The successor
has another name, so that the coordinator must end the transaction, and an offset may be pending in it till then.
"""

from collections.abc import Callable, Sequence
from typing import Final

import pytest

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
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker

CALLS: Final[dict[str, Sequence[Call]]] = {
    "exactly_once": (
        Call("Producer.begin_transaction", 2, often=True, halt="after"),
        Call("Producer.produce", 99, often=True),
        Call("Producer.send_offsets_to_transaction", 2, often=True),
        Call("Producer.send_offsets_to_transaction", 3, often=True, halt="after"),
        Call("Producer.commit_transaction", 2, often=True),
        Call("Producer.commit_transaction", 3, often=True, halt="after"),
        Call("Producer.abort_transaction", when="after a refusal"),
        Call("Producer.abort_transaction", when="after a refusal", halt="after"),
    ),
    "at_least_once": (
        Call("Producer.produce", 99, often=True),
        Call("Producer.flush", 2, often=True, halt="after"),
        Call("Consumer.commit", 4),
        Call("Consumer.commit", 5, halt="after"),
    ),
}


@pytest.mark.parametrize("delivery", CALLS)
def test_killed_around_any_call_nothing_is_lost(
    delivery: str,
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """Nothing is missing, and nothing doubled where that is promised."""
    for turn, protocol in enumerate(protocols(delivery, rounds(1))):
        streams = {
            call: open_stream({**CHANGES, "delivery": delivery}, protocol=protocol, name=f"call-{turn}-{number}")
            for number, call in enumerate(CALLS[delivery])
        }
        for call, stream in streams.items():
            feed(stream, call)
        workers = [
            start_halting(start_worker, stream, call, turn, stream.pipeline.with_name("never"))
            for call, stream in streams.items()
        ]
        for worker in workers:
            worker.wait_for("halted", 90)
            worker.kill()
        outcomes = complete(streams, start_worker)
        missing, doubled = missing_and_doubled(outcomes)
        events = len(streams) * EVENTS
        note = "right before or after calls that write or commit"
        survived(Fault("kill -9 around a call", protocol, delivery, len(streams), events, missing, doubled, note))
        assert_promise(delivery, outcomes)
