"""Each cell of the table in docs/formats.md: what becomes of an odd event in each format."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from consumer.assembly import Assembly
from consumer.records.envelope import prefix
from consumer.records.schemas import Schema
from consumer.types import DeadLetter, NotYetError, PlainEvent
from tests.support.flights import flight_values
from tests.support.formats import assembled, schema_of, written
from tests.support.registries import Registry

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"
MODELS = Path(__file__).parents[1] / "models"

FLIGHT: Mapping[str, Any] = json.loads(flight_values()[0])
AVRO = {bool: "boolean", int: "long", float: "double", str: "string"}
PROTO = {bool: "bool", int: "int64", float: "double", str: "string"}
DEEP = 300


def table() -> tuple[list[str], dict[str, list[str]]]:
    """Return the formats and the rows of the table."""
    text = DOCS.read_text().split("## What becomes of odd events")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    return rows[0][1:], {row[0]: row[1:] for row in rows[2:] if len(row) == len(rows[0])}


FORMATS, ROWS = table()


def without(*names: str) -> dict[str, Any]:
    """Return a flight that lacks fields."""
    return {name: value for name, value in FLIGHT.items() if name not in names}


def avro(event: Mapping[str, Any]) -> Schema:
    """Make a schema for an event as it is."""
    fields = [
        {"name": name, "type": ["null", "double"] if value is None else AVRO[type(value)]}
        for name, value in event.items()
    ]
    return Schema("AVRO", json.dumps({"type": "record", "name": "Flight", "fields": fields}))


def proto(event: Mapping[str, Any]) -> Schema:
    """Make a schema for an event as it is, all of its fields optional, and for one that it lacks."""
    fields = [f"optional {PROTO[type(value)]} {name} = {at};" for at, (name, value) in enumerate(event.items(), 1)]
    return Schema("PROTOBUF", f'syntax = "proto3"; message Flight {{ {" ".join(fields)} }}')


class Format:
    """The flights example in a format, with a registry in memory.

    Args:
        name: of the format.
        folder: for pipeline files.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.registry = Registry()
        self._folder = folder
        if name in ("json_schema", "avro", "protobuf"):
            self.number = self.registry.add(schema_of(name), "flights-value")

    def assembly(self, **output: Any) -> Assembly:  # noqa: ANN401
        """Assemble it with a registry, for plain JSON and raw values too."""
        changes: dict[str, dict[str, Any]] = {"registry": {"url": "http://localhost:1"}}
        changes["input"] = {"format": self.name}
        if self.name == "raw":
            timestamps = [{"field": "@timestamp", "kind": "number"}] * 3
            outputs = {"y": {"tensor": "y", "kind": "number", "index": 0}}
            model = {"path": str(MODELS / "dense.tflite"), "inputs": {"x": timestamps}, "outputs": outputs}
            return assembled(self._folder, {**changes, "output": {"layout": "only"}, "model": model}, self._opened)
        return assembled(self._folder, {**changes, "output": output}, self._opened)

    def bare(self) -> Assembly:
        """Assemble it without a registry, where the format goes without one."""
        if self.name not in ("avro", "protobuf"):
            return self.assembly()
        file = self._folder / "schema"
        file.write_text(schema_of(self.name).text)
        return assembled(self._folder, {"input": {"format": self.name, "schema": str(file)}})

    def event(self, event: Mapping[str, Any], *, as_it_is: bool = False) -> bytes:
        """Write an event with the example's schema, or with one of its own."""
        if self.name in ("json", "raw"):
            return json.dumps(event).encode()
        if self.name == "json_schema":
            return prefix(self.number) + json.dumps(event).encode()
        schema = {"avro": avro, "protobuf": proto}[self.name](event) if as_it_is else schema_of(self.name)
        return written(self.name, event, schema, self.registry.add(schema))

    def framed(self, number: int) -> bytes:
        """Write an event with an id of our choice."""
        return prefix(number) + self.event(FLIGHT)[5:]

    def lenient(self, **output: Any) -> Assembly:  # noqa: ANN401
        """Assemble it so that events are read as they were written: no schema of its own fills in what they lack."""
        if self.name in ("json", "json_schema"):
            return self.assembly(**output)
        self.registry.forget("flights-value")
        return self.assembly(**(output or {"format": "json"}))

    def nested(self) -> bytes:
        """Write an event with records in each other."""
        if self.name in ("json", "json_schema"):
            lead = self.event({})[:-2]
            return lead + b'{"in":' * DEEP + b"{}" + b"}" * DEEP
        if self.name == "avro":
            field = {"name": "in", "type": ["null", "Flight"]}
            schema = Schema("AVRO", json.dumps({"type": "record", "name": "Flight", "fields": [field]}))
            return prefix(self.registry.add(schema)) + b"\x02" * DEEP + b"\x00"
        schema = Schema("PROTOBUF", 'syntax = "proto3"; message Flight { Flight in = 1; }')
        payload = b""
        for _ in range(DEEP):
            size = len(payload)
            payload = b"\x0a" + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + payload
        return prefix(self.registry.add(schema)) + b"\x00" + payload

    def _opened(self, _: object) -> Registry:
        return self.registry


