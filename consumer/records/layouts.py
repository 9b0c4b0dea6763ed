"""The shapes of an enriched record, made from bytes: what the event said is never parsed and written again.

So 1.0 stays 1.0, integers keep all their digits, and keys their order.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Final, Literal, Protocol

import msgspec
import orjson

from consumer.records.weave import Part, weave

_BRACE: Final = frozenset(b"}")
# Where one of these stands before the last brace, there is white space, or nothing in the object.
_BEFORE_BRACE: Final = frozenset(b"{ \t\r\n")

_last: Final = itemgetter(-1)
_last_but_one: Final = itemgetter(-2)
_but_brace: Final = itemgetter(slice(None, -1))


class Layout(Protocol):
    """Puts an event and its predictions together."""

    def write(self, values: Sequence[bytes], predictions: Sequence[Part]) -> list[bytes]:
        """Return the enriched values; values are JSON objects that a reader accepted, predictions parts of one."""
        ...


class Merge:
    """The event with one more field at its end."""

    def __init__(self, field: str) -> None:
        self._field = orjson.dumps(field) + b":"
        self._next = b"," + self._field

    def write(self, values: Sequence[bytes], predictions: Sequence[Part]) -> list[bytes]:
        """Put the field before each event's last brace."""
        # The two last bytes of all events, looked at in C.
        if set(map(_last, values)) <= _BRACE and _BEFORE_BRACE.isdisjoint(map(_last_but_one, values)):
            return weave([list(map(_but_brace, values)), self._next, *predictions, b"}"], len(values))
        whole = weave(predictions, len(values))
        return [self._spaced(value, prediction) for value, prediction in zip(values, whole, strict=True)]

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

    def write(self, values: Sequence[bytes], predictions: Sequence[Part]) -> list[bytes]:
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

    def write(self, values: Sequence[bytes], predictions: Sequence[Part]) -> list[bytes]:
        """Put each event under ``event``."""
        events = [value.strip() for value in values]
        return weave([b'{"event":', events, self._joint, *predictions, b"}"], len(values))


class Only:
    """The predictions alone; the record's key still tells whose they are."""

    def __init__(self, field: str) -> None:
        self._lead = b"{" + orjson.dumps(field) + b":"

    def write(self, values: Sequence[bytes], predictions: Sequence[Part]) -> list[bytes]:
        """Leave the event out."""
        return weave([self._lead, *predictions, b"}"], len(values))


def make_layout(
    kind: Literal["merge", "nest", "only"], field: str, existing: Literal["dead_letter", "replace"]
) -> Layout:
    """Return the layout that a pipeline file names."""
    if kind == "nest":
        return Nest(field)
    if kind == "only":
        return Only(field)
    return Replace(field) if existing == "replace" else Merge(field)
