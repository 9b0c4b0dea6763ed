"""The flights example in every format: events as producers write them, records as consumers read them."""

import io
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fastavro
import orjson
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc
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
    if name == "protobuf":
        return Schema("PROTOBUF", (FLIGHTS / "flights.proto").read_text())
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
    if name == "protobuf":
        known = protobuf(schema.text)
        fields = {
            field: value
            for field, value in event.items()
            if value is not None and field in known.DESCRIPTOR.fields_by_name
        }
        payload: bytes = known(**fields).SerializeToString()
        return lead + (b"" if number is None else b"\x00") + payload
    return lead + orjson.dumps(event)


@cache
def protobuf(text: str, name: str = "") -> Any:  # noqa: ANN401 - a class of messages
    """Compile a .proto file, without our code; the class of a message, the first by default."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "a.proto").write_text(text)
        made = Path(folder) / "made"
        common = Path(str(protoc.__file__)).parent / "_proto"
        code = protoc.main(
            ["", f"-I{folder}", f"-I{common}", "--include_imports", f"--descriptor_set_out={made}", "a.proto"]
        )
        assert code == 0, text
        files = FileDescriptorSet.FromString(made.read_bytes()).file
    pool = DescriptorPool()
    for file in files:
        pool.Add(file)
    package = files[-1].package
    name = name or (f"{package}." if package else "") + files[-1].message_type[0].name
    return GetMessageClass(pool.FindMessageTypeByName(name))


def read(name: str, value: bytes, schema: Schema | None, *, framed: bool = False) -> Any:  # noqa: ANN401 - a record
    """Read a record as a consumer does that was given its schema, behind any prefix."""
    if name == "avro":
        assert schema is not None
        stream = io.BytesIO(value)
        found = fastavro.schemaless_reader(stream, avro(schema.text), None)
        assert stream.tell() == len(value), "bytes are left over"
        return found
    if name == "protobuf":
        assert schema is not None
        assert value[:1] == b"\x00" or not framed
        message = protobuf(schema.text).FromString(value[1:] if framed else value)
        return json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
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
