"""JSON events to typed rows: only the declared fields are decoded, by one msgspec struct made at start.

Strict where leniency would be silent: a wrong type is never taken for missing, NaN is not JSON, and bytes that the
pipeline does not read must be UTF-8 too, since a merged record passes them on.
"""

import re
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from consumer.deadletter.causes import Code, clipped
from consumer.records.reader import Bad
from consumer.records.rows import ForbiddenError, Rows
from consumer.types import Cause, Stage

# Deeper events are refused. Far below Python's recursion limit, so that the answer never depends on the stack.
NESTING: Final = 256

Row: TypeAlias = msgspec.Struct

# Up to here bytes.count is faster; beyond, numpy counts at memory speed.
_SHORT: Final = 4096

_QUOTE, _BACKSLASH, _BRACE, _BRACKET = b'"\\{['

_PLACE: Final = re.compile(r"(.*) - at `\$\.?([^`]*)`", re.DOTALL)


class JsonReader:
    """Decodes batches of values.

    Args:
        fields: path -> type to decode it as. ``None`` must be among the types: absent and null are the same.
        forbidden: a top-level field that must not be there, if any.
    """

    def __init__(self, fields: Mapping[str, Any], forbidden: str | None = None) -> None:
        self._rows = Rows(fields, forbidden)
        self._forbidden = forbidden
        self._decode = self._rows.decode
        self._decode_allowed = Rows(fields).decode
        self._late = {field: (f"late{number}", get) for number, (field, get) in enumerate(self._rows.late.items())}

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

    def columns(self, rows: Sequence[Row]) -> dict[str, Sequence[Any]]:
        """Return the fields of all rows."""
        columns = self._rows.columns(rows)
        for field, (attribute, _) in self._late.items():
            columns[field] = list(map(attrgetter(attribute), rows))
        return columns

    def _read_all(self, values: Sequence[bytes | None]) -> list[Row] | None:
        """Decode a batch in which nothing is wrong; None if anything is."""
        try:
            joined = b"".join(values)  # type: ignore[arg-type]  # a tombstone raises, and that is the question
            if self._any_deep(values, joined):
                return None
            if not joined.isascii():
                _check_text(values)
            rows: list[Row] = list(map(self._decode, values))  # type: ignore[arg-type]  # no tombstone is left
            for attribute, get in self._late.values():
                for row in rows:
                    setattr(row, attribute, get(row))
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError, ForbiddenError):
            return None
        return rows

    @staticmethod
    def _any_deep(values: Sequence[bytes | None], joined: bytes) -> bool:
        # What opens also closes: a short value is not deep. Each opens at least once: few openings more, and none is.
        longest = max(map(len, values), default=0)  # type: ignore[arg-type]  # no tombstone could be joined
        few = longest <= 2 * NESTING or _openings(joined) - len(values) < NESTING
        return not few and any(_openings(value) > NESTING for value in values if value is not None)

    def _read_one(self, value: bytes | None) -> Row | Cause:
        if not value:
            return _cause(Code.NO_VALUE, "a tombstone" if value is None else "an empty value")
        if _openings(value) > NESTING and depth(value) > NESTING:
            return _cause(Code.TOO_DEEP, f"nested more than {NESTING} deep")
        try:
            value.decode()
            row, clash = self._decoded(value)
        except msgspec.ValidationError as error:
            return _invalid(error)
        except UnicodeDecodeError as error:
            return _cause(Code.NOT_UTF8, f"byte {error.start} is not UTF-8")
        except msgspec.DecodeError as error:
            return _cause(Code.MALFORMED, str(error))
        return self._late_of(row, clash=clash)

    def _late_of(self, row: Row, *, clash: bool) -> Row | Cause:
        for field, (attribute, get) in self._late.items():
            try:
                setattr(row, attribute, get(row))
            except msgspec.ValidationError as error:
                return msgspec.structs.replace(_invalid(error), field=field)
        if clash:
            return _cause(Code.FIELD_EXISTS, "the event already has the output field", self._forbidden)
        return row

    def _decoded(self, value: bytes) -> tuple[Row, bool]:
        """Return a row, and whether its event has the forbidden field: whatever else is wrong is told first."""
        try:
            return self._decode(value), False
        except ForbiddenError:
            return self._decode_allowed(value), True


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


def _openings(value: bytes) -> int:
    if len(value) <= _SHORT:
        return value.count(b"{") + value.count(b"[")
    characters = np.frombuffer(value, dtype=np.uint8)
    return int(np.count_nonzero(characters == _BRACE) + np.count_nonzero(characters == _BRACKET))


def _check_text(values: Sequence[bytes | None]) -> None:
    for value in values:
        (value or b"").decode()


def _invalid(error: msgspec.ValidationError) -> Cause:
    placed = _PLACE.fullmatch(str(error))
    message, field = (placed[1], placed[2] or None) if placed else (str(error), None)
    code = Code.OUT_OF_RANGE if "out of range" in message else Code.WRONG_TYPE
    return _cause(code, message, field)


def _cause(code: Code, message: str, field: str | None = None) -> Cause:
    return Cause(Stage.DECODE, code, clipped(message), field)
