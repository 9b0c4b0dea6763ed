"""Files as a broker: JSON lines in, JSON lines out."""

import io

import orjson
import pytest

from consumer.broker import EndOfInputError
from consumer.deadletter.causes import Code
from consumer.files import FileBroker
from consumer.sources import Lines
from consumer.types import Cause, DeadLetter, Enriched, Event, Filtered, PlainEvent, Stage
from tests.contract.test_broker import Lanes


def read_all(content: bytes, limit: int = 100) -> list[Event]:
    """Read a file of events."""
    broker = FileBroker(Lines(io.BytesIO(content), "flights.jsonl"), io.BytesIO(), io.BytesIO())
    broker.join(Lanes())
    events: list[Event] = []
    try:
        while True:
            events += broker.poll(0.0, limit)
    except EndOfInputError:
        return events


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_offsets_are_line_numbers(limit: int) -> None:
    """From 0; empty lines are left out and counted, whatever the line ends, and the last needs none."""
    events = read_all(b"a\n\n\r\nb\r\n\nc", limit)
    assert [(event.offset(), event.value()) for event in events] == [(0, b"a"), (3, b"b"), (5, b"c")]
    assert {event.topic() for event in events} == {"flights.jsonl"}


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_a_file_of_nothing_has_no_events(content: bytes) -> None:
    """It ends at once."""
    assert read_all(content) == []


def letter(value: bytes | None, cause: Cause | None = None) -> dict[str, object]:
    """Write a dead letter, and read its line."""
    dead = io.BytesIO()
    broker = FileBroker(Lines([]), io.BytesIO(), dead)
    broker.write([DeadLetter(PlainEvent(value, offset=6), cause or Cause(Stage.DECODE, Code.MALFORMED, "bad"))])
    assert dead.getvalue().count(b"\n") == 1
    line: dict[str, object] = orjson.loads(dead.getvalue())
    return line


def test_a_dead_letter_names_line_and_cause() -> None:
    """Lines count from 1, as editors do; the field only where one is to blame."""
    assert letter(b'{"a":1.0}', Cause(Stage.FEATURES, Code.MISSING, "absent", "n")) == {
        "line": 7,
        "stage": "features",
        "cause": "Missing",
        "field": "n",
        "message": "absent",
        "event": {"a": 1.0},
    }
    assert "field" not in letter(b"{}")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"{", {"text": "{"}),
        (b'{"a":\xff}', {"base64": "eyJhIjr/fQ=="}),
        (b'{"a":"\\xff"}', {"text": '{"a":"\\xff"}'}),
        (b'{"a":1e400}', {"text": '{"a":1e400}'}),
        (None, {"text": ""}),
        (b"null", {"event": None}),
    ],
)
def test_an_event_is_told_so_that_it_can_be_had_back(value: bytes | None, told: dict[str, object]) -> None:
    """As JSON, as text, or in base64, and never so that two events look alike."""
    found = letter(value)
    assert {name: found[name] for name in ("event", "text", "base64") if name in found} == told


def test_a_dead_letters_event_keeps_its_bytes() -> None:
    """Where it is JSON: 1.0 stays 1.0."""
    dead = io.BytesIO()
    cause = Cause(Stage.DECODE, Code.WRONG_TYPE, "bad")
    FileBroker(Lines([]), io.BytesIO(), dead).write([DeadLetter(PlainEvent(b'{"a": 1.0}'), cause)])
    assert b'"event":{"a": 1.0}}' in dead.getvalue()


def test_an_event_over_several_lines_is_one() -> None:
    """A topic's producer may write its JSON so that people can read it; a file has a line an event all the same."""
    out, dead = io.BytesIO(), io.BytesIO()
    event = PlainEvent(b'{\n  "a": "x\\ny"\n}')
    cause = Cause(Stage.FEATURES, Code.MISSING, "absent", "b")
    enriched = Enriched(event, b'{\n  "a": "x\\ny"\n,"p":1}')
    FileBroker(Lines([]), out, dead).write([enriched, Filtered(event, dropped=False), DeadLetter(event, cause)])
    assert [orjson.loads(line) for line in out.getvalue().splitlines()] == [{"a": "x\ny", "p": 1}, {"a": "x\ny"}]
    (line,) = dead.getvalue().splitlines()
    assert orjson.loads(line)["event"] == {"a": "x\ny"}


def test_enriched_records_and_dead_letters_go_to_their_files() -> None:
    """Each in order."""
    out, dead = io.BytesIO(), io.BytesIO()
    cause = Cause(Stage.DECODE, Code.MALFORMED, "bad")
    event = PlainEvent(b"{}")
    FileBroker(Lines([]), out, dead).write([Enriched(event, b"1"), DeadLetter(event, cause), Enriched(event, b"2")])
    assert (out.getvalue(), dead.getvalue().count(b"\n")) == (b"1\n2\n", 1)
