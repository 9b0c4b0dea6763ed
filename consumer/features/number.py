"""kind: number."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from consumer.deadletter.causes import Code
from consumer.features.column import Floats, Scale, cause, fill_missing
from consumer.pipeline.features import NumberFeature
from consumer.types import Cause

_SPREAD: Final = 2.0
# Sample this far into a range that is wider, or has no end.
_WIDEST: Final = 2.0**31


class NumberColumn:
    """A JSON number: missing filled in, range checked, then scaled."""

    accepts: Any = float | None
    width = 1

    def __init__(self, feature: NumberFeature) -> None:
        self.field = feature.field
        self._feature = feature
        self._scale = Scale(feature.mean, feature.std)

    @property
    def ranged(self) -> bool:
        """Whether values outside a range are refused."""
        return self._feature.range is not None

    def numbers(self, values: Sequence[Any], bad: dict[int, Cause]) -> Floats:
        """Return the scaled column."""
        column = np.array(values, dtype=np.float64)  # None becomes NaN
        fill_missing(column, self._feature.missing, self.field, bad)
        if self._feature.range is not None:
            low, high = self._feature.range
            for row in np.flatnonzero((column < low) | (column > high)).tolist():
                bad.setdefault(
                    row, cause(Code.OUT_OF_RANGE, f"{column[row]:g} is not in {low:g} to {high:g}", self.field)
                )
        return self._scale(column)

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return whole steps through the range where one is given, else values around the mean."""
        if self._feature.range is None:
            return list(random.normal(self._feature.mean, self._feature.std * _SPREAD, count).tolist())
        low, high = self._feature.range
        if low == -np.inf:
            low = min(high, 0.0) - _WIDEST
        return list((low + random.integers(0, int(min(high - low, _WIDEST)) + 1, count)).tolist())
