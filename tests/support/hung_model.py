"""Stands in for `python -m consumer` with a model that hangs in `invoke` for as long as the file HUNG_MODEL exists.

As where native code waits for ever and lets other threads run.
"""

import os
import time
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from consumer.cli import main

FILE = Path(os.environ["HUNG_MODEL"])

_invoke = Interpreter.invoke


def _hung_invoke(self: Any) -> None:  # noqa: ANN401 - the engine has no types
    while FILE.exists():
        time.sleep(0.05)
    _invoke(self)


Interpreter.invoke = _hung_invoke

if __name__ == "__main__":
    main()
