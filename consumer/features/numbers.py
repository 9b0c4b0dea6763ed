"""kind: numbers."""

from collections.abc import Sequence
from struct import Struct
from typing import Any, Final

import numpy as np

from consumer.deadletter.causes import Code
from consumer.features.column import Floats, absent_cause, cause, steps
from consumer.pipeline.features import NumbersFeature
from consumer.types import Cause

_SPREAD: Final = 2.0


class NumbersColumn:
    """A list of numbers of one length, each scaled."""

    accepts: Any = list[float] | None

    def __init__(self, feature: NumbersFeature) -> None:
        self.field = feature.field
        self.width = feature.length
        self._packed = Struct(f"{feature.length}d").pack  # half the time of any of numpy's own ways
        self._mean = np.asarray(feature.mean, dtype=np.float64)
        self._std = np.asarray(feature.std, dtype=np.float64)
        self._range = feature.range

    @property
    def ranged(self) -> bool:
        """Whether values outside a range are refused."""
        return self._range is not None

    def numbers(self, values: Sequence[Any], bad: dict[int, Cause]) -> Floats:
        """Return the scaled columns, (rows, length)."""
        nothing = [0.0] * self.width
        fitting = [value if self._fits(row, value, bad) else nothing for row, value in enumerate(values)]
        packed = b"".join([self._packed(*value) for value in fitting])
        matrix = np.frombuffer(packed, np.float64).reshape(len(values), self.width)
        if self._range is not None:
            self._check(matrix, *self._range, bad)
        scaled: Floats = (matrix - self._mean) / self._std
        return scaled

    def _fits(self, row: int, value: list[float] | None, bad: dict[int, Cause]) -> bool:
        if value is None:
            bad.setdefault(row, absent_cause(self.field))
            return False
        if len(value) != self.width:
            words = f"a list of {len(value)} numbers, where {self.width} are needed"
            bad.setdefault(row, cause(Code.WRONG_LENGTH, words, self.field))
            return False
        return True

    def _check(self, matrix: Floats, low: float, high: float, bad: dict[int, Cause]) -> None:
        outside = (matrix < low) | (matrix > high)
        for row in np.flatnonzero(outside.any(axis=1)).tolist():
            if row not in bad:
                place = int(np.argmax(outside[row]))
                words = f"item {place}: {matrix[row, place]:g} is not in {low:g} to {high:g}"
                bad[row] = cause(Code.OUT_OF_RANGE, words, self.field)

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return lists of whole steps through the range where one is given, else of values around the mean."""
        if self._range is not None:
            return list(steps(self._range, (count, self.width), random).tolist())
        drawn = self._mean + random.normal(0, _SPREAD, (count, self.width)) * self._std
        return list(drawn.tolist())
