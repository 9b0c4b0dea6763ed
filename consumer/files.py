"""A broker of two files: JSON lines in, JSON lines out, by the same worker and the same code path as Kafka's."""

import base64
from collections.abc import Sequence
from enum import StrEnum
from typing import BinaryIO, Final

import orjson

from consumer.broker import Assignment, EndOfInputError
from consumer.exits import PipelineError
from consumer.types import DeadLetter, Enriched, Event, Filtered, Notes, PlainEvent, Positions, Result

_PARTITION: Final = 0


class Form(StrEnum):
    """How a value stands in a line: values that are no text may have line ends in them."""

    TEXT = "text"
    BASE64 = "base64"


class FileBroker:
    """Reads events from one file and writes results to two others; one partition, offsets are line numbers from 0.

    A dead letter is a JSON line with its line number, its cause, and the event: under ``event`` as it is where it is
    JSON, else under ``text``, or under ``base64`` where it is not UTF-8.

    Args:
        events: JSON lines; empty lines are left out, and counted.
        enriched: takes enriched records.
        dead: takes dead letters.
        name: of the input, in dead letters.
        form: how values stand in lines, of events and of enriched records.
    """

    def __init__(
        self,
        events: BinaryIO,
        enriched: BinaryIO,
        dead: BinaryIO,
        name: str = "stdin",
        form: tuple[Form, Form] = (Form.TEXT, Form.TEXT),
    ) -> None:
        self._events = events
        self._enriched = enriched
        self._dead = dead
        self._name = name
        self._form_in, self._form_out = form
        self._next = 0
        self._assignment: Assignment | None = None

    def join(self, assignment: Assignment) -> None:
        """Give the file's one partition at the first poll."""
        self._assignment = assignment

    def poll(self, until: float, limit: int) -> Sequence[Event]:
        """Return the next lines.

        Raises:
            EndOfInputError: there are none.
            PipelineError: one is not in the form that it should be in.
        """
        del until  # a file does not make anyone wait
        if self._assignment is not None:
            self._assignment.joined()
            self._assignment.assigned({_PARTITION: self._next}, {})
            self._assignment = None
        events: list[Event] = []
        for line in self._events:
            value = line.rstrip(b"\r\n")
            if value:
                events.append(PlainEvent(self._value(value), offset=self._next, topic=self._name))
            self._next += 1
            if len(events) >= limit:
                break
        if not events:
            raise EndOfInputError
        return events

    def _value(self, line: bytes) -> bytes:
        if self._form_in is Form.TEXT:
            return line
        try:
            return base64.b64decode(line, validate=True)
        except ValueError as error:
            raise PipelineError(
                f"{self._name}:{self._next + 1}: not base64, which binary events are: {error}"
            ) from None

    def write(self, results: Sequence[Result]) -> Sequence[DeadLetter]:
        """Write each result as a line."""
        values = [
            result.value if type(result) is Enriched else result.event.value() or b""
            for result in results
            if type(result) is Enriched or (type(result) is Filtered and not result.dropped)
        ]
        if self._form_out is Form.BASE64:
            values = list(map(base64.b64encode, values))
        self._enriched.write(b"".join([value + b"\n" for value in values]))
        for result in results:
            if type(result) is DeadLetter:
                self._dead.write(_line(result))
        return []

    def positions(self) -> Positions:
        """Return the number of the next line."""
        return {_PARTITION: self._next}

    def ends(self) -> Positions:
        """Return nothing: where a file ends is known when it has ended."""
        return {}

    def checkpoint(self, positions: Positions) -> bool:
        """Flush."""
        del positions
        self._enriched.flush()
        self._dead.flush()
        return True

    def rewind(self) -> tuple[Positions, Notes]:
        """Never asked for: nothing is undone."""
        raise NotImplementedError("a file can't be written again")

    def hold(self, partition: int, note: str = "") -> None:
        """Never asked for: nothing is refused, and no guard watches a file."""
        raise NotImplementedError(f"partition {partition} of a file can't be held: {note}")

    def release(self, partition: int, position: int) -> None:
        """Never asked for: nothing is held."""
        raise NotImplementedError(f"partition {partition} of a file is not held at {position}")

    def close(self) -> None:
        """Leave the files open: they are the caller's."""


def _line(letter: DeadLetter) -> bytes:
    cause = letter.cause
    value = letter.event.value() or b""
    line: dict[str, object] = {"line": letter.event.offset() + 1, "stage": cause.stage, "cause": cause.code}
    if cause.field is not None:
        line["field"] = cause.field
    return orjson.dumps(line | {"message": cause.message, **_event(value)}, option=orjson.OPT_APPEND_NEWLINE)


def _event(value: bytes) -> dict[str, object]:
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        try:
            return {"text": value.decode()}
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    return {"event": orjson.Fragment(value)}
