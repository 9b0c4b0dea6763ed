"""kind: boolean."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from consumer.features.column import Floats, Scale, fill_missing
from consumer.pipeline.features import BooleanFeature
from consumer.types import Cause


class BooleanColumn:
    """A JSON boolean as 0 or 1, then scaled."""

    accepts: Any = bool | None
    width = 1

    def __init__(self, feature: BooleanFeature) -> None:
        self.field = feature.field
        self._missing = None if feature.missing is None else float(feature.missing)
        self._scale = Scale(feature.mean, feature.std)

    def numbers(self, values: Sequence[Any], bad: dict[int, Cause]) -> Floats:
        """Return the scaled column."""
        column = np.array(values, dtype=np.float64)
        fill_missing(column, self._missing, self.field, bad)
        return self._scale(column)

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return true and false."""
        return list(random.integers(0, 2, count).astype(bool).tolist())
