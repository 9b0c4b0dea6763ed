"""Schemas of enriched records in JSON: what the event's schema says, it says wherever the event stands."""

import json
from typing import Any

import pytest
from jsonschema.validators import validator_for

from consumer.records.json_schema import derive
from consumer.records.schemas import Schema, SchemaError
from consumer.records.values import Fields, Plain

ANSWERS = Fields({"y": Plain.FLOAT})
SAID = {"y": 0.5}
EVENT = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "price": {"$ref": "#/definitions/price"},
        "tax": {"$ref": "#/properties/price"},
        "before": {"$ref": "#"},
        "definitions": {"type": "array", "items": {"$ref": "#/definitions/price"}},
        "kind": {"enum": [{"$ref": "#/definitions/price"}, 1]},
    },
    "required": ["price"],
    "definitions": {"price": {"type": "number", "minimum": 0}},
}
GOOD: dict[str, Any] = {
    "price": 1,
    "tax": 2,
    "before": {"price": 3, "before": {"price": 0}},
    "definitions": [1],
    "kind": {"$ref": "#/definitions/price"},
}
WRONG: list[dict[str, Any]] = [
    {},
    {"price": -1},
    {"price": 1, "tax": -1},
    {"price": 1, "before": {"price": -1}},
    {"price": 1, "before": {}},
    {"price": 1, "definitions": [-1]},
    {"price": 1, "kind": {"$ref": "#/properties/event/definitions/price"}},
]


def valid(record: Any, schema: Any, layout: str) -> bool:  # noqa: ANN401
    """Whether a record is what the derived schema says."""
    tree = json.loads(derive(Schema("JSON", json.dumps(schema)), layout, "p", ANSWERS).text)
    kind = validator_for(tree)
    kind.check_schema(tree)
    return bool(kind(tree).is_valid(record))


def enriched(event: dict[str, Any], layout: str) -> dict[str, Any]:
    """Return the enriched record of an event."""
    return {"event": event, "p": SAID} if layout == "nest" else {**event, "p": SAID}


SCHEMAS = {
    "plain": EVENT,
    "with an address": {"$id": "http://example.com/event.json", **EVENT},
    "with the word id": {"id": "event", **EVENT},
    "older, with an address": {
        **EVENT,
        "$schema": "http://json-schema.org/draft-04/schema#",
        "id": "http://example.com/event.json",
    },
    "newer": {
        **{name: value for name, value in EVENT.items() if name != "definitions"},
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"event": True},
        "definitions": EVENT["definitions"],
    },
}


@pytest.mark.parametrize("layout", ["merge", "nest"])
@pytest.mark.parametrize("name", SCHEMAS)
def test_references_say_what_they_said(name: str, layout: str) -> None:
    """To definitions, to other fields, and to the event itself, in which no prediction is asked for."""
    schema = SCHEMAS[name]
    for event, good in [(GOOD, True), *((one, False) for one in WRONG)]:
        assert validator_for(schema)(schema).is_valid(event) is good, event
        assert valid(enriched(event, layout), schema, layout) is good, event
    assert not valid({**enriched(GOOD, layout), "p": {}}, schema, layout)


def test_what_has_an_address_of_its_own_is_left_alone() -> None:
    """Its references count from its own root."""
    inner = {"$id": "http://example.com/a.json", "$ref": "#/definitions/b", "definitions": {"b": {"type": "string"}}}
    tree = json.loads(derive(Schema("JSON", json.dumps({"properties": {"a": inner}})), "nest", "p", ANSWERS).text)
    assert tree["properties"]["event"]["properties"]["a"] == inner


def test_events_that_are_no_objects_have_no_place_for_predictions() -> None:
    """Nor has what is no JSON at all."""
    for text in ('{"type": "array"}', "[]", "{"):
        with pytest.raises(SchemaError):
            derive(Schema("JSON", text), "merge", "p", ANSWERS)
