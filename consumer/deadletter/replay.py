"""Which dead letters a replay takes, and what it remembers of those that it took.

What was replayed is remembered exactly: by selection and offsets. So whatever filters are used one after another, or
after a replay that was killed, no dead letter is replayed twice, and none that a filter means is passed over.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from consumer.deadletter.letter import Letter, parse
from consumer.deadletter.selection import Selection, Span
from consumer.types import Event

# Kafka's offset.metadata.max.bytes is 4096 unless configured.
MEMORY_LIMIT: Final = 4096


class MemoryFullError(Exception):
    """What was replayed is too much to remember in one string."""


class _Entry(msgspec.Struct, frozen=True):
    """Dead letters in these spans that this selection takes were replayed."""

    selection: Selection
    spans: list[Span]


class Memory:
    """What was replayed of one partition of the dead-letter topic."""

    def __init__(self, text: str | None = None) -> None:
        """Take up what ``text`` says.

        Raises:
            ValueError: it was written by something else.
        """
        try:
            self._entries = msgspec.json.decode(text, type=list[_Entry]) if text else []
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None

    def has(self, letter: Letter) -> bool:
        """Return whether a dead letter was replayed."""
        offset = letter.record.offset()
        return any(
            start <= offset < stop and entry.selection.takes(letter)
            for entry in self._entries
            for start, stop in entry.spans
        )

    def note(self, selection: Selection, span: Span, low: int) -> None:
        """Add that what a selection takes in a span was replayed; what lies below ``low`` is gone and forgotten."""
        if span[0] >= span[1]:
            return
        spans: dict[Selection, list[Span]] = {entry.selection: entry.spans for entry in self._entries}
        spans[selection] = [*spans.get(selection, []), span]
        entries = [_Entry(of, kept) for of, those in spans.items() if (kept := _above(low, _merged(those)))]
        self._entries = [entry for entry in entries if not _told_by_another(entry, entries)]

    def text(self) -> str:
        """Write it down.

        Raises:
            MemoryFullError: there is no room for it.
        """
        text = msgspec.json.encode(self._entries, order="sorted")
        if len(text) > MEMORY_LIMIT:
            raise MemoryFullError
        return text.decode()


class Fate(StrEnum):
    """What a replay makes of a record of the dead-letter topic."""

    REPLAY = "to replay"
    UNSELECTED = "not selected"
    DONE = "replayed already"
    SPENT = "replayed too often"
    ELSEWHERE = "of another pipeline or input topic"
    FOREIGN = "not written by onelane"


class Judge:
    """Says what becomes of each record.

    Args:
        pipeline: the pipeline's name.
        topic: its input topic.
        selection: which dead letters are meant.
    """

    def __init__(self, pipeline: str, topic: str, selection: Selection) -> None:
        self._pipeline = pipeline
        self._topic = topic
        self.selection = selection

    def judge(self, record: Event, memory: Memory) -> tuple[Fate, Letter | None]:
        """Return what becomes of a record, and the dead letter that it is."""
        letter = parse(record)
        if letter is None:
            return Fate.FOREIGN, None
        return self._fate(letter, memory), letter

    def _fate(self, letter: Letter, memory: Memory) -> Fate:
        if letter.topic != self._topic or letter.pipeline_name != self._pipeline:
            return Fate.ELSEWHERE
        if not self.selection.picks(letter):
            return Fate.UNSELECTED
        if memory.has(letter):
            return Fate.DONE
        return Fate.SPENT if self.selection.spent(letter) else Fate.REPLAY


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _above(low: int, spans: Sequence[Span]) -> list[Span]:
    return [(max(low, start), stop) for start, stop in spans if stop > low]


def _told_by_another(entry: _Entry, entries: Sequence[_Entry]) -> bool:
    return any(
        other is not entry
        and other.selection.covers(entry.selection)
        and all(any(a <= start and stop <= b for a, b in other.spans) for start, stop in entry.spans)
        for other in entries
    )
