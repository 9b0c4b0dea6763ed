"""What records keep of events that are left out."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer.exits import PipelineError
from consumer.types import DeadLetter, Enriched, PlainEvent
from tests.support.flights import FLIGHTS, flight_values
from tests.support.formats import assembled, schema_of, written

VALUE = flight_values()[0]


def kept(folder: Path, event: PlainEvent, keep: list[str], **formats: Any) -> list[Any]:  # noqa: ANN401
    """Enrich an event with things kept; the record's pairs but for the predictions, in order."""
    output = {"layout": "only", "keep": keep, "format": "json"}
    assembly = assembled(folder, {"output": output, **formats})
    (result,) = assembly.enrichers()().enrich([event])
    assert isinstance(result, Enriched), result
    pairs = list(orjson.loads(result.value).items())
    assert pairs[-1][0] == "delay"
    return pairs[:-1]


def test_parts_and_fields_are_kept_in_order(tmp_path: Path) -> None:
    """A header under its own name; what an event lacks is null."""
    event = PlainEvent(VALUE, key="Ü".encode(), timestamp=(1, 5), headers=[("camera", b"1"), ("camera", b"2")])
    keep = ["@headers.camera", "id", "@key", "@timestamp", "nothing", "@headers.no"]
    assert kept(tmp_path, event, keep) == [
        ("camera", "2"),
        ("id", 76424),
        ("key", "Ü"),
        ("timestamp", 5),
        ("nothing", None),
        ("no", None),
    ]
    assert kept(tmp_path, PlainEvent(VALUE), ["@key", "@timestamp"]) == [("key", None), ("timestamp", None)]


def test_a_kept_field_has_its_own_bytes(tmp_path: Path) -> None:
    """1.0 stays 1.0."""
    value = VALUE.replace(b'"day":23', b'"day":{"a":[1.0, 1e2]}')
    assembly = assembled(tmp_path, {"output": {"layout": "only", "keep": ["day"]}})
    (result,) = assembly.enrichers()().enrich([PlainEvent(value)])
    assert isinstance(result, Enriched)
    assert result.value.startswith(b'{"day":{"a":[1.0, 1e2]},"delay":{"minutes":')


def test_fields_of_other_formats_are_kept_as_json(tmp_path: Path) -> None:
    """Of Avro here."""
    event = PlainEvent(written("avro", orjson.loads(VALUE), schema_of("avro")))
    avro = {"format": "avro", "schema": str(FLIGHTS / "flights.avsc")}
    assert kept(tmp_path, event, ["id", "dest"], input=avro) == [("id", 76424), ("dest", "CLT")]


def test_a_key_that_is_no_text_harms_no_neighbour(tmp_path: Path) -> None:
    """It is a dead letter, with its field."""
    events = [PlainEvent(VALUE, key=key) for key in (b"a", b"\xff", b"c")]
    results = assembled(tmp_path, {"output": {"layout": "only", "keep": ["@key"]}}).enrichers()().enrich(events)
    assert [isinstance(result, Enriched) for result in results] == [True, False, True]
    assert isinstance(results[1], DeadLetter)
    assert (results[1].cause.code, results[1].cause.field) == ("NotUtf8", "@key")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"keep": ["id"]}, "layout merge keeps all of the event"),
        ({"layout": "only", "keep": ["@offset"]}, "no such part: '@offset'"),
        ({"layout": "only", "keep": ["delay"]}, "would be named 'delay', as the field of predictions is"),
        ({"layout": "only", "keep": ["key", "@key"]}, "would be named 'key', as key is"),
        ({"layout": "only", "keep": ["id"], "format": "avro"}, "avro records keep nothing"),
    ],
)
def test_what_can_not_be_kept_is_refused(tmp_path: Path, output: dict[str, Any], words: str) -> None:
    """With its place."""
    with pytest.raises(PipelineError, match=words):
        assembled(tmp_path, {"output": output})
