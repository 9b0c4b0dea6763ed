"""From the paths of declared fields to one typed struct, and from its instances to columns of the fields.

Names become nested structs, decoded in one pass. An array is taken apart item by item afterwards, as is a field that
is read both whole and in parts: what no feature reads is never held to a type.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from consumer.pipeline.paths import parse

Get = Callable[[Any], Any]

_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw] | None)


class _Node:
    """A name or place on the way to fields."""

    def __init__(self) -> None:
        self.leaf: tuple[str, Any] | None = None
        self.below: dict[str | int, _Node] = {}

    @property
    def late(self) -> bool:
        """Whether what stands here is kept as bytes, and decoded once it is known how."""
        return any(isinstance(step, int) for step in self.below) or (self.leaf is not None and bool(self.below))


class Rows:
    """The struct of declared fields.

    Attributes:
        decode: decodes an event.
        late: the fields that are decoded after the row, by what; it may raise ``msgspec.ValidationError``.

    Args:
        fields: path -> type to decode it as, with ``None`` among the types.
        forbidden: name of a field that must not be there, if any.
    """

    def __init__(self, fields: Mapping[str, Any], forbidden: str | None = None) -> None:
        root = _Node()
        for field, accepts in fields.items():
            node = root
            for step in parse(field):
                node = node.below.setdefault(step, _Node())
            node.leaf = (field, accepts)
        if forbidden is not None and forbidden in root.below:
            raise ValueError(f"{forbidden!r} is both read and forbidden")
        kind, found = _struct(root, forbidden)
        self.decode = msgspec.json.Decoder(kind, dec_hook=_forbid).decode
        self.late = {field: get for field, (get, late) in _from_row(found).items() if late}
        self._places = {field: (place, get) for field, (place, get, late) in found.items() if not late}

    def columns(self, rows: Iterable[Any]) -> dict[str, Sequence[Any]]:
        """Return each field that is not late, of all rows."""
        # Twice as fast as a getter a field: the structs are taken apart in C, and turned round at once.
        columns = list(zip(*map(msgspec.structs.astuple, rows), strict=True))
        if not columns:
            return dict.fromkeys(self._places, ())
        return {
            field: columns[place] if get is _same else list(map(get, columns[place]))
            for field, (place, get) in self._places.items()
        }


class ForbiddenError(Exception):
    """An event has the field that it must not have; no ValueError, which msgspec would put into words of its own."""


class _Forbidden:
    """The type of a field that must not be there."""


def _forbid(kind: type, value: object) -> Any:  # noqa: ANN401
    del kind, value
    raise ForbiddenError


# Field -> its place in a struct, what takes it from what stands there, and whether that is to be done late.
_InStruct = dict[str, tuple[int, Get, bool]]
_Found = dict[str, tuple[Get, bool]]


def _from_row(found: _InStruct) -> _Found:
    """Return the same, taken from the struct."""
    getters = {field: (attrgetter(f"f{place}"), get, late) for field, (place, get, late) in found.items()}
    return {
        field: (take if get is _same else _after(take, get), late) for field, (take, get, late) in getters.items()
    }


def _struct(node: _Node, forbidden: str | None = None) -> tuple[Any, _InStruct]:
    declared: list[Any] = []
    names: dict[str, str] = {}
    found: _InStruct = {}
    for number, (step, below) in enumerate(node.below.items()):
        attribute = f"f{number}"
        kind, inside = _compiled(below)
        declared.append((attribute, kind, None))
        names[attribute] = str(step)
        for field, (get, late) in inside.items():
            found[field] = (number, get, late)
    if forbidden is not None:
        declared.append(("forbidden", _Forbidden | msgspec.UnsetType, msgspec.UNSET))
        names["forbidden"] = forbidden
    # With a dict, since late fields are kept beside those of the event.
    late = _any_late(node)
    return msgspec.defstruct("Row", declared, rename=names, gc=late, dict=late), found


def _any_late(node: _Node) -> bool:
    return node.late or any(_any_late(below) for below in node.below.values())


def _compiled(node: _Node) -> tuple[Any, _Found]:
    if node.late:
        return msgspec.Raw, _late(node)
    if node.leaf is not None:
        field, accepts = node.leaf
        return accepts, {field: (_same, False)}
    kind, found = _struct(node)
    return kind | None, {field: (_unless_none(get), late) for field, (get, late) in _from_row(found).items()}


def _late(node: _Node) -> _Found:
    found: _Found = {}
    if node.leaf is not None:
        field, accepts = node.leaf
        found[field] = (_unless_none(msgspec.json.Decoder(accepts).decode), True)
    named = _Node()
    named.below = {step: below for step, below in node.below.items() if isinstance(step, str)}
    if named.below:
        kind, declared = _struct(named)
        decode = msgspec.json.Decoder(kind | None).decode
        found |= {
            field: (_unless_none(_after(decode, _unless_none(get))), True)
            for field, (get, _) in _from_row(declared).items()
        }
    for place, below in node.below.items():
        if isinstance(place, int):
            kind, inside = _compiled(below)
            decode = msgspec.json.Decoder(kind).decode
            take = _item(place)
            found |= {
                field: (_unless_none(_after(take, _unless_none(_after(decode, get)))), True)
                for field, (get, _) in inside.items()
            }
    return found


def _item(place: int) -> Get:
    def take(raw: msgspec.Raw) -> msgspec.Raw | None:
        items = _RAWS.decode(raw)
        return items[place] if items is not None and place < len(items) else None

    return take


def _same(value: Any) -> Any:  # noqa: ANN401
    return value


def _after(first: Get, then: Get) -> Get:
    return lambda value: then(first(value))


def _unless_none(get: Get) -> Get:
    return lambda value: None if value is None else get(value)
