"""Going through dead letters in batches, and keeping count of what becomes of each."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from consumer.deadletter.letter import Letter
from consumer.deadletter.listing import Histogram
from consumer.deadletter.replay import Fate, Judge, Memory
from consumer.deadletter.selection import Span
from consumer.types import Event


class Most(msgspec.Struct, frozen=True):
    """How many dead letters go into one transaction: up to so many, of so many bytes together."""

    rows: int
    bytes: int


class Outcome(msgspec.Struct):
    """What a replay did, or would do.

    Attributes:
        fates: how many records of the dead-letter topic are what.
        letters: those that are replayed.
        results: what became of those.
    """

    fates: Counter[Fate]
    letters: Histogram
    results: Counter[str]


class Reading:
    """Sorts out what is to be replayed, a batch at a time.

    Args:
        records: of the dead-letter topic.
        spans: from where to where they are.
        judge: says what becomes of each.
        memories: what was replayed before.
        most: how much a batch holds.
        now: milliseconds since 1970, from which ages are told.
    """

    def __init__(
        self,
        records: Iterable[Event],
        spans: Mapping[int, Span],
        judge: Judge,
        memories: Mapping[int, Memory],
        *,
        most: Most,
        now: int,
    ) -> None:
        self._records = records
        self._spans = spans
        self.judge = judge
        self._memories = memories
        self._most = most
        self.outcome = Outcome(Counter(), Histogram(now), Counter())
        self._from = {partition: start for partition, (start, _) in spans.items()}
        self._at = dict(self._from)

    def batches(self) -> Iterator[list[Letter]]:
        """Return batches; the last one, which may be empty, comes when all is looked at."""
        letters: list[Letter] = []
        size = 0
        for record in self._records:
            fate, letter = self.judge.judge(record, self._memories[record.partition()])
            self.outcome.fates[fate] += 1
            self._at[record.partition()] = record.offset() + 1
            if fate is not Fate.REPLAY or letter is None:
                continue
            self.outcome.letters.add(letter)
            letters.append(letter)
            size += len(record)
            if len(letters) >= self._most.rows or size >= self._most.bytes:
                yield letters
                letters, size = [], 0
        self._at = {partition: stop for partition, (_, stop) in self._spans.items()}
        yield letters

    def take_looked_at(self) -> dict[int, Span]:
        """Return what was looked at since the last call."""
        spans = {partition: (self._from[partition], at) for partition, at in self._at.items()}
        moved = {partition: span for partition, span in spans.items() if span[0] < span[1]}
        self._from = dict(self._at)
        return moved
