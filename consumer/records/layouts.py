"""The shapes of an enriched record, made from bytes: what the event said is never parsed and written again.

So 1.0 stays 1.0, integers keep all their digits, and keys their order.
"""

from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec
import orjson

_BRACE: Final = ord("}")
# Where one of these stands before the last brace, there is white space, or nothing in the object.
_BEFORE_BRACE: Final = frozenset(b"{ \t\r\n")


class Layout(Protocol):
    """Puts an event and its predictions together."""

    def write(self, values: Sequence[bytes], predictions: Sequence[bytes]) -> list[bytes]:
        """Return the enriched values; values are JSON objects that a reader has accepted, as are the predictions."""
        ...


class Merge:
    """The event with one more field at its end."""

    def __init__(self, field: str) -> None:
        self._field = orjson.dumps(field) + b":"
        self._next = b"," + self._field

    def write(self, values: Sequence[bytes], predictions: Sequence[bytes]) -> list[bytes]:
        """Put the field before each event's last brace."""
        joint = self._next
        return [
            # Comparing two numbers costs a third of what looking for two suffixes does.
            b"".join((value[:-1], joint, prediction, b"}"))
            if value[-1] == _BRACE and value[-2] not in _BEFORE_BRACE
            else self._spaced(value, prediction)
            for value, prediction in zip(values, predictions, strict=True)
        ]

    def _spaced(self, value: bytes, prediction: bytes) -> bytes:
        """Merge an event with white space before or after its last brace, or with nothing in it."""
        body = value.rstrip()[:-1].rstrip()
        joint = self._field if body.endswith(b"{") else self._next
        return b"".join((body, joint, prediction, b"}"))


class Replace:
    """As merge, for events that may have the field already: its old value gives way.

    Such an event's members are taken apart (their values' bytes untouched), so white space between them is lost and
    of a key that stands twice the last is kept.
    """

    def __init__(self, field: str) -> None:
        self._field = field
        self._quoted = orjson.dumps(field)
        self._merge = Merge(field)
        self._members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

    def write(self, values: Sequence[bytes], predictions: Sequence[bytes]) -> list[bytes]:
        """Put the field at each event's end, and nowhere else."""
        return self._merge.write([self._without(value) for value in values], predictions)

    def _without(self, value: bytes) -> bytes:
        # A backslash may hide the name in another spelling (\u0064elay).
        if self._quoted not in value and b"\\" not in value:
            return value
        members = self._members(value)
        if self._field not in members:
            return value
        del members[self._field]
        return b"{" + b",".join(orjson.dumps(key) + b":" + bytes(raw) for key, raw in members.items()) + b"}"


class Nest:
    """Event and predictions side by side."""

    def __init__(self, field: str) -> None:
        self._joint = b"," + orjson.dumps(field) + b":"

    def write(self, values: Sequence[bytes], predictions: Sequence[bytes]) -> list[bytes]:
        """Put each event under ``event``."""
        return [
            b"".join((b'{"event":', value.strip(), self._joint, prediction, b"}"))
            for value, prediction in zip(values, predictions, strict=True)
        ]


class Only:
    """The predictions alone; the record's key still tells whose they are."""

    def __init__(self, field: str) -> None:
        self._lead = b"{" + orjson.dumps(field) + b":"

    def write(self, values: Sequence[bytes], predictions: Sequence[bytes]) -> list[bytes]:
        """Leave the event out."""
        del values
        return [b"".join((self._lead, prediction, b"}")) for prediction in predictions]


def make_layout(
    kind: Literal["merge", "nest", "only"], field: str, existing: Literal["dead_letter", "replace"]
) -> Layout:
    """Return the layout that a pipeline file names."""
    if kind == "nest":
        return Nest(field)
    if kind == "only":
        return Only(field)
    return Replace(field) if existing == "replace" else Merge(field)
