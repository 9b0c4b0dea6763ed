"""A worker is killed with -9 at any instant, again and again, while events keep coming, and restarted each time.

It is killed while it starts, joins, works, has a transaction open, and while it drains after SIGTERM. Exactly once, a
read_committed reader sees each event's result once, in the order of its key; at least once, none is missing.

Two waits are measured. The successor's: from the kill until its first results are in each partition; it is never
shorter than the session time-out (2 s here), after which the group gives a dead member's partitions away. The
reader's: how long a partition shows nothing. A successor under the same instance name aborts what the dead one left
open as soon as it starts; under another name, that is left to the transaction time-out (3 s here, 10 s by default).
"""

from collections.abc import Callable
from functools import partial
from itertools import cycle, islice, product
from typing import get_args

from tests.support.abreast import side_by_side
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.killer import INSTANTS, Instant, Killer, spread
from tests.support.stream import Feeder, Protocol, Stream
from tests.support.verify import CommittedReader, Outcome, Reader, verify, wait_until_caught_up

MANY = 50


def test_killed_at_any_instant_nothing_is_lost(
    open_stream: OpenStream,
    start_worker: StartWorker,
    rounds: Callable[[int], int],
    survived: Callable[[Fault], None],
) -> None:
    """Kills lose nothing, and double nothing where that is promised; a quarter of them with a transaction open."""
    cells = list(product(get_args(Protocol), INSTANTS))
    streams = [
        open_stream({"checkpoint": "300ms", "delivery": delivery}, protocol=protocol, name=f"{protocol}-{delivery}")
        for protocol, delivery in cells
    ]
    results = side_by_side(
        [
            partial(_kill, stream, start_worker, list(islice(cycle(INSTANTS[delivery]), rounds(7))))
            for stream, (_, delivery) in zip(streams, cells, strict=True)
        ]
    )
    for (protocol, delivery), (killer, total, outcome) in zip(cells, results, strict=True):
        kills = killer.at.total()
        survived(
            Fault(
                "kill -9",
                protocol,
                delivery,
                kills,
                total,
                len(outcome.missing),
                len(outcome.duplicates),
                _note(killer),
            )
        )
        outcome.assert_each_enriched()
        if delivery == "exactly_once":
            outcome.assert_exactly_once()
            assert 4 * killer.in_transaction >= kills
    # Joining takes a tenth of a second: a few tries may all miss it on a busy machine, many don't.
    wanted = {"starting", "working", "draining", *(["joining"] if rounds(7) >= MANY else [])}
    assert {instant for killer, _, _ in results for instant in killer.at} >= wanted


def _kill(stream: Stream, start_worker: StartWorker, instants: list[Instant]) -> tuple[Killer, int, Outcome]:
    """Kill workers of one stream; the killer, how many events there were, and what became of them."""
    with (
        Feeder(stream, rate=600) as feeder,
        CommittedReader(stream.bootstrap, stream.output) as committed,
        Reader(stream.bootstrap, stream.output, "read_uncommitted") as uncommitted,
    ):
        killer = Killer(stream, partial(start_worker, stream), committed, uncommitted)
        killer.kill(instants)
        total = feeder.stop()
        wait_until_caught_up(stream, 120)
    return killer, total, verify(stream, range(total))


def _note(killer: Killer) -> str:
    at = ", ".join(f"{count} {instant}" for instant, count in killer.at.most_common())
    return (
        f"{at}; {killer.in_transaction} with a transaction open; successor after {spread(killer.successor_waits)}, "
        f"reader waits {spread(killer.reader_waits)}, where it has another name {spread(killer.other_name_waits)}"
    )
