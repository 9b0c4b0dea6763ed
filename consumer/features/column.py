"""What every kind of feature is: a field's values in, a column of numbers out."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from consumer.deadletter.causes import Code, clipped
from consumer.features.block import Source
from consumer.types import Cause, Stage

Floats = npt.NDArray[np.float64]

# Up to here each float64 stands for one integer only; 2**53 may have been 2**53 + 1.
EXACT: Final = 2**53 - 1
# Samples come from so far into a range that is wider, or has no end.
_WIDEST: Final = 2.0**31
# Characters of a text whose number is remembered; one may be as long as an event, and thousands are.
REMEMBERED: Final = 64


class Column(Source, Protocol):
    """One feature of a matrix.

    Attributes:
        width: how many of a row's values it makes.
    """

    width: int

    def numbers(self, values: Sequence[Any], bad: dict[int, Cause]) -> Floats:
        """Return a (rows,) column for the tensor, or (rows, width) where it is wider than 1.

        Args:
            values: one a row, of the type in ``accepts``.
            bad: takes the cause of each row that has no number; what the column holds there does not matter.
        """
        ...


class Scale:
    """(value - mean) / std, left out where it would change nothing."""

    def __init__(self, mean: float, std: float) -> None:
        self._mean = mean
        self._std = std

    def __call__(self, numbers: Floats) -> Floats:
        """Scale a column in place."""
        if self._mean:
            numbers -= self._mean
        if self._std != 1:
            numbers /= self._std
        return numbers


def fill_missing(numbers: Floats, missing: float | None, field: str, bad: dict[int, Cause]) -> None:
    """Put ``missing`` where a column is NaN (absent or null: JSON has no NaN), or report those rows."""
    absent = np.isnan(numbers)
    if not absent.any():
        return
    if missing is not None:
        numbers[absent] = missing
        return
    for row in np.flatnonzero(absent).tolist():
        bad.setdefault(row, absent_cause(field))


def steps(limits: tuple[float, float], shape: int | tuple[int, ...], random: np.random.Generator) -> Floats:
    """Return values of a range that are whole steps away from its lowest: what an index could be."""
    low, high = limits
    if low == -np.inf:
        low = min(high, 0.0) - _WIDEST
    return low + random.integers(0, int(min(high - low, _WIDEST)) + 1, shape).astype(np.float64)


def absent_cause(field: str) -> Cause:
    """Return the cause of a row whose field is absent or null."""
    return Cause(Stage.FEATURES, Code.MISSING, "absent or null, and no `missing` is set", field)


def cause(code: Code, message: str, field: str) -> Cause:
    """Return the cause of a row that a feature can't use."""
    return Cause(Stage.FEATURES, code, clipped(message), field)
