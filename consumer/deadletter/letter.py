"""A dead letter read back from its topic: what its headers say, and the event that it was."""

from typing import Final

import msgspec

from consumer.deadletter.headers import PREFIX, REPLAYS, TIMESTAMP_TYPES, own_headers, replays
from consumer.types import Event, Headers, PlainEvent

_KINDS: Final = {name: kind for kind, name in TIMESTAMP_TYPES.items()}
_NO_TIMESTAMP: Final = (0, -1)
# A number in a header; more digits than an offset can have are no number of ours.
_MOST_DIGITS: Final = 19


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter.

    Attributes:
        record: as it lies in the dead-letter topic; key, value and its own headers are the event's.
        topic: the input topic.
        partition: the event's partition there.
        offset: the event's offset there.
        timestamp: type and milliseconds of the event's timestamp; type 0 where it had none.
        stage: where the event fell out.
        cause: one of ``consumer.deadletter.causes``, or one of a later version.
        field: the field to blame, where there is one.
        message: for a person.
        model: name and short hash of the model.
        pipeline: name and short hash of the mapping.
        replays: how often the event has been replayed.
    """

    record: Event
    topic: str
    partition: int
    offset: int
    timestamp: tuple[int, int]
    stage: str
    cause: str
    field: str | None
    message: str
    model: str
    pipeline: str
    replays: int

    @property
    def own_headers(self) -> list[tuple[str, bytes | None]]:
        """The headers that the event itself had."""
        return own_headers(self.record.headers())

    @property
    def pipeline_name(self) -> str:
        """The pipeline without the hash of its mapping."""
        return self.pipeline.rpartition("@")[0]


def parse(record: Event) -> Letter | None:
    """Read a dead letter's headers; None for a record that onelane did not write."""
    found = _ours(record.headers())
    partition, offset = _number(found.get("partition")), _number(found.get("offset"))
    if partition is None or offset is None or not found.keys() >= {"topic", "stage", "cause"}:
        return None
    return Letter(
        record=record,
        topic=found["topic"],
        partition=partition,
        offset=offset,
        timestamp=_timestamp(found),
        stage=found["stage"],
        cause=found["cause"],
        field=found.get("field"),
        message=found.get("message", ""),
        model=found.get("model", ""),
        pipeline=found.get("pipeline", ""),
        replays=replays(record.headers()),
    )


def revive(letter: Letter) -> PlainEvent:
    """Return the event as it was, with one header more: that it is replayed, and for the how many-th time."""
    record = letter.record
    return PlainEvent(
        record.value(),
        offset=letter.offset,
        partition=letter.partition,
        topic=letter.topic,
        key=record.key(),
        timestamp=letter.timestamp,
        headers=[*letter.own_headers, (REPLAYS, str(letter.replays + 1).encode())],
    )


def _ours(headers: Headers | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers or ():
        if name.startswith(PREFIX) and value is not None:
            found[name.removeprefix(PREFIX)] = value.decode(errors="replace")
    return found


def _number(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
        return None
    return int(text)


def _timestamp(found: dict[str, str]) -> tuple[int, int]:
    kind, milliseconds = _KINDS.get(found.get("timestamp_type", "")), _number(found.get("timestamp"))
    return _NO_TIMESTAMP if kind is None or milliseconds is None else (kind, milliseconds)
