"""References within a JSON Schema, which are paths from its root: what they say when the schema stands elsewhere.

https://json-schema.org/draft/2020-12/json-schema-core#section-8.2.3
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

# Keywords whose members have names of their own, each a schema.
_NAMED: Final = frozenset(
    {"properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies"}
)
# Keywords that hold data, whatever it looks like.
_DATA: Final = frozenset({"const", "enum", "default", "examples"})
# Versions in which a schema's address is its "id"; in later ones that is a word like any.
_OLD: Final = ("draft-03/", "draft-04/")


def moved(tree: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return a schema for a place inside another one, such as ``#/properties/event``.

    One with an address of its own keeps it, and its references with it.
    """
    address = _address(tree)
    if _has(tree, address):
        return dict(tree)
    return _changed(tree, lambda reference: place + reference[1:], address)


def apart(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that more can be asked of, without asking it of what it holds of its own kind.

    Where it refers to itself as a whole, it does so to a copy among its definitions.
    """
    address = _address(tree)
    place = "$defs" if "$defs" in tree else "definitions"
    known = tree.get(place, {})
    name = "event"
    while name in known:
        name = f"{name}_"
    whole = f"#/{place}/{name}"
    made = _changed(tree, lambda reference: whole if reference == "#" else reference, address)
    if made == tree:
        return made
    copy = {key: value for key, value in made.items() if key not in ("$schema", "$defs", "definitions", address)}
    made[place] = {**made.get(place, {}), name: copy}
    return made


def _changed(tree: Mapping[str, Any], change: Callable[[str], str], address: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in tree.items():
        if key == "$ref" and isinstance(value, str) and (value == "#" or value.startswith("#/")):
            made[key] = change(value)
        elif key in _DATA:
            made[key] = value
        elif key in _NAMED and isinstance(value, dict):
            made[key] = {name: _within(one, change, address) for name, one in value.items()}
        else:
            made[key] = _within(value, change, address)
    return made


def _within(value: Any, change: Callable[[str], str], address: str) -> Any:  # noqa: ANN401 - a part of a schema
    if isinstance(value, dict):
        return value if _has(value, address) else _changed(value, change, address)
    return [_within(one, change, address) for one in value] if isinstance(value, list) else value


def _address(tree: Mapping[str, Any]) -> str:
    return "id" if any(version in str(tree.get("$schema")) for version in _OLD) else "$id"


def _has(tree: Mapping[str, Any], address: str) -> bool:
    """Whether a schema has an address, and so is a root to what is in it; one that begins with # is a mere name."""
    return isinstance(tree.get(address), str) and not tree[address].startswith("#")
