"""Passes the log lines of workers on: whole, one at a time, each with the number of its worker."""

import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any, Final

import orjson
import structlog

# How long a dead worker's last words may take to come, in seconds: a process that it started may hold the pipe open.
_LAST_WORDS: Final = 1.0

# What structlog's renderer for terminals takes apart from all else of a line.
_RENDERED: Final = ("level", "timestamp", "logger", "logger_name", "exception", "stack")

Heard = Callable[[int, Mapping[str, Any]], None]


class Relay:
    """Reads one worker's log from a thread of its own, to its end.

    A pipe, since what several processes write to one file can interleave within a line that is longer than the
    kernel's PIPE_BUF, such as a trace.

    Args:
        number: of the worker.
        source: its stderr.
        heard: is told each line that is one of ours.
    """

    def __init__(self, number: int, source: IO[bytes], heard: Heard) -> None:
        self._number = number
        self._source = source
        self._heard = heard
        # By structlog's own writer, which shares its lock with the supervisor's own lines.
        self._out = structlog.WriteLogger(sys.stderr)
        self._people = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else None
        self._thread = threading.Thread(target=self._run, name=f"log of worker {number}", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the last words of a worker that has ended."""
        self._thread.join(_LAST_WORDS)

    def _run(self) -> None:
        with self._source as lines:
            for line in lines:
                if text := line.rstrip(b"\r\n"):
                    self._pass(text)

    def _pass(self, text: bytes) -> None:
        try:
            fields = orjson.loads(text)
        except orjson.JSONDecodeError:
            fields = None
        if not isinstance(fields, dict) or (self._people is not None and not _is_ours(fields)):
            # Of native code, of a hook, or of Python's when it dies.
            fields = {"event": text.decode(errors="replace"), "level": "info"}
        elif _is_ours(fields):
            self._heard(self._number, fields)
        fields = {**fields, "worker": self._number}
        if self._people is None:
            self._out.msg(orjson.dumps(fields).decode())
        else:
            self._out.msg(str(self._people(None, fields["level"], fields)))


def _is_ours(fields: Mapping[str, Any]) -> bool:
    """Return whether what structlog renders is text: a log of somebody else's may well have numbers for levels."""
    return (
        "event" in fields
        and "level" in fields
        and all(isinstance(fields.get(name, ""), str) for name in ("event", *_RENDERED))
    )
