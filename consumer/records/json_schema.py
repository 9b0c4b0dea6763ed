"""JSON with a schema in a registry: the schema comes before the JSON, and decides nothing about it.

What the pipeline reads is checked as in plain JSON; a schema says more, and a producer's serializer has checked it.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from consumer.records.json_refs import apart, moved
from consumer.records.schemas import Schema, SchemaError
from consumer.records.values import Fields, ListOf, Plain, Value

KIND: Final = "JSON"

_TYPES: Final[Mapping[Plain, str]] = {
    Plain.LONG: "integer",
    Plain.FLOAT: "number",
    Plain.DOUBLE: "number",
    Plain.BOOLEAN: "boolean",
    Plain.TEXT: "string",
}


class JsonDecoder:
    """Gives JSON as it is.

    Args:
        schema: that events say they have.

    Raises:
        SchemaError: it is not one for JSON.
    """

    def __init__(self, schema: Schema) -> None:
        if schema.kind != KIND:
            raise SchemaError(f"it is {schema.kind}, not {KIND}")

    def text(self, payload: bytes) -> bytes:
        """Return the event."""
        return payload


def derive(event: Schema | None, layout: str, field: str, answers: Fields) -> Schema:
    """Return the schema of enriched records.

    Args:
        event: of the events; None where they have none: then any object will do.
        layout: merge, nest or only.
        field: that holds the predictions.
        answers: what they are.

    Raises:
        SchemaError: the event's schema is not one of objects.
    """
    if layout == "only":
        return _text({"type": "object"} | _with({}, {field: _type(answers)}), ())
    tree = _tree(event) if event else {"type": "object"}
    references = event.references if event else ()
    if layout == "merge":
        tree = apart(tree)
        return _text(tree | _with(tree, {field: _type(answers)}), references)
    inner = moved(tree, "#/properties/event")
    root = {"$schema": inner.pop("$schema")} if "$schema" in inner else {}
    return _text({**root, "type": "object"} | _with({}, {"event": inner, field: _type(answers)}), references)


def _tree(schema: Schema) -> dict[str, Any]:
    try:
        tree = json.loads(schema.text)
    except ValueError as error:
        raise SchemaError(f"it is no JSON: {error}") from None
    if not isinstance(tree, dict) or tree.get("type", "object") != "object":
        raise SchemaError("events that are no objects have no place for a field more")
    return tree


def _with(tree: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    required = [name for name in tree.get("required", []) if name not in added]
    return {"properties": {**tree.get("properties", {}), **added}, "required": [*required, *added]}


def _type(value: Value) -> dict[str, Any]:
    if isinstance(value, Plain):
        return {"type": _TYPES[value]}
    if isinstance(value, ListOf):
        return {"type": "array", "items": _type(value.item)}
    return {"type": "object"} | _with({}, {name: _type(item) for name, item in value.named.items()})


def _text(tree: Any, references: Any) -> Schema:  # noqa: ANN401 - a tree of JSON
    return Schema(KIND, json.dumps(tree, indent=1, ensure_ascii=False), references)
