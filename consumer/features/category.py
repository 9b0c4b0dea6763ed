"""kind: category."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from consumer.deadletter.causes import Code
from consumer.features.column import Floats, absent_cause, cause
from consumer.pipeline.features import CategoryFeature
from consumer.pipeline.vocabulary import Key, keys
from consumer.types import Cause

_NO_ENTRY: Final = -1


class CategoryColumn:
    """A string or number as its index in the vocabulary."""

    accepts: Any = str | int | float | None
    width = 1

    def __init__(self, feature: CategoryFeature) -> None:
        if isinstance(feature.vocabulary, str):
            raise TypeError(f"the vocabulary {feature.vocabulary!r} has not been read")
        self.field = feature.field
        self._entries = list(feature.vocabulary)
        self._unknown = _NO_ENTRY if feature.unknown is None else feature.unknown
        self._index = _Index(self._entries, 1 if feature.unknown == 0 else 0, self._unknown)
        if feature.missing is not None:
            self._index[None] = self._index[feature.missing]
        elif feature.unknown is not None:
            self._index[None] = feature.unknown

    @property
    def highest(self) -> int:
        """The highest index; the lowest is 0."""
        return max(self._index.values())

    def numbers(self, values: Sequence[Any], bad: dict[int, Cause]) -> Floats:
        """Return the column of indices."""
        indices = list(map(self._index.__getitem__, values))
        if self._unknown == _NO_ENTRY and _NO_ENTRY in indices:
            for row, index in enumerate(indices):
                if index == _NO_ENTRY:
                    bad.setdefault(row, self._no_entry(values[row]))
        return np.array(indices, dtype=np.float64)

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return entries of the vocabulary, as numbers where they can be: another kind may read the field too."""
        return [keys(self._entries[place])[-1] for place in random.integers(0, len(self._entries), count)]

    def _no_entry(self, value: object) -> Cause:
        if value is None:
            return absent_cause(self.field)
        return cause(
            Code.UNKNOWN_CATEGORY, f"{value!r} is not in the vocabulary, and no `unknown` is set", self.field
        )


class _Index(dict[Key | None, int]):
    """Each entry's index by its text and by the number it may be; any other key's is ``unknown``.

    Looking up what a dict itself answers is twice as fast as ``get`` with a default.
    """

    def __init__(self, entries: Iterable[Key], first: int, unknown: int) -> None:
        super().__init__((key, place) for place, entry in enumerate(entries, first) for key in keys(entry))
        self._unknown = unknown

    def __missing__(self, key: object) -> int:
        return self._unknown
