"""Vocabularies: their files, and under which keys an entry is found.

A key is the same however it is written: 12, 12.0 and "12" are one entry, and no identifier passes through a float.
"""

from pathlib import Path
from typing import TypeAlias

Key: TypeAlias = str | int | float


def read_entries(path: Path) -> list[str]:
    """Return the lines of a file.

    Only line ends count, unlike ``str.splitlines``: an entry may hold a form feed or a U+2028.

    Raises:
        OSError, UnicodeDecodeError: it can't be read.
    """
    with path.open(encoding="utf-8-sig") as lines:
        return [line.rstrip("\n") for line in lines]


def keys(entry: Key) -> list[Key]:
    """Return what finds an entry: its text, and the number that it may be, last.

    12 and 12.0 are equal and hash alike. An entry of a file that says 12.0 is found by "12" too.
    """
    text = canonical(entry)
    number = _number(text)
    return [text] if number is None else [*dict.fromkeys((text, canonical(number))), number]


def canonical(entry: Key) -> str:
    """Return the text that stands for an entry: 12, 12.0 and "12" are "12"."""
    if isinstance(entry, float) and entry.is_integer():
        return str(int(entry))
    return str(entry)


def _number(text: str) -> int | float | None:
    """Return the number that is written exactly so; "007" and "1e3" are text."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if str(number) == text and number == number:  # noqa: PLR0124 - NaN is no number here
            return number
    return None
