"""kind: number."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from consumer.deadletter.causes import Code
from consumer.features.column import Floats, Scale, cause, fill_missing, steps
from consumer.pipeline.features import NumberFeature
from consumer.types import Cause

_SPREAD: Final = 2.0

# As JSON writes numbers, https://www.rfc-editor.org/rfc/rfc8259#section-6; Python would take "1_0" and "nan" too.
JSON_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

TRANSFORMS: Final[Mapping[str, Callable[[Floats], Floats]]] = {"log1p": np.log1p, "log": np.log, "sqrt": np.sqrt}


class NumberColumn:
    """A JSON number: missing filled in, range checked, clipped, transformed, then scaled."""

    width = 1

    def __init__(self, feature: NumberFeature) -> None:
        self.field = feature.field
        self.accepts: Any = float | str | None if feature.text == "allow" else float | None
        self._feature = feature
        self._scale = Scale(feature.mean, feature.std)

    @property
    def ranged(self) -> bool:
        """Whether values outside a range are refused, or moved to its ends."""
        return self._feature.range is not None or self._feature.clip is not None

    def numbers(self, values: Sequence[Any], bad: dict[int, Cause]) -> Floats:
        """Return the scaled column."""
        feature = self._feature
        if feature.text == "allow":
            values = self._read(values, bad)
        column = np.array(values, dtype=np.float64)  # None becomes NaN
        fill_missing(column, feature.missing, self.field, bad)
        if feature.range is not None:
            low, high = feature.range
            for row in np.flatnonzero((column < low) | (column > high)).tolist():
                bad.setdefault(
                    row, cause(Code.OUT_OF_RANGE, f"{column[row]:g} is not in {low:g} to {high:g}", self.field)
                )
        if feature.clip is not None:
            column = column.clip(*feature.clip)
        if feature.transform is not None:
            column = self._transformed(column, feature.transform, bad)
        return self._scale(column)

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return whole steps through the range where one is given, else values around the mean."""
        limits = self._feature.range or self._feature.clip
        if limits is None:
            drawn = random.normal(self._feature.mean, self._feature.std * _SPREAD, count)
            return list((np.abs(drawn) if self._feature.transform else drawn).tolist())
        return list(steps(limits, count, random).tolist())

    def _read(self, values: Sequence[Any], bad: dict[int, Cause]) -> list[float | None]:
        numbers: list[float | None] = []
        for row, value in enumerate(values):
            if not isinstance(value, str):
                numbers.append(value)
            elif JSON_NUMBER.fullmatch(value):
                numbers.append(float(value))
            else:
                bad.setdefault(row, cause(Code.WRONG_TYPE, f"no number: {value!r}", self.field))
                numbers.append(0.0)
        return numbers

    def _transformed(self, column: Floats, name: str, bad: dict[int, Cause]) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            made = TRANSFORMS[name](column)
        for row in np.flatnonzero(~np.isfinite(made) & np.isfinite(column)).tolist():
            bad.setdefault(row, cause(Code.OUT_OF_RANGE, f"{column[row]:g} has no {name}", self.field))
            made[row] = 0.0
        return made
