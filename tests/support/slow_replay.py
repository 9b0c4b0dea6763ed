"""Stands in for `python -m consumer` with replays of small batches, whose transactions stay open for a while.

What is written is on the broker, and nothing is committed, when such a transaction is open: a moment to be killed in.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from consumer.cli import main
from consumer.cli.dead_letters import replay
from consumer.deadletter.letter import Letter
from consumer.kafka.targets import InputTarget, PipelineTarget

OPEN = 0.4
ROWS = 50

Write = Callable[[Any, Sequence[Letter]], Counter[str]]


def _slow(write: Write) -> Write:
    def slow(self: Any, letters: Sequence[Letter]) -> Counter[str]:  # noqa: ANN401 - one of two targets
        told = write(self, letters)
        self.producer.flush(10)
        time.sleep(OPEN)
        return told

    return slow


def _slow_down() -> None:
    for target in (InputTarget, PipelineTarget):
        setattr(target, "write", _slow(target.write))  # noqa: B010 - mypy will not have a method assigned
    replay._ROWS = ROWS  # type: ignore[misc]


if __name__ == "__main__":
    _slow_down()
    main()
