"""Sends cases through an enricher and says what is not as expected."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from consumer.exits import PipelineError
from consumer.pipeline.cases import Case, Placed
from consumer.sources import Form
from consumer.types import DeadLetter, Event, Filtered, PlainEvent, Result, outcome

Enrich = Callable[[Sequence[Event]], list[Result]]
Read = Callable[[bytes], Mapping[str, Any]]

_CREATE_TIME = 1


class Judged(msgspec.Struct, frozen=True):
    """A case that was run.

    Attributes:
        placed: the case.
        differences: what is not as expected, one line each; none where all is.
    """

    placed: Placed
    differences: list[str]


def event_of(placed: Placed, name: str) -> PlainEvent:
    """Make the event of a case.

    Args:
        placed: the case.
        name: of the events' format.

    Raises:
        PipelineError: it says no value, or two, or one that no event of the format can have.
    """
    case = placed.case
    headers = [(name, value.encode()) for name, value in case.headers.items()]
    return PlainEvent(
        _value(placed, name),
        topic=str(placed),
        key=None if case.key is None else case.key.encode(),
        headers=headers or None,
        timestamp=(0, 0) if case.timestamp is None else (_CREATE_TIME, case.timestamp),
    )


def judge(cases: Sequence[Placed], enrich: Enrich, read: Read, name: str) -> list[Judged]:
    """Run cases, each alone: what is beside an event must not matter, and here it can't.

    Args:
        cases: the cases.
        enrich: makes results of events.
        read: returns the predictions in an enriched value.
        name: of the events' format.

    Raises:
        PipelineError: a case has no event.
    """
    events = [event_of(placed, name) for placed in cases]
    return [
        Judged(placed, _differences(placed, enrich([event])[0], read))
        for placed, event in zip(cases, events, strict=True)
    ]


def _value(placed: Placed, name: str) -> bytes:
    case = placed.case
    given = [case.event is not msgspec.UNSET, case.text is not None, case.base64 is not None]
    if sum(given) != 1:
        raise PipelineError(f"{placed}: {case.name}: give one of `event`, `text` and `base64`")
    wanted = [case.expect is not None, case.expect_dead_letter is not None, case.expect_filtered is not None]
    if sum(wanted) != 1:
        raise PipelineError(
            f"{placed}: {case.name}: give one of `expect`, `expect_dead_letter` and `expect_filtered`"
        )
    if case.text is not None:
        return case.text.encode()
    if case.base64 is None:
        if Form.of(name) is not Form.TEXT:
            raise PipelineError(
                f"{placed}: {case.name}: `event` is JSON, and events are {name}: say `base64`, as "
                "`onelane test --record` writes it"
            )
        return _json(case.event).encode()
    try:
        return base64.b64decode(case.base64, validate=True)
    except binascii.Error as error:
        raise PipelineError(f"{placed}: {case.name}: `base64` is not base64: {error}") from None


def _differences(placed: Placed, result: Result, read: Read) -> list[str]:
    case = placed.case
    if isinstance(result, DeadLetter):
        return _fallen(case, result)
    if isinstance(result, Filtered):
        became = outcome(result)
        return [] if case.expect_filtered == became else [f"expected {_wanted(case)}, but the event is {became}"]
    found = read(result.value)
    if case.expect is None:
        return [f"expected {_wanted(case)}, got {_json(found)}"]
    differences = []
    for name, expected in case.expect.items():
        if name not in found:
            differences.append(f"{name}: there is no such prediction; there are {', '.join(found)}")
        elif not _alike(expected, found[name], case.tolerance):
            differences.append(f"{name}: {_compared(expected, found[name], case.tolerance)}")
    return differences


def _fallen(case: Case, letter: DeadLetter) -> list[str]:
    cause = letter.cause
    got = f"{cause.code}{f' of field {cause.field}' if cause.field else ''}: {cause.message}"
    wanted = case.expect_dead_letter
    if wanted is None:
        return [f"expected {_wanted(case)}, got a dead letter: {got}"]
    if wanted.cause != cause.code or wanted.field not in (None, cause.field):
        return [f"expected {_wanted(case)}, got {got}"]
    return []


def _wanted(case: Case) -> str:
    if case.expect_filtered is not None:
        return f"that it is {case.expect_filtered}"
    wanted = case.expect_dead_letter
    if wanted is None:
        return "predictions"
    return f"a dead letter ({wanted.cause}" + (f" of field {wanted.field})" if wanted.field else ")")


def _alike(expected: Any, found: Any, tolerance: float) -> bool:  # noqa: ANN401 - JSON holds anything
    if _is_number(expected) and _is_number(found):
        return bool(abs(expected - found) <= tolerance)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(_alike, expected, found, [tolerance] * len(found)))
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(
            _alike(value, found[name], tolerance) for name, value in expected.items()
        )
    return type(expected) is type(found) and bool(expected == found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compared(expected: Any, found: Any, tolerance: float) -> str:  # noqa: ANN401
    if _is_number(expected) and _is_number(found):
        off = f"{found - expected:+.6g}"
        return f"expected {expected:g} within {tolerance:g}, got {found:.7g} ({off})"
    return f"expected {_json(expected)}, got {_json(found)}"


def _json(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
