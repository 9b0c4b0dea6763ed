"""Stands in for `python -m consumer` with a model that takes SLOW_MODEL_SECONDS an inference.

It answers like the model that it is given; only `invoke` sleeps first, and lets other threads run as LiteRT does. It
says "interpreter made" in the log for each one, so that a test can count them.
"""

import os
import sys
import time
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from consumer.cli import main

SECONDS = float(os.environ["SLOW_MODEL_SECONDS"])

_invoke = Interpreter.invoke
_make = Interpreter.__init__


def _slow_invoke(self: Any) -> None:  # noqa: ANN401 - the engine has no types
    time.sleep(SECONDS)
    _invoke(self)


def _told_make(self: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as above
    sys.stderr.write('{"event": "interpreter made"}\n')
    _make(self, *arguments, **options)


Interpreter.invoke = _slow_invoke
Interpreter.__init__ = _told_make

if __name__ == "__main__":
    main()
