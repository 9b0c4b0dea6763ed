"""The dead-letter guard: says when so many of a partition's events can't be enriched that going on makes no sense."""

import math
from collections import Counter, deque
from collections.abc import Mapping
from itertools import islice
from typing import Final

import msgspec

_MINUTE: Final = 60.0


class Limits(msgspec.Struct, frozen=True):
    """How many dead letters of a partition are too many; None means never.

    Attributes:
        in_a_row: so many one after the other.
        ratio: this part of the last ``of_last`` events. It need not have been so many events yet: half of 1,000 is
            reached with the 500th dead letter.
        of_last: see above.
        per_minute: so many within 60 seconds.
    """

    in_a_row: int | None = None
    ratio: float | None = None
    of_last: int = 1000
    per_minute: int | None = None

    @property
    def among_last(self) -> int | None:
        """How many dead letters among the last ``of_last`` events are too many."""
        return None if self.ratio is None else max(1, math.ceil(self.ratio * self.of_last))


class Trip(msgspec.Struct, frozen=True):
    """The guard's word that a partition is to be held.

    Attributes:
        rows: how many rows of the batch there may be: up to and with the dead letter that was one too many.
        why: for a person.
        cause: the most frequent cause among those that were too many.
    """

    rows: int
    why: str
    cause: str


class _Letter(msgspec.Struct, frozen=True):
    """A dead letter: the how manieth event it was, when that was, and why."""

    number: int
    when: float
    cause: str


class Guard:
    """Counts the dead letters of one partition.

    ``foresee`` looks ahead before a batch is written, ``count`` counts what was written; ``mark`` and ``rewind`` go
    with the checkpoints, since what was undone comes again.

    Args:
        limits: what is too many.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._among_last = limits.among_last
        most = max(1, limits.in_a_row or 0, self._among_last or 0, limits.per_minute or 0)
        self._letters: deque[_Letter] = deque(maxlen=most)
        self._seen = 0
        self._last_good = -1
        self.mark()

    def foresee(self, dead: Mapping[int, str], now: float) -> Trip | None:
        """Return where a batch would be too much, changing nothing.

        Args:
            dead: row -> cause of the batch's dead letters, by row.
            now: monotonic seconds.
        """
        if not dead:
            return None
        ahead = Guard(self._limits)
        ahead._letters = self._letters.copy()
        ahead._seen, ahead._last_good = self._seen, self._last_good
        return ahead.count(max(dead) + 1, dead, now)

    def count(self, rows: int, dead: Mapping[int, str], now: float) -> Trip | None:
        """Count a batch of so many rows, and return where it is too much."""
        begin, before = self._seen, -1
        for row, cause in dead.items():
            if row > before + 1:
                self._last_good = begin + row - 1
            before = row
            self._letters.append(_Letter(begin + row, now, cause))
            self._seen = begin + row + 1
            why, many = self._too_many(begin + row, now)
            if many:
                return Trip(row + 1, why, self._most_frequent(many))
        if before < rows - 1:
            self._last_good = begin + rows - 1
        self._seen = begin + rows
        return None

    def mark(self) -> None:
        """Note that what was counted is durable."""
        self._marked = (self._seen, self._last_good)

    def rewind(self) -> None:
        """Forget what was counted since the last mark: it was undone."""
        self._seen, self._last_good = self._marked
        while self._letters and self._letters[-1].number >= self._seen:
            self._letters.pop()

    def _too_many(self, number: int, now: float) -> tuple[str, int]:
        """Return what is too much about the dead letter counted last, and how many it is about; 0 if nothing is."""
        limits, letters = self._limits, self._letters
        # Whether the last k letters are all recent enough is whether the k-th from the end is.
        if limits.in_a_row is not None and number - self._last_good >= limits.in_a_row:
            return f"{limits.in_a_row} dead letters in a row", limits.in_a_row
        many = self._among_last
        if many is not None and len(letters) >= many and letters[-many].number > number - limits.of_last:
            return f"{many} dead letters among the last {limits.of_last} events", many
        many = limits.per_minute
        if many is not None and len(letters) >= many and letters[-many].when > now - _MINUTE:
            return f"{many} dead letters within a minute", many
        return "", 0

    def _most_frequent(self, many: int) -> str:
        last = islice(reversed(self._letters), many)
        return Counter(letter.cause for letter in last).most_common(1)[0][0]
