"""Hooks tried at the start: is what they give for several rows one item a row?

Later it would not show. A hook that gives columns for rows passes wherever there are as many of both, and halving
finds single rows that go well: events would get their neighbours' values, or a batch cost as many calls as rows.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from itertools import count
from typing import Any, Final

from consumer.hooks import FAILURES, WrongRowsError, call_hook, failure
from consumer.types import Stage

# One row together with others is the least that can go wrong.
_LEAST: Final = 2


def trial_rows(shapes: Iterable[Sequence[int]]) -> int:
    """Return how many rows tell rows from anything else: no size of these shapes (of one row), nor all of a row."""
    taken: set[int] = set()
    for shape in shapes:
        size = 1
        for side in shape:
            size *= side
            taken.add(side)
        taken.add(size)
    return next(rows for rows in count(_LEAST) if rows not in taken)


def misfit(hook: Callable[..., Any], run: Callable[[list[int]], Any], rows: int) -> str:
    """Say what is wrong with a hook's answer for rows together; nothing where nothing is.

    What it refuses, or fails on, is left to the dead letters: made-up rows may well be of no use.

    Args:
        hook: it.
        run: calls it with some of the rows, at these places.
        rows: how many there are, as ``trial_rows`` says.
    """
    told: list[str] = []

    def watched(places: list[int]) -> Any:  # noqa: ANN401
        try:
            return run(places)
        except WrongRowsError as error:
            told.append(str(error))
            raise

    called = call_hook(hook, watched, range(rows), Stage.FEATURES, "")
    good = [row for places, _ in called.parts for row in places]
    if told or not good:
        return told[0] if told else ""
    # Without the rows that it refuses there may be as many as columns: those that go well fill their places.
    places = [good[place % len(good)] for place in range(rows)]
    try:
        with redirect_stdout(sys.stderr):
            run(places)
    except FAILURES as error:
        words = str(error) if isinstance(error, WrongRowsError) else f"fails: {failure(error, hook)}"
        return f"{words}, where each of {rows} rows alone goes well"
    return ""
