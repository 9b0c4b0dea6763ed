"""What is fuzzed: events of each format and content, what stands around them, and how others read records."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from ruamel.yaml import YAML

from consumer.assembly import Assembly, assemble
from consumer.pipeline.load import load
from tests.properties.test_decoding import read_by_others
from tests.support.examples import EXAMPLES, values
from tests.support.flights import FLIGHTS, flight_values
from tests.support.formats import FRAME, assembled, read, schema_of, written
from tests.support.registries import Registry

IMAGES = EXAMPLES / "image"
# What decoders stumble over, put in anywhere.
PIECES: Mapping[str, tuple[bytes, ...]] = {
    "json": (
        *(
            b"",
            b"\x00",
            b"\xff",
            b"\xef\xbb\xbf",
            b"\xed\xa0\x80",
            b"\xc0\xaf",
            b"\\ud800",
            b"\\u0000",
            b'\\"',
            b"\\",
        ),
        *(b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"9" * 400, b"9223372036854775808", b"-0", b"01"),
        *(b"1e-400", b"null", b"true", b'""', b"[]", b"{}", b"[", b"{", b"]", b"}", b",", b":", b'"', b"'", b"//"),
        *(b"\n", b" ", b"[" * 300, b'{"a":' * 300, b'"delay":{},', b'"dep_delay":"x",', b'"dep_delay":null,'),
        *(b'"carrier":1.0,', b"\x00\x00\x00\x00\x01", b"\x00\x00\x00\x00\x63"),
    ),
    # Lengths and numbers without end, halves of variable-length ones, NaN and infinity, groups, tags of no field.
    "binary": (
        *(
            b"",
            b"\x00",
            b"\x01",
            b"\x02",
            b"\x7f",
            b"\x80",
            b"\xff",
            b"\xff" * 10,
            b"\xff" * 9 + b"\x01",
            b"\x80" * 20,
        ),
        *(
            b"\x00\x00\xc0\x7f",
            b"\x00\x00\x80\x7f",
            b"\x00" * 6 + b"\xf8\x7f",
            b"\x00" * 6 + b"\xf0\x7f",
            b"\xc0\xaf",
        ),
        *(b"\x0b" * 120, b"\x0c", b"\xfa\x3f\x00", b"\x00\x00\x00\x00\x01", b"\x00\x00\x00\x00\x63", b"\x01\x02"),
    ),
}


@dataclass(frozen=True)
class Kind:
    """Events of a kind.

    Attributes:
        assembly: what enriches them.
        values: what is broken, of events that are fine.
        wrap: makes an event of it.
        pieces: what it is broken with.
        say: what another library reads in a record; fails where it can't.
        event: the same of an event, where its record says all of that.
    """

    assembly: Assembly
    values: list[bytes]
    wrap: Callable[[bytes], bytes]
    pieces: tuple[bytes, ...]
    say: Callable[[bytes], Any]
    event: Callable[[bytes], Any] | None = None


@cache
def kind(name: str) -> Kind:
    """Make one of KINDS."""
    with TemporaryDirectory() as folder:
        return _KINDS[name](Path(folder))


def _json(folder: Path) -> Kind:
    return Kind(
        assembled(folder, {}), flight_values()[:100], _as_it_is, PIECES["json"], read_by_others, read_by_others
    )


def _in_a_file(folder: Path, name: str, suffix: str) -> Kind:
    assembly = assembled(folder, {"input": {"format": name, "schema": str(FLIGHTS / f"flights.{suffix}")}})
    events = [written(name, orjson.loads(value), schema_of(name)) for value in flight_values()[:20]]
    return Kind(assembly, events, _as_it_is, PIECES["binary"], lambda v: read(name, v, assembly.formats.schema))


def _in_the_wire_format(folder: Path, name: str) -> Kind:
    registry, schema = Registry(), schema_of(name)
    number = registry.add(schema, "flights-value")
    changes = {"registry": {"url": "http://localhost:1"}, "input": {"format": name}}
    assembly = assembled(folder, changes, lambda _: registry)
    events = [written(name, orjson.loads(value), schema, number) for value in flight_values()[:20]]
    pieces = PIECES["json" if name == "json_schema" else "binary"]

    def say(value: bytes) -> Any:  # noqa: ANN401 - a record
        assert registry.schema(int.from_bytes(value[1:FRAME])) == assembly.formats.schema
        if name == "json_schema":
            return read_by_others(value[FRAME:])
        return read(name, value[FRAME:], assembly.formats.schema, framed=True)

    said = (lambda value: read_by_others(value[FRAME:])) if name == "json_schema" else None
    return Kind(assembly, events, _as_it_is, pieces, say, said)


def _images(folder: Path) -> Kind:
    del folder
    texts = [str(orjson.loads(value).get("image")) for value in values("image")]
    files = [base64.b64decode(text) for text in texts if text.startswith(("iVBORw0KGgo", "/9j/"))][:60]
    pieces = (*PIECES["binary"], b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"IHDR\x00\x01\x00\x00", b"IDAT", b"IEND")
    return Kind(
        assemble(load(IMAGES / "pipeline.yaml", {})), files, _within("image"), pieces, read_by_others, read_by_others
    )


def _bytes(folder: Path) -> Kind:
    spec: dict[str, Any] = YAML(typ="safe", pure=True).load(IMAGES / "pipeline-raw.yaml")
    spec["input"]["format"], spec["output"] = "json", {**spec["output"], "layout": "merge"}
    spec["model"]["path"] = str(IMAGES / spec["model"]["path"])
    spec["model"]["inputs"]["image"] |= {"field": "image", "encoding": "base64"}
    for output in spec["model"]["outputs"].values():
        output["labels"] = str(IMAGES / output["labels"])
    (folder / "pipeline.yaml").write_text(json.dumps(spec))
    assembly = assemble(load(folder / "pipeline.yaml", {}))
    return Kind(assembly, _raw(folder).values, _within("image"), PIECES["binary"], read_by_others, read_by_others)


def _raw(folder: Path) -> Kind:
    del folder
    assembly = assemble(load(IMAGES / "pipeline-raw.yaml", {}))
    return Kind(assembly, values("image", 64)[:100], _as_it_is, PIECES["binary"], read_by_others)


def _as_it_is(value: bytes) -> bytes:
    return value


def _within(field: str) -> Callable[[bytes], bytes]:
    """Return what puts bytes into a field of an event."""
    return lambda value: orjson.dumps({"id": 1, field: base64.b64encode(value).decode()})


_KINDS: Mapping[str, Callable[[Path], Kind]] = {
    "json": _json,
    "json_schema-wire": lambda folder: _in_the_wire_format(folder, "json_schema"),
    "avro": lambda folder: _in_a_file(folder, "avro", "avsc"),
    "avro-wire": lambda folder: _in_the_wire_format(folder, "avro"),
    "protobuf": lambda folder: _in_a_file(folder, "protobuf", "proto"),
    "protobuf-wire": lambda folder: _in_the_wire_format(folder, "protobuf"),
    "image": _images,
    "bytes": _bytes,
    "raw": _raw,
}
KINDS = tuple(_KINDS)
