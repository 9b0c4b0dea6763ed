"""A broker of files, for events that end: the same worker and the same code path as with Kafka's."""

import base64
from collections.abc import Sequence
from typing import Protocol

import orjson

from consumer.broker import Assignment, EndOfInputError
from consumer.sources import Form, Source
from consumer.types import DeadLetter, Enriched, Event, Filtered, Notes, Positions, Result


class Sink(Protocol):
    """What results are written to."""

    def write(self, content: bytes, /) -> object:
        """Write whole lines."""
        ...

    def flush(self) -> object:
        """Let go of what is kept back."""
        ...


class FileBroker:
    """Reads events from a source and writes results to two files.

    A dead letter is a JSON line with its place, its cause, and the event: under ``event`` as it is where it is JSON,
    else under ``text``, or under ``base64`` where it is not UTF-8. Events of a topic may be JSON over several lines:
    their line ends become spaces.

    Args:
        source: of events.
        enriched: takes enriched records, one a line.
        dead: takes dead letters.
        form: how the values of enriched records stand in lines.
    """

    def __init__(self, source: Source, enriched: Sink, dead: Sink, form: Form = Form.TEXT) -> None:
        self._source = source
        self._enriched = enriched
        self._dead = dead
        self._form = form
        self._assignment: Assignment | None = None

    def join(self, assignment: Assignment) -> None:
        """Give all partitions at the first poll."""
        self._assignment = assignment

    def poll(self, until: float, limit: int) -> Sequence[Event]:
        """Return the next events.

        Raises:
            EndOfInputError: there are none.
            PipelineError: one can't be read.
        """
        del until  # a file does not make anyone wait
        if self._assignment is not None:
            self._assignment.joined()
            self._assignment.assigned(self._source.positions(), {})
            self._assignment = None
        events = self._source.read(limit)
        if not events:
            raise EndOfInputError
        return events

    def write(self, results: Sequence[Result]) -> Sequence[DeadLetter]:
        """Write each result as a line."""
        values = [
            result.value if type(result) is Enriched else result.event.value() or b""
            for result in results
            if type(result) is Enriched or (type(result) is Filtered and not result.dropped)
        ]
        values = list(map(base64.b64encode if self._form is Form.BASE64 else _one_line, values))
        self._enriched.write(b"".join([value + b"\n" for value in values]))
        for result in results:
            if type(result) is DeadLetter:
                self._dead.write(_line(result, self._source.where(result.event)))
        return []

    def positions(self) -> Positions:
        """Return how far the source has been read."""
        return self._source.positions()

    def ends(self) -> Positions:
        """Return nothing: where a file ends is known when it has ended."""
        return {}

    def checkpoint(self, positions: Positions, *, last: bool = False) -> bool:
        """Flush."""
        del positions, last
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


def _one_line(value: bytes) -> bytes:
    """Return JSON without line ends, which it has between its parts alone: in its texts they are escaped."""
    return value.replace(b"\n", b" ")


def _line(letter: DeadLetter, where: dict[str, object]) -> bytes:
    cause = letter.cause
    value = letter.event.value() or b""
    line = {**where, "stage": cause.stage, "cause": cause.code}
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
    return {"event": orjson.Fragment(_one_line(value))}
