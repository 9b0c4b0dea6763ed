"""kind: numbers."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from consumer.deadletter.causes import Code
from consumer.features.column import Floats, absent_cause, cause
from consumer.pipeline.features import NumbersFeature
from consumer.types import Cause

_SPREAD: Final = 2.0


class NumbersColumn:
    """A list of numbers of one length, each scaled."""

    accepts: Any = list[float] | None

    def __init__(self, feature: NumbersFeature) -> None:
        self.field = feature.field
        self.width = feature.length
        self._mean = np.asarray(feature.mean, dtype=np.float64)
        self._std = np.asarray(feature.std, dtype=np.float64)

    def numbers(self, values: Sequence[Any], bad: dict[int, Cause]) -> Floats:
        """Return the scaled columns, (rows, length)."""
        matrix = np.zeros((len(values), self.width))
        for row, value in enumerate(values):
            if value is None:
                bad.setdefault(row, absent_cause(self.field))
            elif len(value) != self.width:
                words = f"a list of {len(value)} numbers, where {self.width} are needed"
                bad.setdefault(row, cause(Code.WRONG_LENGTH, words, self.field))
            else:
                matrix[row] = value
        scaled: Floats = (matrix - self._mean) / self._std
        return scaled

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return lists of values around the mean."""
        drawn = self._mean + random.normal(0, _SPREAD, (count, self.width)) * self._std
        return list(drawn.tolist())
