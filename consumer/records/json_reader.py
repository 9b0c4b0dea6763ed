"""JSON events to typed rows: only the declared fields are decoded, by one msgspec struct made at start.

Strict where leniency would be silent: a wrong type is never taken for missing, NaN is not JSON, and bytes that the
pipeline does not read must be UTF-8 too, since a merged record passes them on.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from consumer.deadletter.causes import Code, clipped
from consumer.records.reader import Bad
from consumer.records.rows import Rows
from consumer.types import Cause, Stage

# Deeper events are refused. Far below Python's recursion limit, so that the answer never depends on the stack.
NESTING: Final = 256

Row: TypeAlias = msgspec.Struct

_QUOTE, _BACKSLASH, _BRACE, _BRACKET = b'"\\{['

_PLACE: Final = re.compile(r"(.*) - at `\$\.?([^`]*)`", re.DOTALL)


class JsonReader:
    """Decodes batches of values.

    Args:
        fields: path -> type to decode it as. ``None`` must be among the types: absent and null are the same.
        forbidden: a top-level field that must not be there, if any.
    """

    def __init__(self, fields: Mapping[str, Any], forbidden: str | None = None) -> None:
        made = Rows(fields, forbidden)
        self._forbidden = forbidden
        self._has_forbidden: Callable[[Row], Any] | None = None if forbidden is None else attrgetter("forbidden")
        self._decode = msgspec.json.Decoder(made.kind).decode
        self._getters = made.getters
        self._late = {field: (f"late{number}", made.getters[field]) for number, field in enumerate(made.late)}
        for field, (attribute, _) in self._late.items():
            self._getters[field] = attrgetter(attribute)

    def read(self, values: Sequence[bytes | None]) -> tuple[list[Row], Bad]:
        """Decode values.

        Returns:
            The rows of the good values in order, and the causes of the others by their place in ``values``.
        """
        whole = self._read_all(values)
        if whole is not None:
            return whole, {}
        rows: list[Row] = []
        bad: Bad = {}
        for place, value in enumerate(values):
            row = self._read_one(value)
            if isinstance(row, Cause):
                bad[place] = row
            else:
                rows.append(row)
        return rows, bad

    def column(self, rows: Iterable[Row], field: str) -> list[Any]:
        """Return one field of all rows."""
        return list(map(self._getters[field], rows))

    def _read_all(self, values: Sequence[bytes | None]) -> list[Row] | None:
        """Decode a batch in which nothing is wrong; None if anything is."""
        try:
            joined = b"".join(values)  # type: ignore[arg-type]  # a tombstone raises, and that is the question
            # Each value opens at least once, so few openings in all mean that none is deep.
            if _openings(joined) - len(values) >= NESTING and any(map(_may_be_deep, values)):
                return None
            if not _is_text(joined, values):
                return None
            rows: list[Row] = list(map(self._decode, values))  # type: ignore[arg-type]  # no tombstone is left
            for attribute, get in self._late.values():
                for row in rows:
                    setattr(row, attribute, get(row))
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
            return None
        if self._has_forbidden is not None and list(map(self._has_forbidden, rows)).count(msgspec.UNSET) < len(rows):
            return None
        return rows

    def _read_one(self, value: bytes | None) -> Row | Cause:
        if not value:
            return _cause(Code.NO_VALUE, "a tombstone" if value is None else "an empty value")
        if _openings(value) > NESTING and depth(value) > NESTING:
            return _cause(Code.TOO_DEEP, f"nested more than {NESTING} deep")
        try:
            value.decode()
            row: Row = self._decode(value)
        except msgspec.ValidationError as error:
            return _invalid(error)
        except UnicodeDecodeError as error:
            return _cause(Code.NOT_UTF8, f"byte {error.start} is not UTF-8")
        except msgspec.DecodeError as error:
            return _cause(Code.MALFORMED, str(error))
        return self._allowed(row)

    def _allowed(self, row: Row) -> Row | Cause:
        for field, (attribute, get) in self._late.items():
            try:
                setattr(row, attribute, get(row))
            except msgspec.ValidationError as error:
                return msgspec.structs.replace(_invalid(error), field=field)
        if self._has_forbidden is not None and self._has_forbidden(row) is not msgspec.UNSET:
            return _cause(Code.FIELD_EXISTS, "the event already has the output field", self._forbidden)
        return row


def depth(value: bytes) -> int:
    """Return how deep arrays and objects nest; brackets inside strings do not count."""
    deepest = open_now = 0
    in_string = escaped = False
    for byte in value:
        if in_string:
            in_string = escaped or byte != _QUOTE
            escaped = byte == _BACKSLASH and not escaped
        elif byte == _QUOTE:
            in_string = True
        elif byte in b"[{":
            open_now += 1
            deepest = max(deepest, open_now)
        elif byte in b"]}":
            open_now -= 1
    return deepest


def _may_be_deep(value: bytes | None) -> bool:
    return value is not None and value.count(b"{") + value.count(b"[") > NESTING


def _openings(value: bytes) -> int:
    # numpy counts at memory speed; bytes.count does not.
    characters = np.frombuffer(value, dtype=np.uint8)
    return int(np.count_nonzero(characters == _BRACE) + np.count_nonzero(characters == _BRACKET))


def _is_text(joined: bytes, values: Sequence[bytes | None]) -> bool:
    if not joined.isascii():
        for value in values:
            (value or b"").decode()
    return True


def _invalid(error: msgspec.ValidationError) -> Cause:
    placed = _PLACE.fullmatch(str(error))
    message, field = (placed[1], placed[2] or None) if placed else (str(error), None)
    code = Code.OUT_OF_RANGE if "out of range" in message else Code.WRONG_TYPE
    return _cause(code, message, field)


def _cause(code: Code, message: str, field: str | None = None) -> Cause:
    return Cause(Stage.DECODE, code, clipped(message), field)
