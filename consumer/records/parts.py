"""The record's own parts as fields: ``@value``, ``@key``, ``@timestamp`` and ``@headers.name``.

They are there whatever the value's format is, and for raw values they are all that there is.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from math import isfinite
from types import NoneType
from typing import Any, Final, get_args

import msgspec

from consumer.deadletter.causes import Code, clipped
from consumer.records.reader import Bad
from consumer.types import Cause, Event, Stage

_HEADERS: Final = "@headers."
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_TIMESTAMP: Final = 0


class Parts:
    """Takes declared parts from events.

    Args:
        fields: part -> the type that its feature takes. Bytes are given as they are to one that takes bytes, and as
            UTF-8 text to others; a number is read from text.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = {field: (_getter(field), accepts, _there(accepts)) for field, accepts in fields.items()}

    def columns(self, events: Sequence[Event], bad: Bad) -> dict[str, list[Any]]:
        """Return the parts of all events by field; ``bad`` takes the causes of those of another type."""
        return {
            field: [self._one(get(event), field, kinds, place, bad) for place, event in enumerate(events)]
            for field, (get, *kinds) in self._fields.items()
        }

    @staticmethod
    def _one(part: bytes | int | None, field: str, kinds: Sequence[Any], place: int, bad: Bad) -> Any:  # noqa: ANN401
        try:
            return _typed(part, *kinds)
        except UnicodeDecodeError as error:
            bad.setdefault(place, _cause(Code.NOT_UTF8, f"byte {error.start} is not UTF-8", field))
        except msgspec.ValidationError as error:
            bad.setdefault(place, _cause(Code.WRONG_TYPE, str(error), field))
        except OverflowError:  # a producer may set any time
            bad.setdefault(place, _cause(Code.BAD_TIME, f"outside the calendar: {part!r} ms", field))
        return None


def _getter(field: str) -> Callable[[Event], bytes | int | None]:
    if field == "@value":
        return lambda event: event.value()
    if field == "@key":
        return lambda event: event.key()
    if field == "@timestamp":
        return _milliseconds
    name = field.removeprefix(_HEADERS)
    return lambda event: dict(event.headers() or ()).get(name)  # of headers of one name, the last


def _milliseconds(event: Event) -> int | None:
    kind, milliseconds = event.timestamp()
    return None if kind == _NO_TIMESTAMP else milliseconds


def _typed(part: bytes | int | None, accepts: Any, there: Any) -> Any:  # noqa: ANN401
    if part is None or accepts is Any:
        return part
    kinds = get_args(accepts) or (accepts,)
    if isinstance(part, int):
        if int in kinds or float in kinds:
            return msgspec.convert(part, accepts)
        return (_EPOCH + timedelta(milliseconds=part)).isoformat()
    if bytes in kinds:
        return part
    value = msgspec.convert(part.decode(), there, strict=False)
    if isinstance(value, float) and not isfinite(value):  # of "nan", for example
        raise msgspec.ValidationError(f"Expected `float`, got {part.decode()!r}")
    return value


def _there(accepts: Any) -> Any:  # noqa: ANN401
    """Return a type without None: of texts such as "null" msgspec would make it, but what is there is not absent."""
    kinds = [kind for kind in get_args(accepts) or (accepts,) if kind is not NoneType]
    return reduce(operator.or_, kinds)


def _cause(code: Code, message: str, field: str) -> Cause:
    return Cause(Stage.DECODE, code, clipped(message), field)
