"""SIGTERM in the middle of a large backlog, under the settings that a pipeline has by default.

Pathway lost two thirds of a backlog so: what it had read it counted as done. Here what is committed is what is
written, and a second worker completes the rest.
"""

from collections.abc import Callable
from itertools import cycle, islice
from typing import get_args

from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Protocol, Stream
from tests.support.topics import committed, end_offsets, wait_until
from tests.support.verify import Outcome, verify, wait_until_caught_up

BACKLOG = 120_000
SOME = 5_000
# What a stream's short times stand in for otherwise.
DEFAULTS = {"batch": {"time": "1s"}, "kafka": {"transaction.timeout.ms": 10_000}}


def test_sigterm_in_a_backlog_loses_nothing_as_pathway_lost_two_thirds(
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """The first worker leaves offsets that match its outputs, and the second one completes the backlog."""
    for turn, protocol in enumerate(islice(cycle(get_args(Protocol)), rounds(1))):
        stream = open_stream(DEFAULTS, protocol=protocol, name=f"turn-{turn}")
        done, outcome = _interrupt(stream, start_worker)
        missing, doubled = len(outcome.missing), len(outcome.duplicates)
        note = f"{done} events done at the SIGTERM"
        survived(Fault("SIGTERM in a backlog", protocol, "exactly_once", 1, BACKLOG, missing, doubled, note))
        outcome.assert_exactly_once()


def _interrupt(stream: Stream, start_worker: StartWorker) -> tuple[int, Outcome]:
    """Stop a worker in the middle of a backlog; how much was done by then, and what became of all in the end."""
    stream.feed(range(BACKLOG))
    first = start_worker(stream, "first")
    first.wait_for("partitions assigned")
    wait_until(lambda: sum(end_offsets(stream.bootstrap, stream.output).values()) > SOME, 60, "no work is done")
    first.stop()
    done = sum(offset or 0 for offset in committed(stream.bootstrap, stream.name, stream.input).values())
    assert SOME < done < BACKLOG, f"{done} of {BACKLOG} done: not in the middle"
    assert len(verify(stream, range(BACKLOG)).missing) == BACKLOG - done
    start_worker(stream, "second").wait_until_assigned(3)
    wait_until_caught_up(stream, 120)
    return done, verify(stream, range(BACKLOG))
