"""Writes cases from real events: what the pipeline says of them today is what it must say tomorrow."""

import base64
from collections.abc import Iterable
from typing import Any, TextIO

import orjson
from ruamel.yaml import YAML

from consumer.cases.judge import Enrich, Read
from consumer.pipeline.contradictions import RESERVED
from consumer.sources import Form
from consumer.types import DeadLetter, Event, Filtered, Result, outcome


def record(events: Iterable[Event], enrich: Enrich, read: Read, out: TextIO, form: Form) -> int:
    """Write one case an event as YAML.

    Args:
        events: them.
        enrich: makes results of events.
        read: returns the predictions in an enriched value.
        out: takes the file.
        form: how the events' values are written.

    Returns:
        How many.
    """
    cases = [_case(number, enrich([event])[0], read, form) for number, event in enumerate(events, 1)]
    yaml = YAML()
    yaml.width = 118
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump({"cases": cases}, out)
    return len(cases)


def _case(number: int, result: Result, read: Read, form: Form) -> dict[str, Any]:
    case: dict[str, Any] = {"name": f"event {number}", **_event(result.event.value() or b"", form)}
    if isinstance(result, DeadLetter):
        case["expect_dead_letter"] = {"cause": str(result.cause.code)}
        if result.cause.field is not None:
            case["expect_dead_letter"]["field"] = result.cause.field
        return case
    if isinstance(result, Filtered):
        case["expect_filtered"] = str(outcome(result))
        return case
    found = read(result.value)
    # What names the model and the pipeline changes with each version, and no case should.
    case["expect"] = {name: value for name, value in found.items() if name not in RESERVED}
    return case


def _event(value: bytes, form: Form) -> dict[str, Any]:
    """Write a value as YAML where it comes back the same, else as its text, else as base64."""
    if form is Form.BASE64:
        return {"base64": base64.b64encode(value).decode()}
    try:
        tree = orjson.loads(value)
    except orjson.JSONDecodeError:
        tree = None
    if tree is not None and orjson.dumps(tree) == value and b"$" not in value:
        return {"event": tree}
    try:
        return {"text": value.decode().replace("$", "$$")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
