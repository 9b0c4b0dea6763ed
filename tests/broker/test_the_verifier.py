"""The verifier of the scenarios, on what went in and what came out: it judges the worker, not who feeds it."""

from collections.abc import Iterable

import pytest

from tests.support.fixtures import OpenStream
from tests.support.stream import Stream, record
from tests.support.topics import produce
from tests.support.verify import verify


@pytest.fixture
def stream(open_stream: OpenStream) -> Stream:
    """Topics with nothing in them."""
    return open_stream(partitions=1)


def come_out(stream: Stream, ids: Iterable[int]) -> None:
    """Write results for these events, in order, as a worker would."""
    produce(stream.bootstrap, stream.output, [record(number) for number in ids])


def test_an_event_that_went_in_twice_may_come_out_twice(stream: Stream) -> None:
    """As a producer that feeds a worker doubles it."""
    stream.feed([0, 24, 0, 24, 48])
    come_out(stream, [0, 24, 0, 24, 48])
    verify(stream, [0, 24, 48]).assert_exactly_once()


def test_one_that_came_out_once_more_is_doubled(stream: Stream) -> None:
    """Whatever else went in twice."""
    stream.feed([0, 0, 1, 2])
    come_out(stream, [0, 0, 1, 1, 2, 2, 2])
    assert verify(stream, [0, 1, 2]).duplicates == {1: 2, 2: 3}


def test_one_that_came_out_once_less_is_missing(stream: Stream) -> None:
    """Also where it went in more than once."""
    stream.feed([0, 0, 0, 1, 2])
    come_out(stream, [0, 0, 1])
    assert verify(stream, [0, 1, 2]).missing == [0, 2]


def test_events_of_a_key_that_changed_places_are_in_disorder(stream: Stream) -> None:
    """Those that went in twice are left out: their order says nothing."""
    stream.feed([0, 24, 0, 48, 1, 25])
    come_out(stream, [0, 24, 0, 48, 25, 1])
    assert verify(stream, [0, 24, 48, 1, 25]).disorder == [b"key-1"]
