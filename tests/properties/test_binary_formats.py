"""Broken Avro and Protobuf events: a dead letter, or a record that other libraries can read."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.assembly import Assembly
from consumer.types import DeadLetter, Enriched, PlainEvent
from tests.support.flights import FLIGHTS, flight_values
from tests.support.formats import assembled, read, schema_of, written

SCHEMAS = {"avro": FLIGHTS / "flights.avsc", "protobuf": FLIGHTS / "flights.proto"}


@cache
def assembly(name: str) -> Assembly:
    """Assemble the flights example in a format, without a registry."""
    with TemporaryDirectory() as folder:
        return assembled(Path(folder), {"input": {"format": name, "schema": str(SCHEMAS[name])}})


@cache
def values(name: str) -> list[bytes]:
    """Write some events."""
    return [written(name, orjson.loads(value), schema_of(name)) for value in flight_values()[:5]]


@pytest.mark.parametrize("name", SCHEMAS)
@given(data=st.data())
def test_a_broken_event_is_a_dead_letter_or_a_record_that_others_read(name: str, data: st.DataObject) -> None:
    """And its neighbour is what it is (invariant 3)."""
    good = values(name)[0]
    value = data.draw(st.sampled_from(values(name)))
    start = data.draw(st.integers(0, len(value)))
    stop = data.draw(st.integers(start, len(value)))
    broken = value[:start] + data.draw(st.binary(max_size=12)) + value[stop:]
    first, second = assembly(name).enrichers()().enrich([PlainEvent(broken), PlainEvent(good)])
    assert isinstance(second, Enriched)
    schema = assembly(name).formats.schema
    assert int(read(name, second.value, schema)["id"]) == orjson.loads(flight_values()[0])["id"]
    if isinstance(first, DeadLetter):
        assert first.cause.message
    else:
        assert isinstance(first, Enriched)
        assert first.value.startswith(broken)
        assert "delay" in read(name, first.value, schema)
