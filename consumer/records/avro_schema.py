"""Avro schemas, understood: which of them can be read safely, and what records of them are."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
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
        types = list(_types(self.parsed, named))
        self.recursive = _recursive(types, named)
        known: dict[str, bool] = {}
        for name in named:  # in this order each finds those that it holds known, and none goes deep
            _weightless(name, named, known)
        if any(_is(kind, "array") and _weightless(kind["items"], named, known) for kind in types):
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
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"it is no JSON: {error}") from None
    try:
        return tree, fastavro.parse_schema(tree, named_schemas=named)
    except (SchemaParseException, UnknownType) as error:
        raise SchemaError(f"it is no Avro schema: {error}") from None


def _name(kind: Tree, named: Mapping[str, Tree]) -> str | None:
    """Return the name of a type that has one, whether it is written out or called by it."""
    if isinstance(kind, str):
        return kind if kind in named else None
    return kind.get("name") if isinstance(kind, dict) else None


def _parts(kind: Tree) -> list[Tree]:
    """Return the types that a type is made of."""
    if isinstance(kind, list):
        return kind
    if isinstance(kind, str):
        return []
    if "fields" in kind:
        return [field["type"] for field in kind["fields"]]
    return [kind[part] for part in ("items", "values") if part in kind]


def _types(kind: Tree, named: Mapping[str, Tree]) -> Iterator[Tree]:
    """Return all types in a type, written out; each that has a name once, however many hold it."""
    seen: set[str] = set()
    waiting = [kind]
    while waiting:
        one = waiting.pop()
        name = _name(one, named)
        if name is not None:
            if name in seen:
                continue
            seen.add(name)
            one = named[name]
        yield one
        waiting += _parts(one)


def _recursive(types: Iterable[Tree], named: Mapping[str, Tree]) -> bool:
    """Whether a value of a type can hold another one of it."""
    held: dict[str, set[str]] = {}
    for kind in types:
        name = _name(kind, named)
        if name is None:
            continue
        held[name] = set()
        waiting = _parts(kind)[:]
        while waiting:
            part = waiting.pop()
            within = _name(part, named)
            if within is None:
                waiting += _parts(part)
            else:
                held[name].add(within)
    try:
        TopologicalSorter(held).prepare()
    except CycleError:
        return True
    return False


def _weightless(kind: Tree, named: Mapping[str, Tree], known: dict[str, bool]) -> bool:
    """Whether values of a type take no bytes; ``known`` is what was found of types that have a name."""
    name = _name(kind, named)
    if name is None:
        return kind == "null" or _is(kind, "null")
    if name not in known:
        known[name] = False  # what holds itself has no end, unless it may be something else
        whole = named[name]
        if "fields" in whole:
            known[name] = all(_weightless(field["type"], named, known) for field in whole["fields"])
        else:
            known[name] = _is(whole, "fixed") and whole["size"] == 0
    return known[name]


def _is(kind: Tree, name: str) -> bool:
    return isinstance(kind, dict) and bool(kind["type"] == name)
