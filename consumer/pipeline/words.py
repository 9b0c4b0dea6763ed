"""What is wrong with a value, in the words of those who write pipeline files."""

import json
import re
import typing
from collections.abc import Iterator
from typing import Any, Final

import msgspec

_EXPECTED: Final = re.compile(
    r"Expected `(?P<kinds>[^`]+)`(?P<limit> (?:[<>]=? \S+?|of length \d+))?(?:,| matching|$)"
)
_LIMITS: Final = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below"}
_KINDS: Final = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "a mapping",
    "array": "a list",
}
_LONGEST: Final = 60


def wrong_value(message: str, kind: Any, value: object) -> str:  # noqa: ANN401
    """Say what was expected and what is there.

    Args:
        message: of msgspec.
        kind: the type that the value should have had; in its ``Meta``, ``extra={"wanted": …}`` may say it best.
        value: what is there.
    """
    wanted = next(_wanted(kind), None)
    match = _EXPECTED.match(message)
    if wanted is None and match is not None:
        named = match["kinds"].split(" | ")
        kinds = [name for name in named if name != "null" and not (name == "int" and "float" in named)]
        wanted = " or ".join(_KINDS.get(name, name) for name in kinds) + _limit(match["limit"] or "")
    if wanted is None:
        return message[0].lower() + message[1:] + ("" if "got" in message else f", got {shown(value)}")
    return f"expected {wanted}, got {shown(value)}"


def _wanted(kind: Any) -> Iterator[str]:  # noqa: ANN401
    """Return what the annotations of a type say, outermost first."""
    if typing.get_origin(kind) is not typing.Annotated:
        for inner in typing.get_args(kind):
            yield from _wanted(inner)
        return
    inner, *notes = typing.get_args(kind)
    for note in notes:
        if isinstance(note, msgspec.Meta) and note.extra is not None and "wanted" in note.extra:
            yield str(note.extra["wanted"])
    yield from _wanted(inner)


def _limit(text: str) -> str:
    words = text.split()
    if not words:
        return ""
    if words[0] == "of":
        return f" of {words[-1]}"
    return f" {_LIMITS[words[0]]} {words[1].removesuffix('.0')}"


def shown(value: object) -> str:
    """Write a value as the file may have it, shortened: null, not None."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)  # takes numbers of any length
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
