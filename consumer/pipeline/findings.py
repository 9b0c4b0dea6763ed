"""What is wrong with a pipeline file, and where."""

import difflib
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec

from consumer.exits import RefusedError
from consumer.pipeline.words import shown

Path: TypeAlias = tuple[str | int, ...]


class Place(msgspec.Struct, frozen=True):
    """Where in a file something stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong, where, and how to mend it if that is known."""

    path: Path
    message: str
    hint: str = ""


class MisfitsError(RefusedError):
    """A check at the start refuses what a pipeline file says.

    Attributes:
        findings: what, and where.
    """

    def __init__(self, words: str, findings: list[Finding]) -> None:
        super().__init__(words)
        self.findings = findings


def dotted(path: Path) -> str:
    """Write a path as ``model.inputs.features[1].mean``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def no_such_value(path: Path, given: object, allowed: Sequence[str]) -> Finding:
    """Return what is wrong with a value that is none of a few; the nearest of them is named, or all."""
    close = difflib.get_close_matches(str(given), allowed, n=1)
    if close:
        return Finding(path, f"no such value: {shown(given)}", f"did you mean `{close[0]}`?")
    *others, last = allowed
    wanted = f"{', '.join(others)} or {last}" if others else last
    return Finding(path, f"expected {wanted}, got {shown(given)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the known name most like ``name``, or lists the known ones."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known: {', '.join(names)}"
