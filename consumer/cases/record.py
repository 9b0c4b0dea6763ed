"""Writes cases from real events: what the pipeline says of them today is what it must say tomorrow."""

import base64
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import orjson
from ruamel.yaml import YAML

from consumer.cases.judge import Enrich, predictions
from consumer.types import DeadLetter, Filtered, PlainEvent, Result, outcome

# These name the model and the pipeline: they change with each version, and no case should.
_PROVENANCE = ("model", "pipeline")


def record(values: Iterable[bytes], enrich: Enrich, field: str, out: TextIO) -> int:
    """Write one case a value as YAML.

    Args:
        values: of events.
        enrich: makes results of events.
        field: the output field that holds the predictions.
        out: takes the file.

    Returns:
        How many.
    """
    events = [PlainEvent(value) for value in values]
    cases = [_case(number, result, field) for number, result in enumerate(_each(events, enrich), 1)]
    yaml = YAML()
    yaml.width = 118
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump({"cases": cases}, out)
    return len(cases)


def _each(events: Sequence[PlainEvent], enrich: Enrich) -> Iterable[Result]:
    return (enrich([event])[0] for event in events)


def _case(number: int, result: Result, field: str) -> dict[str, Any]:
    case: dict[str, Any] = {"name": f"event {number}", **_event(result.event.value() or b"")}
    if isinstance(result, DeadLetter):
        case["expect_dead_letter"] = {"cause": str(result.cause.code)}
        if result.cause.field is not None:
            case["expect_dead_letter"]["field"] = result.cause.field
        return case
    if isinstance(result, Filtered):
        case["expect_filtered"] = str(outcome(result))
        return case
    found = predictions(result.value, field)
    case["expect"] = {name: value for name, value in found.items() if name not in _PROVENANCE}
    return case


def _event(value: bytes) -> dict[str, Any]:
    """Write a value as YAML where it comes back the same, else as its text, else as base64."""
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
