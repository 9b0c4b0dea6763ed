"""Where events come from when no consumer group is asked: the lines of a file, or a sample of a topic."""

import base64
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from itertools import islice
from typing import Final, Protocol, TypeAlias

from consumer.exits import PipelineError
from consumer.types import Event, PlainEvent, Positions

_PARTITION: Final = 0

# From an offset up to, and without, another, by partition.
Spans: TypeAlias = Mapping[int, tuple[int, int]]


class Form(StrEnum):
    """How a value stands in a line: values that are no text may have line ends in them."""

    TEXT = "text"
    BASE64 = "base64"

    @classmethod
    def of(cls, name: str) -> "Form":
        """Return how values of a format stand in lines."""
        return cls.TEXT if name == "json" else cls.BASE64


class Source(Protocol):
    """Events that end."""

    def positions(self) -> Positions:
        """Return how far each partition has been read; all there are, from the beginning on."""
        ...

    def read(self, limit: int) -> list[Event]:
        """Return the next events; none at the end."""
        ...

    def where(self, event: Event) -> dict[str, object]:
        """Return what tells a person where an event is."""
        ...


class Lines:
    """The lines of a file: one partition, offsets are line numbers from 0; empty lines are left out, and counted.

    Args:
        lines: them.
        name: of the file, the events' topic.
        form: how values stand in them.
    """

    def __init__(self, lines: Iterable[bytes], name: str = "stdin", form: Form = Form.TEXT) -> None:
        self._lines = iter(lines)
        self._name = name
        self._form = form
        self._next = 0

    def positions(self) -> Positions:
        """Return the number of the next line."""
        return {_PARTITION: self._next}

    def read(self, limit: int) -> list[Event]:
        """Return the events of the next lines.

        Raises:
            PipelineError: one is not in the form that it should be in.
        """
        events: list[Event] = []
        for line in self._lines:
            value = line.rstrip(b"\r\n")
            if value:
                events.append(PlainEvent(self._value(value), offset=self._next, topic=self._name))
            self._next += 1
            if len(events) >= limit:
                break
        return events

    def where(self, event: Event) -> dict[str, object]:
        """Return the line's number, from 1."""
        return {"line": event.offset() + 1}

    def _value(self, line: bytes) -> bytes:
        if self._form is Form.TEXT:
            return line
        try:
            return base64.b64decode(line, validate=True)
        except ValueError as error:
            raise PipelineError(
                f"{self._name}:{self._next + 1}: not base64, which binary events are: {error}"
            ) from None


class Sample:
    """Records of a topic, with keys, headers, timestamps and partitions as they are there.

    Args:
        records: those of a partition in order.
        starts: where each partition begins.
    """

    def __init__(self, records: Iterable[Event], starts: Mapping[int, int]) -> None:
        self._records = iter(records)
        self._next = dict(starts)

    def positions(self) -> Positions:
        """Return the offset after the last record of each partition."""
        return dict(self._next)

    def read(self, limit: int) -> list[Event]:
        """Return the next records."""
        events = list(islice(self._records, limit))
        self._next.update((event.partition(), event.offset() + 1) for event in events)
        return events

    def where(self, event: Event) -> dict[str, object]:
        """Return topic, partition and offset."""
        return {"topic": event.topic(), "partition": event.partition(), "offset": event.offset()}


def newest(bounds: Spans, limit: int, read: Callable[[Spans], Iterable[Event]]) -> Spans:
    """Return the spans of the newest records: as many of each partition, and more of the others where one has fewer.

    Offsets hold no record where there are markers of transactions, what was aborted, and what compaction took: so
    records are read once to be counted, further back for as long as there are too few.

    Args:
        bounds: where each partition begins and ends.
        limit: how many records in all.
        read: returns the records of spans, those of a partition in order.
    """
    spans = {partition: (high, high) for partition, (_, high) in bounds.items()}
    found: list[tuple[int, int]] = []
    step = limit
    while len(found) < limit and any(bounds[partition][0] < start for partition, (start, _) in spans.items()):
        older = _last({partition: (bounds[partition][0], start) for partition, (start, _) in spans.items()}, step)
        places = [(event.partition(), event.offset()) for event in read(older)]
        found = places[max(0, len(places) - (limit - len(found))) :] + found
        spans = {partition: (older[partition][0], stop) for partition, (_, stop) in spans.items()}
        step *= 2  # through gaps of any width in few steps
    first = dict(reversed(found))
    return {partition: (first.get(partition, high), high) for partition, (_, high) in bounds.items()}


def _last(bounds: Spans, limit: int) -> Spans:
    """Return the ends of spans: so many offsets in all, as many of each, more of the others where one has fewer."""
    spans: dict[int, tuple[int, int]] = {}
    left = limit
    by_size = sorted(bounds.items(), key=lambda one: one[1][1] - one[1][0])
    for place, (partition, (low, high)) in enumerate(by_size):
        share = min(high - low, -(-left // (len(by_size) - place)))
        spans[partition] = (high - share, high)
        left -= share
    return spans
