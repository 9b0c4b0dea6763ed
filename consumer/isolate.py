"""Finds the rows that make a batch fail, by halving it: k bad rows of n cost about k log2(n) runs."""

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Part(msgspec.Struct, Generic[T]):
    """Rows ``start`` to ``stop`` (not included) that went well together."""

    start: int
    stop: int
    result: T


class Isolated(msgspec.Struct, Generic[T]):
    """A batch that was run piece by piece.

    Attributes:
        parts: what went well, in the order of the rows.
        culprits: row -> its error, for each row that failed on its own.
    """

    parts: list[Part[T]]
    culprits: dict[int, BaseException]


def isolate(
    run: Callable[[int, int], T],
    rows: int,
    failures: tuple[type[BaseException], ...],
    repair: Callable[[], None],
) -> Isolated[T]:
    """Run rows 0 to ``rows``, halving where it fails.

    Args:
        run: runs the rows from start to stop (not included).
        rows: how many there are.
        failures: the errors that mean that the rows are to blame; others pass through.
        repair: called after each failure, before the next run.

    Returns:
        Parts and culprits that cover each row once. A row is a culprit only after it failed alone twice: a failure
        that does not come again was not the row's.
    """
    found: Isolated[T] = Isolated([], {})
    waiting = [(0, rows)] if rows else []
    retried = -1
    while waiting:
        start, stop = waiting.pop()
        try:
            found.parts.append(Part(start, stop, run(start, stop)))
        except failures as error:
            repair()
            middle = (start + stop) // 2
            if middle > start:
                waiting += [(middle, stop), (start, middle)]  # the first half is taken first: order is kept
            elif retried != start:
                retried = start
                waiting.append((start, stop))
            else:
                found.culprits[start] = error
    return found
