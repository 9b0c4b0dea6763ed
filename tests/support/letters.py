"""Dead letters made by hand, as they lie in their topic."""

from consumer.deadletter.causes import Code
from consumer.deadletter.headers import encode
from consumer.deadletter.letter import Letter, parse
from consumer.types import Cause, DeadLetter, PlainEvent, Stage

BAD = Cause(Stage.DECODE, Code.MALFORMED, "bad")


def dead_letter(
    event: PlainEvent,
    *,
    cause: Cause = BAD,
    at: tuple[int, int] = (0, 0),
    died: int | None = 0,
    model: str = "delay@1",
    pipeline: str = "flight-delays@2",
) -> PlainEvent:
    """Return the record of an event's dead letter at a partition and offset of the dead-letter topic."""
    return PlainEvent(
        event.value(),
        partition=at[0],
        offset=at[1],
        topic="dead",
        key=event.key(),
        timestamp=(0, -1) if died is None else (1, died),
        headers=encode(DeadLetter(event, cause), model, pipeline),
    )


def letter_of(record: PlainEvent) -> Letter:
    """Read a record back that is a dead letter."""
    letter = parse(record)
    assert letter is not None
    return letter
