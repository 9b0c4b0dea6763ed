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
    "stage": "where the event fell out: decode, features, invoke, outputs, write",
    "cause": "one of the causes",
    "field": "the field to blame; absent where none is",
    "message": "for a person; at most 500 characters",
    "model": "name and short sha256 of the model",
    "pipeline": "name and short hash of the mapping",
}

# Room that the dead-letter topic must have above the input topic's largest message.
ROOM: Final = 64 * 1024

_TIMESTAMP_TYPES: Final = {1: "create_time", 2: "log_append_time"}


def encode(letter: DeadLetter, model: str, pipeline: str) -> list[tuple[str, bytes | None]]:
    """Return the headers of a dead letter: the event's own, untouched and first, then ours.

    Headers of an earlier life as a dead letter (ours, from a replay) give way, so that they never pile up.
    """
    event, cause = letter.event, letter.cause
    kind, milliseconds = event.timestamp()
    ours = {
        "topic": event.topic(),
        "partition": str(event.partition()),
        "offset": str(event.offset()),
        "timestamp": str(milliseconds) if kind in _TIMESTAMP_TYPES else None,
        "timestamp_type": _TIMESTAMP_TYPES.get(kind),
        "stage": cause.stage,
        "cause": cause.code,
        "field": cause.field,
        "message": cause.message,
        "model": model,
        "pipeline": pipeline,
    }
    kept: Headers = [header for header in event.headers() or () if not header[0].startswith(PREFIX)]
    return [*kept, *((PREFIX + name, text.encode()) for name, text in ours.items() if text is not None)]
