"""kind: present."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from consumer.features.column import Floats
from consumer.pipeline.features import PresentFeature
from consumer.types import Cause


class PresentColumn:
    """1 where a field is there and not null, whatever it is; a mask beside a `missing` that stands in."""

    accepts: Any = Any
    width = 1

    def __init__(self, feature: PresentFeature) -> None:
        self.field = feature.field

    def numbers(self, values: Sequence[Any], bad: dict[int, Cause]) -> Floats:
        """Return the column of 0 and 1."""
        del bad
        return np.array([value is not None for value in values], dtype=np.float64)

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return numbers and nothing."""
        return [1.0 if there else None for there in random.integers(0, 2, count).tolist()]
