"""How fast this machine is: what Kafka's clients cost elsewhere is told by it."""

import time
from typing import Final

import orjson

# Processor time of Kafka's clients for an event, by that of the reference below: `python -m bench.overhead`, which
# takes flights of 323 bytes each, exactly once. docs/scaling.md has its figures.
_KAFKA_BY_REFERENCE: Final = 8.6
_REFERENCE: Final = orjson.dumps(
    {"name": ["Ann", "Ben", "Cleo"], "at": [1.5, 2.25, -3.125], "of": {"a": 1, "b": None}}
)
_TURNS: Final = 200
_LOOKS: Final = 5


class Speed:
    """What Kafka's clients cost an event on this machine.

    Args:
        given: microseconds of the processor, where that is known; nothing is measured then.
    """

    def __init__(self, given: float | None = None) -> None:
        self._given = given
        self._least = float("inf")
        self.look()

    def look(self) -> None:
        """Look how fast the machine is now; the fastest counts, since others only ever slow it down."""
        if self._given is None:
            self._least = min(self._least, reference_us())

    @property
    def kafka_us(self) -> float:
        """Microseconds of the processor, an event."""
        return _KAFKA_BY_REFERENCE * self._least if self._given is None else self._given


def reference_us() -> float:
    """Return the processor's time for a small piece of work that is always the same, in microseconds."""
    taken = []
    for _ in range(_LOOKS):
        began = time.thread_time()
        for _ in range(_TURNS):
            orjson.loads(_REFERENCE)
        taken.append(1e6 * (time.thread_time() - began) / _TURNS)
    return min(taken)
