"""Where in an event a field stands: ``distance``, ``user.country``, ``items[0].price``, ``["a.b"].c``, or ``@key``.

A name with a dot or a bracket in it stands in brackets and quotes. The parts of a record, which begin with ``@``, are
there whatever the value holds; a field whose own name begins so is written ``["@id"]``.
"""

import re
from typing import Final, TypeAlias

Steps: TypeAlias = tuple[str | int, ...]

# The parts of a record; after the last comes the header's name.
PARTS: Final = ("@value", "@key", "@timestamp", "@headers.")

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
