"""A dead letter's headers: all that is needed to know why, and to give the event back as it was."""

from typing import Final

from consumer.types import DeadLetter, Headers

PREFIX: Final = "onelane."

# Name -> meaning, in the order in which they are written; the docs are made from it.
FIELDS: Final = {
    "topic": "the input topic",
    "partition": "the event's partition, in decimal",
    "offset": "the event's offset, in decimal",
    "timestamp": "the event's timestamp in milliseconds since 1970; absent where the event has none",
    "timestamp_type": "create_time or log_append_time",
    "stage": "where the event fell out: filter, decode, features, invoke, outputs, write",
    "cause": "one of the causes",
    "field": "the field to blame; absent where none is",
    "message": "for a person; at most 500 characters",
    "model": "name and short sha256 of the model",
    "pipeline": "name and short hash of the mapping",
    "replays": "how often the event was replayed, in decimal; absent where it never was",
}

# The one header of ours that a replayed event carries, and that its next dead letter keeps.
REPLAYS: Final = PREFIX + "replays"
# Of its digits; more are not a count of ours.
_MOST_DIGITS: Final = 9

# Room that the dead-letter topic must have above the input topic's largest message.
ROOM: Final = 64 * 1024

TIMESTAMP_TYPES: Final = {1: "create_time", 2: "log_append_time"}


def encode(letter: DeadLetter, model: str, pipeline: str) -> list[tuple[str, bytes | None]]:
    """Return the headers of a dead letter: the event's own, untouched and first, then ours.

    Headers of an earlier life as a dead letter (ours, from a replay) give way, so that they never pile up; how often
    the event was replayed is kept.
    """
    event, cause = letter.event, letter.cause
    kind, milliseconds = event.timestamp()
    count = replays(event.headers())
    ours = {
        "topic": event.topic(),
        "partition": str(event.partition()),
        "offset": str(event.offset()),
        "timestamp": str(milliseconds) if kind in TIMESTAMP_TYPES else None,
        "timestamp_type": TIMESTAMP_TYPES.get(kind),
        "stage": cause.stage,
        "cause": cause.code,
        "field": cause.field,
        "message": cause.message,
        "model": model,
        "pipeline": pipeline,
        "replays": str(count) if count else None,
    }
    kept = own_headers(event.headers())
    return [*kept, *((PREFIX + name, text.encode()) for name, text in ours.items() if text is not None)]


def own_headers(headers: Headers | None) -> list[tuple[str, bytes | None]]:
    """Return the headers that are the event's own: all but those of ours."""
    return [header for header in headers or () if not header[0].startswith(PREFIX)]


def replays(headers: Headers | None) -> int:
    """Return how often an event was replayed; 0 where the header is absent or is no count of ours."""
    for name, value in headers or ():
        if name == REPLAYS and value is not None and value.isdigit() and len(value) <= _MOST_DIGITS:
            return int(value)
    return 0
