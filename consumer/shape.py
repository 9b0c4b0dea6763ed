"""Which fields a schema gives events, and which fields of a pipeline it has none for."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from consumer.exits import RefusedError
from consumer.pipeline.expression import ExpressionError, compile_expression
from consumer.pipeline.features import fields_of
from consumer.pipeline.findings import Finding
from consumer.pipeline.findings import Path as Where
from consumer.pipeline.mapping import each_feature
from consumer.pipeline.paths import Steps, is_part, joined, meant, parse
from consumer.pipeline.spec import Pipeline
from consumer.records.schemas import Schema, SchemaError

# What is inside of something, by name; None where anything may be, by a list's items under _ITEMS.
Inside: TypeAlias = Mapping[str, Any] | None
_ITEMS: Final = "[]"


def read_fields(spec: Pipeline) -> Iterator[tuple[Where, str]]:
    """Return the fields of events' values that a pipeline reads, each with its place in the pipeline file."""
    for where, feature in each_feature(spec.model):
        yield from ((where, field) for field in fields_of(feature) if not is_part(field))
    for number, field in enumerate(spec.output.keep):
        if not is_part(field):
            yield ("output", "keep", number), field
    if spec.when is not None:
        try:
            fields = compile_expression(spec.when).fields
        except ExpressionError:  # a finding of its own
            return
        yield from ((("when",), field) for field in fields if not is_part(field))


def impossible(spec: Pipeline, schema: Schema) -> list[Finding]:
    """Find fields that a pipeline reads and that no event can have, whatever schemas a registry comes to have.

    Without a registry all events are read by the one schema that there is. With one, Avro events are still read as
    ``input.schema`` says; others as they were written.
    """
    fixed = spec.input.schema is not None and (spec.input.format == "avro" or not spec.registry)
    return strangers(spec, schema) if fixed else []


def strangers(spec: Pipeline, schema: Schema) -> list[Finding]:
    """Find fields that a pipeline reads and the events' schema lacks.

    Nothing is found of a schema that can't be understood: whoever reads events by it says so.
    """
    try:
        root, inside = _SHAPES[schema.kind](schema, spec.input.message or "")
    except (SchemaError, RefusedError):
        return []
    findings = []
    for where, field in read_fields(spec):
        known = _lacking(root, inside, parse(field))
        if known is not None:
            findings.append(Finding(where, f"the schema of events has no field `{field}`", meant(field, known)))
    return findings


def _lacking(node: Any, inside: Callable[[Any], Inside], steps: Steps) -> list[str] | None:  # noqa: ANN401
    """Return the paths there are beside the first step that leads nowhere; None if there is none."""
    path = ""
    for step in steps:
        names = inside(node)
        if names is None:
            return None
        name = _ITEMS if isinstance(step, int) else step
        if name not in names:
            return [joined(path, known) for known in names if known != _ITEMS]
        node = names[name]
        path = f"{path}[{step}]" if isinstance(step, int) else joined(path, step)
    return None


def _avro(schema: Schema, message: str) -> tuple[Any, Callable[[Any], Inside]]:
    del message  # Protobuf's
    from consumer.records.avro_schema import AvroSchema  # noqa: PLC0415 - an extra

    named: dict[str, Any] = {}

    def inside(node: Any) -> Inside:  # noqa: ANN401
        if isinstance(node, list):
            branches = [inside(one) for one in node]
            return None if None in branches else {name: to for one in branches if one for name, to in one.items()}
        if isinstance(node, str):
            return inside(named[node]) if node in named else {} if node in _PRIMITIVE else None
        if "fields" in node:
            return {one["name"]: one["type"] for one in node["fields"]}
        if node["type"] == "array":
            return {_ITEMS: node["items"]}
        return None if node["type"] == "map" else {}

    parsed = AvroSchema(schema).parsed
    _name(parsed, named)
    return parsed, inside


def _name(node: Any, named: dict[str, Any]) -> None:  # noqa: ANN401
    """Note the named types in a type."""
    if isinstance(node, list):
        for one in node:
            _name(one, named)
    elif isinstance(node, dict):
        if "name" in node:
            named[node["name"]] = node
        for one in node.get("fields", []):
            _name(one["type"], named)
        for part in ("items", "values"):
            _name(node.get(part), named)


def _protobuf(schema: Schema, message: str) -> tuple[Any, Callable[[Any], Inside]]:
    from consumer.records.protobuf_schema import ProtobufSchema  # noqa: PLC0415 - an extra

    def inside(node: Any) -> Inside:  # noqa: ANN401 - a descriptor, or a field's
        if hasattr(node, "fields_by_name"):
            # Some of Google's own messages stand for a single value, or for anything.
            return None if node.full_name.startswith("google.") else dict(node.fields_by_name)
        kind = node.message_type
        if kind is not None and kind.GetOptions().map_entry:
            return None
        if node.is_repeated:
            return {_ITEMS: kind if kind is not None else _NOTHING}
        return {} if kind is None else inside(kind)

    return ProtobufSchema(schema).message(message), inside


def _json(schema: Schema, message: str) -> tuple[Any, Callable[[Any], Inside]]:
    del message  # Protobuf's

    def inside(node: Any) -> Inside:  # noqa: ANN401
        """Return what an object names; it may have more, but nobody said so."""
        if not isinstance(node, dict) or _COMPOSED & node.keys():
            return None
        if "properties" in node:
            return dict(node["properties"])
        return {_ITEMS: node["items"]} if isinstance(node.get("items"), dict) else None

    try:
        return json.loads(schema.text), inside
    except ValueError as error:
        raise SchemaError(f"it is no JSON: {error}") from None


class _Nothing:
    """What a list of plain values holds, as a field without anything in it."""

    message_type = None
    is_repeated = False


_NOTHING: Final = _Nothing()
_PRIMITIVE: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_COMPOSED: Final = frozenset({"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "not", "patternProperties"})
_SHAPES: Final[Mapping[str, Callable[[Schema, str], tuple[Any, Callable[[Any], Inside]]]]] = {
    "AVRO": _avro,
    "PROTOBUF": _protobuf,
    "JSON": _json,
}
