"""The few things that travel through a worker: an event, what became of it, and why not."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol, TypeAlias, final

import msgspec

Headers: TypeAlias = Sequence[tuple[str, bytes | None]]

# Partition -> offset of the next event to read after a restart.
Positions: TypeAlias = Mapping[int, int]

# Partition -> metadata committed beside its offset.
Notes: TypeAlias = Mapping[int, str]


class Event(Protocol):
    """One record of the input topic.

    The methods are those of ``confluent_kafka.Message``, so that a message is an event as it is: a copy of seven
    fields an event costs more than the model does.
    """

    def topic(self) -> str:
        """Return the topic that the event was read from."""
        ...

    def partition(self) -> int:
        """Return the partition that the event was read from."""
        ...

    def offset(self) -> int:
        """Return the event's place in its partition."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Return the type of the timestamp (0 none, 1 create time, 2 log append time) and milliseconds."""
        ...

    def key(self) -> bytes | None:
        """Return the key's bytes."""
        ...

    def value(self) -> bytes | None:
        """Return the value's bytes; None for a tombstone."""
        ...

    def headers(self) -> Headers | None:
        """Return the headers in order; None where there are none."""
        ...

    def __len__(self) -> int:
        """Return the size of the value in bytes."""
        ...


class PlainEvent:
    """An event that comes from a file or a test, not from Kafka."""

    __slots__ = ("_headers", "_key", "_offset", "_partition", "_timestamp", "_topic", "_value")

    def __init__(
        self,
        value: bytes | None,
        *,
        offset: int = 0,
        partition: int = 0,
        topic: str = "",
        key: bytes | None = None,
        timestamp: tuple[int, int] = (0, 0),
        headers: Headers | None = None,
    ) -> None:
        self._value = value
        self._offset = offset
        self._partition = partition
        self._topic = topic
        self._key = key
        self._timestamp = timestamp
        self._headers = headers

    def topic(self) -> str:
        """Return the topic, or the name of the file."""
        return self._topic

    def partition(self) -> int:
        """Return the partition; a file has only 0."""
        return self._partition

    def offset(self) -> int:
        """Return the offset; in a file, the number of the line, from 0."""
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        """Return the type of the timestamp and milliseconds."""
        return self._timestamp

    def key(self) -> bytes | None:
        """Return the key's bytes."""
        return self._key

    def value(self) -> bytes | None:
        """Return the value's bytes."""
        return self._value

    def headers(self) -> Headers | None:
        """Return the headers in order."""
        return self._headers

    def __len__(self) -> int:
        return len(self._value or b"")

    def __repr__(self) -> str:
        return f"PlainEvent({self._topic}[{self._partition}]@{self._offset})"


class Stage(StrEnum):
    """Where on its way an event fell out."""

    FILTER = "filter"
    DECODE = "decode"
    FEATURES = "features"
    INVOKE = "invoke"
    OUTPUTS = "outputs"
    WRITE = "write"


class Cause(msgspec.Struct, frozen=True):
    """Why an event can't be enriched.

    Attributes:
        stage: where it fell out.
        code: one of ``consumer.deadletter.causes``: a closed list, so that it can label a metric.
        message: for a person; names values, never longer than ``MESSAGE_LIMIT`` characters.
        field: the event's field, where one is to blame.
    """

    stage: Stage
    code: str
    message: str
    field: str | None = None


@final
class Enriched(msgspec.Struct, gc=False):
    """An event with the bytes of its enriched record."""

    event: Event
    value: bytes


@final
class Filtered(msgspec.Struct, gc=False):
    """An event that the filter keeps from the model: it passes as it is, or is dropped."""

    event: Event
    dropped: bool


class Outcome(StrEnum):
    """What becomes of an event that is not for the model."""

    PASSED = "passed"
    DROPPED = "dropped"


def outcome(filtered: Filtered) -> Outcome:
    """Return what becomes of an event."""
    return Outcome.DROPPED if filtered.dropped else Outcome.PASSED


@final
class DeadLetter(msgspec.Struct, gc=False):
    """An event that can't be enriched, with its cause."""

    event: Event
    cause: Cause


Result: TypeAlias = Enriched | DeadLetter | Filtered


class Enriching(Protocol):
    """Turns events into results; see ``consumer.enrich``."""

    def enrich(self, events: Sequence[Event]) -> list[Result]:
        """Return one result an event, in order.

        Raises:
            NotYetError: what they say can't be known now; nothing is decided about any of them.
        """
        ...


class NotYetError(Exception):
    """A batch can't be enriched now, and can be later: its lane waits, nothing of it becomes a dead letter.

    The message says what is waited for.
    """
