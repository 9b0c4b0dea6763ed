"""Keeps an engine's own words out of the log: its C++ side writes plain text to stderr, and a log is JSON lines."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

_log = structlog.get_logger()

_STDERR: Final = 2
_ROOM: Final = 65_536
# How the engine says that all is well; "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
_CHATTER: Final = ("INFO: ", "VERBOSE: ")


@contextmanager
def engine_words() -> Iterator[None]:
    """Take what is written to stderr meanwhile, by anyone, and log it line by line, leaving out chatter.

    For the first run of a model only, while nothing else has been started. The words go through a pipe, since there
    may be no folder to write to; what does not fit into it is lost, not waited for.
    """
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.dup2(writer, _STDERR)
    os.close(writer)
    try:
        yield
    finally:
        os.dup2(kept, _STDERR)  # which closes the last writer
        os.close(kept)
        with os.fdopen(reader, "rb") as pipe:
            words = pipe.read(_ROOM).decode(errors="replace")
        for line in words.splitlines():
            if line and not line.startswith(_CHATTER):
                _log.warning("the engine says", words=line)
