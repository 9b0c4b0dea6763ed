"""The decoders, fed with broken events for FUZZ_SECONDS (60) in all: real ones, changed, through all of enriching.

Each format of events, alone and in a registry's wire format, and each kind of content has its share of the time. What
fails is made small, and printed with its seed; FUZZ_SEED repeats it.
"""

import os
import secrets
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from consumer.deadletter.causes import Code
from consumer.types import DeadLetter, Enriched, PlainEvent, Result
from tests.fuzz.kinds import KINDS, Kind, kind

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60")) / len(KINDS)
SEED = int(os.environ.get("FUZZ_SEED", "0")) or secrets.randbits(32)
ROUND = 100

# Unlike in other tests, each run has examples of its own, and a busy machine is none of its business.
FUZZING = settings(
    max_examples=ROUND,
    database=None,
    derandomize=False,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@st.composite
def broken(draw: st.DrawFn, of: Kind) -> bytes:
    """Draw an event that is changed in up to four places: a piece put in, over some bytes or over all that follow."""
    value = draw(st.sampled_from(of.values))
    other = st.tuples(st.sampled_from(of.values), st.integers(0, 1 << 12)).map(lambda one: one[0][one[1] :])
    piece = st.sampled_from(of.pieces) | st.binary(min_size=1, max_size=4) | other
    place = st.integers(0, 8) | st.integers(0, 1 << 12)
    for at, more, gone in draw(st.lists(st.tuples(place, piece, st.integers(0, 8) | st.just(1 << 20)), max_size=4)):
        start = at % (len(value) + 1)
        value = value[:start] + more + value[start + gone :]
    return of.wrap(value)


@pytest.mark.parametrize("name", KINDS)
def test_no_value_harms_its_neighbours_or_the_worker(name: str) -> None:
    """Each event is enriched as it would be alone, or is a dead letter of a known cause, in order; never an error."""
    of = kind(name)
    enricher, alone = of.assembly.enrichers()(), of.assembly.enrichers()()
    counts: Counter[type[Result]] = Counter()

    @FUZZING
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        values: list[bytes | None] = data.draw(st.lists(broken(of), min_size=1, max_size=6))
        values.append(of.wrap(data.draw(st.sampled_from(of.values))))
        values.insert(data.draw(st.integers(0, len(values))), data.draw(st.sampled_from([None, b""])))
        events = [PlainEvent(value, offset=place) for place, value in enumerate(values)]
        results = enricher.enrich(events)
        assert [result.event for result in results] == events
        (single,) = alone.enrich([data.draw(st.sampled_from(events))])
        assert single == results[single.event.offset()]
        for result in results:
            check(result, of)
        counts.update(map(type, results))

    ends, turn = time.monotonic() + SECONDS, SEED
    while time.monotonic() < ends:
        print(f"FUZZ_SEED={turn}")  # noqa: T201 - pytest shows it where it fails
        seed(turn)(fuzz)()
        turn += 1
    share = counts[DeadLetter] / counts.total()
    assert 0.2 < share < 0.95, f"{share:.0%} of {counts.total()} are dead: the mutations say nothing"


def check(result: Result, of: Kind) -> None:
    """A record can be read by others, and holds the event; a dead letter says why, and gives the event back."""
    value = result.event.value()
    if isinstance(result, DeadLetter):
        assert result.cause.code in set(Code)
        assert result.cause.code != Code.INVOKE_FAILED
        assert result.cause.message
        return
    assert isinstance(result, Enriched)
    assert value
    record: dict[str, Any] = of.say(result.value)
    assert record.pop(of.assembly.file.spec.output.field)
    if of.event is not None:
        assert record == of.event(value)
