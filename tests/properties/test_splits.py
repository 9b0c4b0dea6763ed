"""Invariant 10: the same input bytes give the same output bytes, however they fall into batches."""

import gzip
from functools import cache
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.assembly import assemble
from consumer.pipeline.load import load
from consumer.types import Enriching, Event, PlainEvent, Result
from tests.support.command import ROOT

COUNT = 60
_BAD = (b"{", b'{"distance":"far","body":7,"image":"?","pay":1}', b"{}")
EXAMPLES = [
    "flights/pipeline",
    "flights/pipeline-int8",
    "payments/pipeline",
    "text/pipeline",
    "image/pipeline",
    "image/pipeline-int8",
]


@cache
def shared(example: str) -> tuple[Enriching, list[Event], list[Result]]:
    """Return an enricher, events with some bad ones among them, and their results in one batch."""
    path = ROOT / "examples" / f"{example}.yaml"
    with gzip.open(path.parent / "events.jsonl.gz") as lines:
        values = [line.rstrip(b"\n") for line in islice(lines, COUNT)]
    for place, value in enumerate(_BAD):
        values[10 + 20 * place] = value
    events: list[Event] = [PlainEvent(value, offset=place) for place, value in enumerate(values)]
    made = assemble(load(path, {})).enrichers()()
    return made, events, made.enrich(events)


@pytest.mark.parametrize("example", EXAMPLES)
@settings(max_examples=40)
@given(cuts=st.sets(st.integers(1, COUNT - 1)))
def test_invariant_10_the_same_bytes_for_any_split(example: str, cuts: set[int]) -> None:
    """Bytes of enriched records and causes of dead letters are the same for any batches, in each example."""
    made, events, expected = shared(example)
    edges = [0, *sorted(cuts), COUNT]
    found = [r for start, stop in pairwise(edges) for r in made.enrich(events[start:stop])]
    assert found == expected
