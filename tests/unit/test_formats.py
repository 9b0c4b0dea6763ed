"""Every format of events into every format of records: the same predictions, whatever carries them."""

import math
import struct
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer.exits import PipelineError, RefusedError
from consumer.formats import event_teller
from consumer.pipeline.load import load
from consumer.records.envelope import FaultError, prefix
from consumer.records.schemas import Schema
from consumer.types import DeadLetter, Enriched, PlainEvent
from tests.support.flights import FLIGHTS, flight_values
from tests.support.formats import FRAME, assembled, read, schema_of, written
from tests.support.registries import Registry

EVENTS = [orjson.loads(value) for value in flight_values()[:40]]
REGISTRY = {"registry": {"url": "http://localhost:1"}}
FORMATS = ("json", "json_schema", "avro", "protobuf")


def expected(folder: Path, layout: str) -> list[Any]:
    """Return what plain JSON is enriched to."""
    enricher = assembled(folder, {"output": {"layout": layout}}).enrichers()()
    return [orjson.loads(result.value) for result in enricher.enrich(plain()) if isinstance(result, Enriched)]


def plain() -> list[PlainEvent]:
    """Return the events as JSON."""
    return [PlainEvent(orjson.dumps(event), offset=place) for place, event in enumerate(EVENTS)]


def said(record: Any, layout: str) -> Any:  # noqa: ANN401
    """Return a record without provenance, which names the pipeline's formats too, rounded as a float32 is.

    Fields without a value are left out, and 64-bit integers are text, as in Protobuf's own JSON.
    """
    record = dict(record)
    delay = dict(record["delay"])
    assert delay.pop("model").startswith("delay@")
    assert delay.pop("pipeline").startswith("flight-delays@")
    record["delay"] = {"minutes": pytest.approx(delay["minutes"], rel=1e-6), "late": delay["late"]}
    event = record["event"] if layout == "nest" else record
    for name in [name for name, value in event.items() if value is None]:
        del event[name]
    if "id" in event:
        event["id"] = int(event["id"])
    return record


@pytest.mark.parametrize("layout", ["merge", "nest", "only"])
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_each_format_of_events_is_enriched_into_each_format_of_records(
    tmp_path: Path, source: str, target: str, layout: str
) -> None:
    """In a registry's wire format; where records can't hold the events, the pipeline file is refused."""
    registry = Registry()
    event = schema_of(source)
    number = registry.add(event, "flights-value")
    changes = {**REGISTRY, "input": {"format": source}, "output": {"format": target, "layout": layout}}
    if target in ("avro", "protobuf") and source != target and layout != "only":
        with pytest.raises(PipelineError, match=f"can't be part of {target} records"):
            assembled(tmp_path, changes, lambda _: registry)
        return
    assembly = assembled(tmp_path, changes, lambda _: registry)
    values = [written(source, one, event, None if source == "json" else number) for one in EVENTS]
    results = assembly.enrichers()().enrich([PlainEvent(value, offset=at) for at, value in enumerate(values)])
    assert all(isinstance(result, Enriched) for result in results), results[0]
    schema = registry.latest("flights-enriched-value")
    assert (schema is None) == (target == "json")
    assert schema == assembly.formats.schema
    for result, wanted in zip(results, expected(tmp_path, layout), strict=True):
        assert isinstance(result, Enriched)
        value = result.value
        if schema is not None:
            assert registry.schema(int.from_bytes(value[1:FRAME])) == schema
            value = value[FRAME:]
        found = read(target, value, schema, framed=schema is not None)
        assert said(found, layout) == said(wanted, layout)


@pytest.mark.parametrize("layout", ["merge", "nest", "only"])
def test_avro_needs_no_registry_where_there_is_a_schema_file(tmp_path: Path, layout: str) -> None:
    """Nothing stands around values then."""
    changes = {"input": {"format": "avro", "schema": str(FLIGHTS / "flights.avsc")}, "output": {"layout": layout}}
    assembly = assembled(tmp_path, changes)
    event = schema_of("avro")
    results = assembly.enrichers()().enrich([PlainEvent(written("avro", one, event)) for one in EVENTS])
    for result, wanted in zip(results, expected(tmp_path, layout), strict=True):
        assert isinstance(result, Enriched)
        assert said(read("avro", result.value, assembly.formats.schema), layout) == said(wanted, layout)


def test_several_schemas_in_one_batch_are_each_read_as_what_they_are(tmp_path: Path) -> None:
    """And all are written as the output's schema says."""
    registry = Registry()
    tree = orjson.loads(schema_of("avro").text)
    old = Schema(
        "AVRO", orjson.dumps({**tree, "fields": [f for f in tree["fields"] if f["name"] != "tailnum"]}).decode()
    )
    later = Schema(
        "AVRO", orjson.dumps({**tree, "fields": [*tree["fields"], {"name": "gate", "type": "string"}]}).decode()
    )
    numbers = {schema: registry.add(schema) for schema in (old, later)}
    numbers[schema_of("avro")] = registry.add(schema_of("avro"), "flights-value")
    assembly = assembled(tmp_path, {**REGISTRY, "input": {"format": "avro"}}, lambda _: registry)
    schemas = list(numbers)
    values = [
        written("avro", {**event, "gate": "A1"}, schemas[place % 3], numbers[schemas[place % 3]])
        for place, event in enumerate(EVENTS)
    ]
    results = assembly.enrichers()().enrich([PlainEvent(value) for value in values])
    for place, (result, wanted) in enumerate(zip(results, expected(tmp_path, "merge"), strict=True)):
        assert isinstance(result, Enriched)
        if schemas[place % 3] == old:
            wanted["tailnum"] = None
        assert said(read("avro", result.value[FRAME:], assembly.formats.schema), "merge") == said(wanted, "merge")


