"""Hundreds of things compared: where they differ, that alone is told. In CI, pytest writes out both sides whole."""

from collections import Counter
from collections.abc import Hashable, Iterable
from itertools import zip_longest

_TOLD = 10
_LONGEST = 200
_NOTHING = object()


def assert_same(found: Iterable[Hashable], expected: Iterable[Hashable]) -> None:
    """The same things are in both, and as often, in whatever order."""
    here, wanted = Counter(found), Counter(expected)
    missing, more = wanted - here, here - wanted
    assert not missing, f"{missing.total()} of {wanted.total()} are missing: {_some(missing)}"
    assert not more, f"{more.total()} are there beside {wanted.total()}: {_some(more)}"


def assert_same_order(found: Iterable[object], expected: Iterable[object]) -> None:
    """The same things are in both, in the same order."""
    for place, (here, wanted) in enumerate(zip_longest(found, expected, fillvalue=_NOTHING)):
        assert here == wanted, f"at place {place}: {_told(here)}, expected {_told(wanted)}"


def _some(things: Counter[Hashable]) -> str:
    told = ", ".join(map(_told, list(things)[:_TOLD]))
    return f"{told}, …" if len(things) > _TOLD else told


def _told(thing: object) -> str:
    if thing is _NOTHING:
        return "nothing more"
    text = repr(thing)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
