"""Avro schemas, understood: which of them can be read safely, and what records of them are."""

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from consumer.exits import RefusedError
from consumer.records.schemas import Schema, SchemaError

try:
    import fastavro
    from fastavro._read_py import schemaless_reader as read_slowly
    from fastavro.schema import SchemaParseException, UnknownType
except ImportError as error:
    raise RefusedError("format avro needs fastavro: pip install 'onelane[avro]'") from error

__all__ = ["KIND", "AvroSchema", "fastavro", "read_slowly"]

KIND: Final = "AVRO"

# A tree of JSON, as fastavro understands it: names in full, and named types once.
Tree: TypeAlias = Any


class AvroSchema:
    """A schema that has been understood.

    Args:
        schema: of kind AVRO, with all that it refers to.

    Raises:
        SchemaError: it is no Avro schema.
    """

    def __init__(self, schema: Schema) -> None:
        if schema.kind != KIND:
            raise SchemaError(f"it is {schema.kind}, not {KIND}")
        named: dict[str, Any] = {}
        self.references = schema.references
        self.tree, self.parsed = _parse(schema, named)
        nodes = list(_nodes(self.parsed, named, frozenset()))
        self.recursive = any(kind in inside for kind, inside in nodes if isinstance(kind, str))
        if any(_is(kind, "array") and _weightless(kind["items"], named, frozenset()) for kind, _ in nodes):
            raise SchemaError("ten bytes of an array of nothing can claim more items than any memory has")

    @property
    def is_record(self) -> bool:
        """Whether it has fields."""
        return isinstance(self.tree, dict) and self.tree.get("type") == "record"

    @property
    def fields(self) -> list[str]:
        """The names of its fields, where it is a record."""
        return [field["name"] for field in self.tree["fields"]] if self.is_record else []

    def write(self, record: Any) -> bytes:  # noqa: ANN401 - of any schema
        """Return a record's bytes."""
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, self.parsed, record)
        return stream.getvalue()

    def same_as(self, other: "AvroSchema") -> bool:
        """Whether both say the same."""
        return bool(self.parsed == other.parsed)


def _parse(schema: Schema, named: dict[str, Any]) -> tuple[Any, Any]:
    for reference in schema.references:
        _parse(reference.schema, named)
    try:
        tree = json.loads(schema.text)
    except ValueError as error:
        raise SchemaError(f"it is no JSON: {error}") from None
    try:
        return tree, fastavro.parse_schema(tree, named_schemas=named)
    except (SchemaParseException, UnknownType) as error:
        raise SchemaError(f"it is no Avro schema: {error}") from None


def _is(kind: Tree, name: str) -> bool:
    return isinstance(kind, dict) and kind["type"] == name


def _parts(kind: Tree, named: Mapping[str, Tree]) -> list[Tree]:
    """Return the types that a type is made of."""
    if isinstance(kind, list):
        return kind
    if isinstance(kind, str):
        return [named[kind]] if kind in named else []
    if "fields" in kind:
        return [field["type"] for field in kind["fields"]]
    return [kind[part] for part in ("items", "values") if part in kind]


def _nodes(kind: Tree, named: Mapping[str, Tree], inside: frozenset[str]) -> Iterator[tuple[Tree, frozenset[str]]]:
    """Return all types in a type, each with the names of those around it; a name inside itself is the last."""
    yield kind, inside
    if isinstance(kind, str) and kind in inside:
        return
    around = inside | {kind["name"]} if isinstance(kind, dict) and "name" in kind else inside
    for part in _parts(kind, named):
        yield from _nodes(part, named, around)


def _weightless(kind: Tree, named: Mapping[str, Tree], inside: frozenset[str]) -> bool:
    """Whether values of a type take no bytes."""
    if isinstance(kind, str) and kind not in named:
        return kind == "null"
    if isinstance(kind, str):
        return kind not in inside and _weightless(named[kind], named, inside | {kind})
    if isinstance(kind, dict) and "fields" in kind:
        return all(_weightless(field["type"], named, inside | {kind["name"]}) for field in kind["fields"])
    return _is(kind, "fixed") and kind["size"] == 0
