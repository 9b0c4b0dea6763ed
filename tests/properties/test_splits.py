"""Invariant 10: the same input bytes give the same output bytes, however they fall into batches."""

from functools import cache
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.types import Enriching, Event, PlainEvent, Result
from tests.support.flights import flight_events, flights_enricher

COUNT = 60
_BAD = (b"{", b'{"distance":"far"}', b"{}")


@cache
def shared() -> tuple[Enriching, list[Event], list[Result]]:
    """Return an enricher, events with some bad ones among them, and their results in one batch."""
    events: list[Event] = list(flight_events(COUNT))
    for place, value in enumerate(_BAD):
        events[10 + 20 * place] = PlainEvent(value, offset=10 + 20 * place)
    made = flights_enricher()
    return made, events, made.enrich(events)


@settings(max_examples=60)
@given(st.sets(st.integers(1, COUNT - 1)))
def test_invariant_10_the_same_bytes_for_any_split(cuts: set[int]) -> None:
    """On the flights model, bytes of enriched records and causes of dead letters are the same for any batches."""
    made, events, expected = shared()
    edges = [0, *sorted(cuts), COUNT]
    found = [r for start, stop in pairwise(edges) for r in made.enrich(events[start:stop])]
    assert found == expected
