"""Asks a worker's HTTP server, and reads what it says as conditions of the truth table do."""

import json
import operator
import re
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from typing import Any, Final, NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
}
_METRIC: Final = re.compile(r'^(\w+)(?:\{(\w+)="(\w+)"\})? (==|!=|>) (\S+)$')
_BODY: Final = re.compile(r"^([\w.]+) (==|!=|>) (.+)$")


class Answer(NamedTuple):
    """What a page says."""

    status: int
    kind: str
    body: bytes


def ask(address: str, path: str, method: str = "GET", timeout: float = 10.0) -> Answer:
    """Ask for a page."""
    connection = HTTPConnection(address, timeout=timeout)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return Answer(response.status, response.headers.get("Content-Type", ""), response.read())
    finally:
        connection.close()


def status(address: str, timeout: float = 10.0) -> Mapping[str, Any]:
    """The body of /live."""
    body: Mapping[str, Any] = json.loads(ask(address, "/live", timeout=timeout).body)
    return body


def samples(text: bytes) -> list[Sample]:
    """All samples of a scrape."""
    return [sample for family in text_string_to_metric_families(text.decode()) for sample in family.samples]


def scrape(address: str) -> list[Sample]:
    """All samples of /metrics."""
    return samples(ask(address, "/metrics").body)


def total(found: list[Sample], name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    return sum(one.value for one in found if one.name == name and labels.items() <= one.labels.items())


def metric_holds(condition: str, found: list[Sample]) -> bool:
    """Whether any sample fulfils a condition such as `onelane_held{kind="guard"} == 1`."""
    parsed = _METRIC.match(condition)
    assert parsed is not None, condition
    name, label, value, sign, number = parsed.groups()
    return any(
        _OPERATORS[sign](one.value, float(number))
        for one in found
        if one.name == name and (label is None or one.labels[label] == value)
    )


def body_holds(condition: str, body: Mapping[str, Any]) -> bool:
    """Whether a body fulfils a condition such as `doing.what == "invoke"`."""
    parsed = _BODY.match(condition)
    assert parsed is not None, condition
    path, sign, expected = parsed.groups()
    found: Any = body
    for step in path.split("."):
        if not found:
            return False
        found = found[int(step) if step.isdigit() else step]
    return _OPERATORS[sign](found, json.loads(expected))
