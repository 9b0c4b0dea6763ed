"""Dead letters read back, and given back."""

import pytest

from consumer.deadletter.causes import Code
from consumer.deadletter.headers import PREFIX, REPLAYS, encode, own_headers, replays
from consumer.deadletter.letter import Letter, parse, revive
from consumer.deadletter.listing import Histogram
from consumer.types import Cause, DeadLetter, Headers, PlainEvent, Stage
from tests.support.letters import BAD, dead_letter, letter_of

HOUR = 3_600_000


def test_a_letter_says_what_its_headers_say() -> None:
    """All of them, as types."""
    event = PlainEvent(b"{", offset=2**40, partition=7, topic="flights", timestamp=(2, 1_700_000_000_123))
    letter = letter_of(dead_letter(event, cause=Cause(Stage.FEATURES, Code.MISSING, "absent", "dep_delay")))
    assert (letter.topic, letter.partition, letter.offset) == ("flights", 7, 2**40)
    assert letter.timestamp == (2, 1_700_000_000_123)
    assert (letter.stage, letter.cause, letter.field, letter.message) == (
        "features",
        "Missing",
        "dep_delay",
        "absent",
    )
    assert (letter.model, letter.pipeline, letter.pipeline_name) == ("delay@1", "flight-delays@2", "flight-delays")
    assert letter.replays == 0


@pytest.mark.parametrize("missing", ["topic", "partition", "offset", "stage", "cause"])
def test_without_what_every_letter_has_it_is_a_foreign_record(missing: str) -> None:
    """Such as somebody else's, in a topic that is shared."""
    record = dead_letter(PlainEvent(b"{", topic="t"))
    headers = [header for header in record.headers() or () if header[0] != PREFIX + missing]
    assert parse(PlainEvent(b"{", headers=headers)) is None
    assert parse(PlainEvent(b"{")) is None


@pytest.mark.parametrize("wrong", [b"", b"-1", b"x", b"1" * 20, "٣".encode(), b"\xff"])
def test_numbers_that_are_none_make_a_foreign_record(wrong: bytes) -> None:
    """Rather than an error, or a place that is none."""
    record = dead_letter(PlainEvent(b"{", topic="t"))
    headers = [(name, wrong if name == PREFIX + "offset" else value) for name, value in record.headers() or ()]
    assert parse(PlainEvent(b"{", headers=headers)) is None


def test_an_event_comes_back_as_it_was_with_its_count() -> None:
    """Key, value, headers, timestamp, place; and one header of ours, not those of its death."""
    own: Headers = [("trace", b"1"), ("none", None), ("trace", b"2")]
    event = PlainEvent(b"v", offset=5, partition=2, topic="t", key=b"k", timestamp=(1, 99), headers=own)
    back = revive(letter_of(dead_letter(event)))
    assert (back.topic(), back.partition(), back.offset(), back.timestamp()) == ("t", 2, 5, (1, 99))
    assert (back.key(), back.value()) == (b"k", b"v")
    assert back.headers() == [*own, (REPLAYS, b"1")]


def test_the_count_outlives_deaths_and_nothing_else_does() -> None:
    """The third replay says 3, and there is one header of each name."""
    event = PlainEvent(b"v", topic="t", headers=[("trace", b"1")])
    for count in (1, 2, 3):
        letter = letter_of(dead_letter(event))
        assert letter.replays == count - 1
        event = revive(letter)
        assert event.headers() == [("trace", b"1"), (REPLAYS, str(count).encode())]
    names = [name for name, _ in dead_letter(event).headers() or ()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("value", [None, b"", b"x", b"-1", b"1.0", b"1" * 10, "٣".encode()])
def test_a_count_that_is_none_of_ours_is_0(value: bytes | None) -> None:
    """And is not kept."""
    headers: Headers = [(REPLAYS, value)]
    assert replays(headers) == 0
    letter = DeadLetter(PlainEvent(b"v", headers=headers), Cause(Stage.DECODE, Code.MALFORMED, "bad"))
    assert REPLAYS not in dict(encode(letter, "m", "p"))


def test_own_headers_are_all_but_ours() -> None:
    """A name that only begins alike is not ours."""
    assert own_headers([("onelaneX", b"1"), ("onelane.x", b"2"), ("a", None)]) == [("onelaneX", b"1"), ("a", None)]
    assert own_headers(None) == []


def aged(milliseconds: int, at: tuple[int, int], field: str | None = None) -> Letter:
    """Return a letter that died so long before the hour 100; with a field to blame, one of another cause."""
    cause = BAD if field is None else Cause(Stage.FEATURES, Code.MISSING, "absent", field)
    return letter_of(dead_letter(PlainEvent(b"v", topic="t"), cause=cause, at=at, died=100 * HOUR - milliseconds))


def test_a_histogram_counts_by_everything() -> None:
    """The most frequent first, partitions and ages in their order."""
    histogram = Histogram(100 * HOUR)
    for letter in (
        aged(1000, at=(10, 0)),
        aged(2 * HOUR, at=(2, 0)),
        aged(59_000, at=(2, 1), field="a"),
        aged(30 * HOUR, at=(2, 2), field="b"),
    ):
        histogram.add(letter)
    assert histogram.total == 4
    assert histogram.rows("partition") == [("2", 3), ("10", 1)]
    assert histogram.rows("age") == [("under 1 minute", 2), ("1 hour to 1 day", 1), ("1 to 7 days", 1)]
    assert histogram.rows("cause") == [("Malformed", 2), ("Missing", 2)]
    assert histogram.rows("field") == [("", 2), ("a", 1), ("b", 1)]
    assert (histogram.oldest, histogram.newest) == (70 * HOUR, 100 * HOUR - 1000)


def test_a_letter_without_a_time_has_no_age() -> None:
    """As from a topic of the oldest message format."""
    histogram = Histogram(0)
    histogram.add(letter_of(dead_letter(PlainEvent(b"v", topic="t"), died=None)))
    assert histogram.rows("age") == [("unknown", 1)]
    assert histogram.oldest is None
