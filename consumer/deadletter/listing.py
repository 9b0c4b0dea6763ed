"""Dead letters counted, to find out what is wrong."""

from collections import Counter
from typing import Final

from consumer.deadletter.letter import Letter

# Upper end in seconds -> what is said of it.
_AGES: Final = (
    (60, "under 1 minute"),
    (3600, "1 minute to 1 hour"),
    (86_400, "1 hour to 1 day"),
    (7 * 86_400, "1 to 7 days"),
)
_OLDEST: Final = "over 7 days"
_UNDATED: Final = "unknown"

# In the order in which they are shown.
DIMENSIONS: Final = ("stage", "cause", "field", "model", "pipeline", "partition", "replays", "age")


class Histogram:
    """Counts dead letters by what they say of themselves.

    Args:
        now: milliseconds since 1970, from which their age is told.
    """

    def __init__(self, now: int) -> None:
        self._now = now
        self.total = 0
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in DIMENSIONS}
        self.oldest: int | None = None
        self.newest: int | None = None

    def add(self, letter: Letter) -> None:
        """Count one."""
        self.total += 1
        kind, moment = letter.record.timestamp()
        values = {
            "stage": letter.stage,
            "cause": letter.cause,
            "field": letter.field or "",
            "model": letter.model,
            "pipeline": letter.pipeline,
            "partition": str(letter.record.partition()),
            "replays": str(letter.replays),
            "age": self._age(moment) if kind else _UNDATED,
        }
        for name, value in values.items():
            self.counts[name][value] += 1
        if kind:
            self.oldest = moment if self.oldest is None else min(self.oldest, moment)
            self.newest = moment if self.newest is None else max(self.newest, moment)

    def rows(self, dimension: str) -> list[tuple[str, int]]:
        """Return values with their counts: numbers and ages in their order, others with the most frequent first."""
        counts = self.counts[dimension]
        if dimension in ("partition", "replays"):
            return sorted(counts.items(), key=lambda row: int(row[0]))
        if dimension == "age":
            order = [words for _, words in _AGES] + [_OLDEST, _UNDATED]
            return [(words, counts[words]) for words in order if counts[words]]
        return sorted(counts.items(), key=lambda row: (-row[1], row[0]))

    def _age(self, moment: int) -> str:
        seconds = (self._now - moment) / 1000
        return next((words for end, words in _AGES if seconds < end), _OLDEST)