def outcome(assembly: Assembly, value: bytes | None) -> str:
    """Return what becomes of an event."""
    event = PlainEvent(value, timestamp=(1, 5))
    try:
        (result,) = assembly.enrichers()().enrich([event])
    except NotYetError:
        return "waits"
    return str(result.cause.code) if isinstance(result, DeadLetter) else "enriched"


def become(row: str, form: Format) -> str:  # noqa: C901, PLR0911, PLR0912 - a row each
    """Bring a row about, in a format."""
    match row:
        case "no value (a tombstone)":
            return outcome(form.assembly(), None)
        case "an empty value":
            return outcome(form.assembly(), b"")
        case "bytes that are no such format":
            lead = prefix(form.number) if form.name == "json_schema" else b""
            return outcome(form.bare(), lead + b"no such thing")
        case "bytes left over at its end":
            return outcome(form.assembly(), form.event(FLIGHT) + b"\x07")
        case "no prefix, with a registry":
            skipped = {"json_schema": 5, "avro": 5, "protobuf": 6}.get(form.name, 0)
            return outcome(form.assembly(), form.event(FLIGHT)[skipped:])
        case "an id that the registry does not have":
            return outcome(form.assembly(), form.framed(77))
        case "an id that the registry says nothing about":
            assembly = form.assembly()
            form.registry.away = True
            return outcome(assembly, form.event(FLIGHT))
        case "a schema of another format":
            other = "avro" if form.name != "avro" else "protobuf"
            return outcome(form.assembly(), form.framed(form.registry.add(schema_of(other))))
        case "a read field absent":
            return outcome(form.lenient(), form.event(without("distance"), as_it_is=True))
        case "a read field null":
            return outcome(form.lenient(), form.event({**FLIGHT, "distance": None}, as_it_is=True))
        case "a read field absent that has `missing`":
            return outcome(form.lenient(), form.event(without("dep_delay"), as_it_is=True))
        case "a read field of another type":
            return outcome(form.lenient(), form.event({**FLIGHT, "distance": "far"}, as_it_is=True))
        case "an integer where a number is read":
            return outcome(form.lenient(), form.event({**FLIGHT, "distance": 529}, as_it_is=True))
        case "a read field beyond what its tensor holds":
            return outcome(form.lenient(), form.event({**FLIGHT, "distance": 1e300}, as_it_is=True))
        case "a read field that should be a time":
            return outcome(form.lenient(), form.event({**FLIGHT, "time_hour": "noon"}, as_it_is=True))
        case "NaN in a read field":
            return outcome(form.assembly(), form.event({**FLIGHT, "distance": math.nan}))
        case "NaN in another field":
            return outcome(form.lenient(layout="only"), form.event({**FLIGHT, "gate": math.nan}, as_it_is=True))
        case "NaN in another field, into json":
            return outcome(form.lenient(format="json"), form.event({**FLIGHT, "gate": math.nan}, as_it_is=True))
        case "a text in another field that is not UTF-8":
            value = form.event({**FLIGHT, "tailnum": "N173US"})
            return outcome(form.assembly(), value.replace(b"N173US", b"N173\xff\xfe"))
        case "300 records in each other":
            return outcome(form.lenient(), form.nested())
        case "the output's field":
            return outcome(form.lenient(), form.event({**FLIGHT, "delay": 1.5}, as_it_is=True))
    raise AssertionError(f"nobody brings about: {row}")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("row", ROWS)
def test_each_cell_is_what_happens(tmp_path: Path, row: str, name: str) -> None:
    """The words of the documentation are the outcome of an event."""
    told = ROWS[row][FORMATS.index(name)]
    if told == "-":
        assert (name, row) in IMPOSSIBLE
        return
    assert become(row, Format(name, tmp_path)) == told


IMPOSSIBLE = {
    *(("raw", row) for row in ROWS if re.search("id|schema of|field|300|integer", row)),
    *(("json", row) for row in ROWS if re.search("id that|schema of", row)),
    ("protobuf", "a read field null"),
}


def test_the_table_is_there() -> None:
    """All of it."""
    assert FORMATS == ["json", "json_schema", "avro", "protobuf", "raw"]
    assert len(ROWS) == 21
