"""Stands in for `python -m consumer` with a model that hangs in `invoke` for as long as the file HUNG_MODEL exists.

As where native code waits for ever and lets other threads run. With HUNG_MODEL_HOLDS it does not: it never comes
back, and keeps Python's global lock.
"""

import ctypes
import os
import time
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from consumer.cli import main

FILE = Path(os.environ["HUNG_MODEL"])

HOLDS = "HUNG_MODEL_HOLDS" in os.environ

_invoke = Interpreter.invoke
# Larger than any system's.
_MUTEX_BYTES = 128


def _hold() -> None:
    """Wait for a lock that this thread itself has, in C: no signal ends that, and no thread of Python's runs."""
    mutex = ctypes.create_string_buffer(_MUTEX_BYTES)
    for _ in range(2):
        ctypes.PyDLL(None).pthread_mutex_lock(mutex)


def _hung_invoke(self: Any) -> None:  # noqa: ANN401 - the engine has no types
    if HOLDS and FILE.exists():
        _hold()
    while FILE.exists():
        time.sleep(0.05)
    _invoke(self)


Interpreter.invoke = _hung_invoke

if __name__ == "__main__":
    main()
