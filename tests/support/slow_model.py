"""Stands in for `python -m consumer` with a model that takes SLOW_MODEL_SECONDS an inference.

It answers like the model that it is given; only `invoke` sleeps first, and lets other threads run as LiteRT does.
"""

import os
import time
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from consumer.cli import main

SECONDS = float(os.environ["SLOW_MODEL_SECONDS"])

_invoke = Interpreter.invoke


def _slow_invoke(self: Any) -> None:  # noqa: ANN401 - the engine has no types
    time.sleep(SECONDS)
    _invoke(self)


Interpreter.invoke = _slow_invoke

if __name__ == "__main__":
    main()