def test_a_bad_value_harms_no_neighbour(tmp_path: Path) -> None:
    """Invariant 3, with a registry."""
    registry = Registry()
    event = schema_of("avro")
    number = registry.add(event, "flights-value")
    assembly = assembled(tmp_path, {**REGISTRY, "input": {"format": "avro"}}, lambda _: registry)
    good = [written("avro", one, event, number) for one in EVENTS[:4]]
    unknown = b"\x00\x00\x00\x00\x63" + good[0][5:]
    values = [good[0], b"{}", good[1], None, good[2][:-1], unknown, good[3], b""]
    results = assembly.enrichers()().enrich([PlainEvent(value) for value in values])
    causes = [result.cause.code if isinstance(result, DeadLetter) else None for result in results]
    assert causes == [None, "BadWireFormat", None, "NoValue", "Malformed", "UnknownSchema", None, "NoValue"]
    ids = [
        read("avro", result.value[FRAME:], assembly.formats.schema)["id"]
        for result in results
        if isinstance(result, Enriched)
    ]
    assert ids == [EVENTS[place]["id"] for place in (0, 1, 3)]


def test_records_need_a_schema_of_events(tmp_path: Path) -> None:
    """And a registry without one is told what it lacks."""
    with pytest.raises(RefusedError, match="no schema under flights-value yet"):
        assembled(tmp_path, {**REGISTRY, "input": {"format": "avro"}}, lambda _: Registry())


def test_a_registry_that_refuses_ends_the_start(tmp_path: Path) -> None:
    """In its own words."""
    registry = Registry()
    registry.add(schema_of("avro"), "flights-value")
    registry.refusal = "409: a field is gone"
    with pytest.raises(RefusedError, match="409: a field is gone"):
        assembled(tmp_path, {**REGISTRY, "input": {"format": "avro"}}, lambda _: registry)


def test_a_schema_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """With its topic, at the place that names the file."""
    (tmp_path / "bad.avsc").write_text("{")
    with pytest.raises(RefusedError, match=r"input.schema: the schema of flights won't do: it is no JSON"):
        assembled(tmp_path, {"input": {"format": "avro", "schema": str(tmp_path / "bad.avsc")}})


def test_a_pipelines_hash_tells_its_formats_and_its_schema_file(tmp_path: Path) -> None:
    """They decide what records say."""
    schema = tmp_path / "events.avsc"
    schema.write_text(schema_of("avro").text)
    avro = {"input": {"format": "avro", "schema": str(schema)}}
    labels = [assembled(tmp_path, {}).file.label, assembled(tmp_path, avro).file.label]
    labels.append(assembled(tmp_path, {**avro, "output": {"format": "json"}}).file.label)
    schema.write_text(schema_of("avro").text.replace('"Flight"', '"Departure"'))
    labels.append(assembled(tmp_path, avro).file.label)
    assert len(set(labels)) == 4


def test_what_a_registrys_events_say_is_told_as_they_were_written(tmp_path: Path) -> None:
    """For who looks at a dead letter: also what the pipeline's schema does not go with, and NaN in no disguise."""
    registry = Registry()
    odd = Schema("AVRO", '{"type":"record","name":"A","fields":[{"name":"a","type":"double"}]}')
    number = registry.add(odd)
    path = tmp_path / "pipeline.yaml"
    for name in ("avro", "protobuf", "json_schema"):
        assert registry.add(schema_of(name), "flights-value")
        assembly = assembled(tmp_path, {**REGISTRY, "input": {"format": name}}, lambda _: registry)
        tell = event_teller(load(path, {}), registry)
        assert tell is not None
        value = written(name, EVENTS[0], schema_of(name), registry.add(schema_of(name)))
        assert orjson.loads(tell(value))["carrier"] == EVENTS[0]["carrier"]
        with pytest.raises(FaultError, match="begins with 7b 7d"):
            tell(b"{}")
        assert assembly.file.spec.input.format == name
    avro = {**REGISTRY, "input": {"format": "avro", "schema": str(FLIGHTS / "flights.avsc")}}
    assembled(tmp_path, avro, lambda _: registry)
    tell = event_teller(load(path, {}), registry)
    assert tell is not None
    assert tell(prefix(number) + struct.pack("<d", 2.5)) == b'{"a":2.5}'
    with pytest.raises(FaultError, match="the event says nan"):
        tell(prefix(number) + struct.pack("<d", math.nan))
    assembled(tmp_path, {})
    assert event_teller(load(path, {}), None) is None
