"""Where in an event a field stands: ``distance``, ``user.country``, ``items[0].price``, ``["a.b"].c``, or ``@key``.

A name with a dot or a bracket in it stands in brackets and quotes. The parts of a record, which begin with ``@``, are
there whatever the value holds; a field whose own name begins so is written ``["@id"]``.
"""

import difflib
import re
from typing import Final, TypeAlias

Steps: TypeAlias = tuple[str | int, ...]

# The parts of a record; after the last comes the header's name.
PARTS: Final = ("@value", "@key", "@timestamp", "@headers.")

# How alike names are of which one may be meant by the other, from 0 to 1; and how many are told where none is.
_ALIKE: Final = 0.6
_LISTED: Final = 8

_STEP: Final = re.compile(r'\.?([^.\[\]"]+)|\[(\d{1,6})\]|\["([^"\\\x00-\x1f]+)"\]')


def is_part(field: str) -> bool:
    """Return whether a field is a part of the record, not of its value."""
    return field.startswith("@")


def known_part(field: str) -> bool:
    """Return whether there is such a part."""
    return field in PARTS[:-1] or (len(field) > len(PARTS[-1]) and field.startswith(PARTS[-1]))


def parse(field: str) -> Steps:
    """Return the names and places on the way to a field.

    Raises:
        ValueError: it is no path; the message says from where on.
    """
    steps: list[str | int] = []
    at = 0
    while at < len(field):
        match = _STEP.match(field, at)
        if match is None or (match[1] is not None and (at > 0) != field.startswith(".", at)):
            raise ValueError(f"no path from {field[at:]!r} on")
        steps.append(match[1] or match[3] or int(match[2]))
        at = match.end()
    if not steps or isinstance(steps[0], int):
        raise ValueError("a path begins with a name")
    return tuple(steps)


def joined(before: str, name: str) -> str:
    """Return the path of a name inside of another path."""
    plain = name and not set(name) & set('.[]"\\') and not name.startswith("@")
    if plain:
        return f"{before}.{name}" if before else name
    return f'{before}["{name}"]'


def meant(field: str, known: list[str]) -> str:
    """Return a hint: the known field most like one that is not there, or some of the known ones.

    Only the last name of a path counts, and not its case: ``country`` is likely ``user.country``.
    """
    if not known:
        return ""
    lasts = {_last(path): path for path in reversed(known)}
    close = difflib.get_close_matches(_last(field), lasts, n=1, cutoff=_ALIKE)
    if close:
        return f"did you mean `{lasts[close[0]]}`?"
    more = ", …" if len(known) > _LISTED else ""
    return f"there are {', '.join(f'`{path}`' for path in known[:_LISTED])}{more}"


def _last(path: str) -> str:
    """Return the last name of a path in small letters; a path that can't be written is its own name."""
    try:
        names = [step for step in parse(path) if isinstance(step, str)]
    except ValueError:
        return path.lower()
    return names[-1].lower()
