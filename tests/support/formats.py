"""The flights example in every format: events written as producers write them, records read as consumers read them."""

import io
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import orjson
from ruamel.yaml import YAML

from consumer.assembly import Assembly, assemble
from consumer.pipeline.load import load
from consumer.records.envelope import prefix
from consumer.records.schemas import Registry, Schema
from tests.support.flights import FLIGHTS

FRAME = 5
NO_REGISTRY: Mapping[str, Any] = {}


def schema_of(name: str) -> Schema:
    """Return the events' schema in a format."""
    if name == "json_schema":
        return Schema("JSON", json.dumps({"type": "object", "properties": {"id": {"type": "integer"}}}))
    return Schema("AVRO", (FLIGHTS / "flights.avsc").read_text())


@cache
def avro(text: str) -> Any:  # noqa: ANN401 - fastavro's
    """Understand an Avro schema, without our code."""
    return fastavro.parse_schema(json.loads(text))


def written(name: str, event: Mapping[str, Any], schema: Schema, number: int | None = None) -> bytes:
    """Write an event as a producer does; with a prefix where there is a registry's id."""
    lead = b"" if number is None else prefix(number)
    if name == "avro":
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, avro(schema.text), dict(event))
        return lead + stream.getvalue()
    return lead + orjson.dumps(event)


def read(name: str, value: bytes, schema: Schema | None) -> Any:  # noqa: ANN401 - a record
    """Read a record as a consumer does that was given its schema, behind any prefix."""
    if name == "avro":
        assert schema is not None
        stream = io.BytesIO(value)
        found = fastavro.schemaless_reader(stream, avro(schema.text), None)
        assert stream.tell() == len(value), "bytes are left over"
        return found
    return orjson.loads(value)


def assembled(
    folder: Path,
    changes: Mapping[str, Mapping[str, Any]],
    registry: Callable[[Mapping[str, Any]], Registry] | None = None,
) -> Assembly:
    """Assemble the flights example with changes to its sections."""
    spec: dict[str, Any] = YAML(typ="safe", pure=True).load(FLIGHTS / "pipeline.yaml")
    spec["model"]["path"] = str(FLIGHTS / spec["model"]["path"])
    for tensor in ("carrier", "origin", "dest"):
        feature = spec["model"]["inputs"][tensor]
        feature["vocabulary"] = str(FLIGHTS / feature["vocabulary"])
    for section, change in changes.items():
        spec[section] = {**spec.get(section, {}), **change}
    path = folder / "pipeline.yaml"
    path.write_text(json.dumps(spec))
    file = load(path, {})
    return assemble(file, registry) if registry is not None else assemble(file)
