"""Which dead letters are meant: by what they say of themselves, and by where and when they lie in their topic."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from consumer.deadletter.letter import Letter

# From an offset up to, and without, another.
Span = tuple[int, int]

_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_OFFSETS: Final = re.compile(r"(\d*)\.\.(\d*)")


class Selection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a dead letter must say of itself; an empty set takes whatever there is.

    Attributes:
        causes: of these.
        stages: of these.
        models: of these; a name without its hash stands for all of that name.
        replays: of events that were replayed less often than this.
    """

    causes: frozenset[str] = frozenset()
    stages: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    replays: int | None = None

    def takes(self, letter: Letter) -> bool:
        """Return whether a dead letter is meant."""
        return self.picks(letter) and not self.spent(letter)

    def picks(self, letter: Letter) -> bool:
        """Return whether a dead letter is meant, however often it was replayed."""
        if self.causes and letter.cause not in self.causes:
            return False
        if self.stages and letter.stage not in self.stages:
            return False
        return not self.models or not self.models.isdisjoint((letter.model, letter.model.rpartition("@")[0]))

    def spent(self, letter: Letter) -> bool:
        """Return whether a dead letter has been replayed as often as it may be."""
        return self.replays is not None and letter.replays >= self.replays

    def covers(self, other: "Selection") -> bool:
        """Return whether this one takes all that another takes."""
        wider = [
            not ours or (bool(theirs) and ours >= theirs)
            for ours, theirs in (
                (self.causes, other.causes),
                (self.stages, other.stages),
                (self.models, other.models),
            )
        ]
        more = self.replays is None or (other.replays is not None and self.replays >= other.replays)
        return all(wider) and more


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when dead letters lie in their topic.

    Attributes:
        partitions: of the dead-letter topic; all where it is empty.
        since: from the first dead letter at or after this time on, in milliseconds since 1970.
        until: up to the first dead letter at or after this time, and without it.
        first: from this offset on.
        last: up to and with this offset.
    """

    partitions: frozenset[int] = frozenset()
    since: int | None = None
    until: int | None = None
    first: int | None = None
    last: int | None = None

    def spans(
        self, bounds: Mapping[int, Span], began: Mapping[int, int], ended: Mapping[int, int]
    ) -> dict[int, Span]:
        """Return what is to be read of each partition.

        Args:
            bounds: where each partition begins and ends.
            began: where ``since`` falls, by partition.
            ended: where ``until`` falls.
        """
        spans: dict[int, Span] = {}
        for partition, (low, high) in bounds.items():
            if self.partitions and partition not in self.partitions:
                continue
            start = max(low, self.first or 0, began.get(partition, low))
            stop = min(high, high if self.last is None else self.last + 1, ended.get(partition, high))
            spans[partition] = (start, max(start, stop))
        return spans


def parse_moment(text: str, now: datetime) -> int:
    """Read a time, or a duration that counts back from now; returns milliseconds since 1970.

    Raises:
        ValueError: it is neither.
    """
    if ago := _AGO.fullmatch(text.strip()):
        return round(1000 * (now.timestamp() - float(ago[1]) * _SECONDS[ago[2]]))
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: expected one such as 2026-01-31T08:00Z (UTC where no zone is given), or how long "
            "ago: 90s, 20m, 2h, 7d"
        ) from None
    return round(1000 * (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def parse_offsets(text: str) -> tuple[int | None, int | None]:
    """Read ``FROM..TO``, both meant with; either may be left out.

    Raises:
        ValueError: it is not of that form, or FROM is above TO.
    """
    match = _OFFSETS.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise ValueError(f"{text!r} are no offsets: expected FROM..TO, such as 100..199, 100.. or ..199")
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is not None and last is not None and first > last:
        raise ValueError(f"{text!r}: the first offset is above the last")
    return first, last
