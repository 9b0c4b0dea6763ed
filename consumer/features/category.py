"""kind: category."""

import zlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from consumer.deadletter.causes import Code
from consumer.features.column import REMEMBERED, Floats, absent_cause, cause
from consumer.pipeline.features import CategoryFeature
from consumer.pipeline.vocabulary import Key, canonical, keys
from consumer.types import Cause

_NO_ENTRY: Final = -1
# Buckets of keys met lately: of identifiers there is no end.
_MOST: Final = 65536


class CategoryColumn:
    """A string or number as its index in the vocabulary or its bucket, or as one number for each of these."""

    def __init__(self, feature: CategoryFeature) -> None:
        if isinstance(feature.vocabulary, str):
            raise TypeError(f"the vocabulary {feature.vocabulary!r} has not been read")
        self.field = feature.field
        self.accepts: Any = list[str | int | float] | None if feature.multi_hot else str | int | float | None
        self._hot = feature.one_hot or feature.multi_hot
        self._many = feature.multi_hot
        self._entries = feature.vocabulary
        self._unknown = _NO_ENTRY if feature.unknown is None else feature.unknown
        self._index: dict[Key | None, int]
        if feature.buckets is None:
            self._index = _Index(feature.vocabulary or (), 1 if feature.unknown == 0 else 0, self._unknown)
            self.highest = max(self._index.values(), default=0)
        else:
            self._index = _Buckets(feature.buckets)
            self.highest = feature.buckets - 1
        self._missing = self._unknown if feature.missing is None else self._index[feature.missing]
        self._index[None] = self._missing
        self.highest = max(self.highest, self._unknown)
        self.width = self.highest + 1 if self._hot else 1

    @property
    def indices(self) -> bool:
        """Whether the column holds indices, from 0 to ``highest``."""
        return not self._hot

    def numbers(self, values: Sequence[Any], bad: dict[int, Cause]) -> Floats:
        """Return the column of indices, or (rows, width) of 0 and 1."""
        if self._many:
            return self._each_hot(values, bad)
        indices = np.fromiter(map(self._index.__getitem__, values), np.float64, len(values))
        if self._unknown == _NO_ENTRY:
            for row in np.flatnonzero(indices == _NO_ENTRY).tolist():
                bad.setdefault(row, self._no_entry(values[row]))
                indices[row] = 0
        if not self._hot:
            return indices
        matrix = np.zeros((len(values), self.width))
        matrix[np.arange(len(values)), indices.astype(np.intp)] = 1
        return matrix

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return entries of the vocabulary, as numbers where they can be: another kind may read the field too."""
        if self._many:
            return [self._some(int(many), random) for many in random.integers(0, 4, count)]
        return self._some(count, random)

    def _some(self, count: int, random: np.random.Generator) -> list[Any]:
        entries = self._entries
        if entries is None:
            return list(random.integers(0, 2**31, count).tolist())
        return [keys(entries[place])[-1] for place in random.integers(0, len(entries), count)]

    def _each_hot(self, values: Sequence[Any], bad: dict[int, Cause]) -> Floats:
        matrix = np.zeros((len(values), self.width))
        for row, value in enumerate(values):
            if value is None and self._missing == _NO_ENTRY:
                bad.setdefault(row, absent_cause(self.field))
                continue
            for key in (None,) if value is None else value:
                index = self._index[key]
                if index == _NO_ENTRY:
                    bad.setdefault(row, self._no_entry(key))
                else:
                    matrix[row, index] = 1
        return matrix

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


class _Buckets(dict[Key | None, int]):
    """The bucket of each key: CRC-32 (ISO 3309, as zlib's) of its canonical text in UTF-8, modulo their number."""

    def __init__(self, buckets: int) -> None:
        super().__init__()
        self._buckets = buckets

    def __missing__(self, key: Key) -> int:
        text = canonical(key)
        bucket = zlib.crc32(text.encode()) % self._buckets
        if len(text) > REMEMBERED:
            return bucket
        if len(self) >= _MOST:
            absent = self[None]
            self.clear()
            self[None] = absent
        self[key] = bucket
        return bucket
