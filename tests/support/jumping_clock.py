"""Stands in for `python -m consumer` with a wall clock that jumps by the seconds that the file JUMP says.

The monotonic clock goes on as ever, as it does on a machine whose time is set. librdkafka's is not touched.
"""

import os
import time
from pathlib import Path

from consumer.cli import main

JUMP = Path(os.environ["JUMP"])

_time, _time_ns = time.time, time.time_ns


def _jump() -> int:
    return int(JUMP.read_text())


def _jumping() -> float:
    return _time() + _jump()


def _jumping_ns() -> int:
    return _time_ns() + 1_000_000_000 * _jump()


if __name__ == "__main__":
    time.time, time.time_ns = _jumping, _jumping_ns  # before any default argument takes the old ones
    main()
