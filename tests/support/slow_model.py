"""Stands in for `python -m consumer` with a model that takes SLOW_MODEL_SECONDS an inference.

It answers like the model that it is given; only `invoke` sleeps first, and lets other threads run as LiteRT does. It
says "interpreter made" in the log for each one, and "sought" when events are to be read again: a test can count both.
"""

import os
import sys
import time
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from consumer.cli import main
from consumer.kafka.group import Group
from consumer.types import Positions

SECONDS = float(os.environ["SLOW_MODEL_SECONDS"])

_invoke = Interpreter.invoke
_make = Interpreter.__init__
_seek = Group.seek


def _slow_invoke(self: Any) -> None:  # noqa: ANN401 - the engine has no types
    time.sleep(SECONDS)
    _invoke(self)


def _told_make(self: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as above
    sys.stderr.write('{"event": "interpreter made"}\n')
    _make(self, *arguments, **options)


def _told_seek(self: Group, positions: Positions) -> None:
    sys.stderr.write('{"event": "sought"}\n')
    _seek(self, positions)


Interpreter.invoke = _slow_invoke
Interpreter.__init__ = _told_make
setattr(Group, _seek.__name__, _told_seek)

if __name__ == "__main__":
    main()
