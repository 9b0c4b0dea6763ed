"""What the worker's thread is at, and since when: written by that thread alone, read by probes and watchdog."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from operator import itemgetter
from typing import Final, Protocol

from consumer.model.tensors import Array, Interpreter

# One call into Kafka's client, or the start: far longer than any that came back (a frozen broker has made one take
# 35 s), while each new try for an absent broker counts anew.
CALL_LIMIT: Final = 300.0
# One that takes so long waits for a broker: polls and pauses are shorter.
_HELD_UP: Final = 6.0


class Doing(StrEnum):
    """What a worker's thread can be at."""

    STARTING = "starting"
    LOOP = "loop"
    INVOKE = "invoke"
    BROKER = "broker"


class Wait(Protocol):
    """Is told of a wait for the broker that is on purpose; see ``Pulse``."""

    def waits(self, what: str) -> None:
        """Another try."""
        ...

    def answered(self) -> None:
        """No longer."""
        ...

    def lacks(self, what: str) -> None:
        """Something is missing that somebody has to make or grant, whatever else the brokers answer."""
        ...

    def has(self, what: str) -> None:
        """It is there."""
        ...


class Pulse:
    """One thing at a time, and since when.

    Args:
        stuck_after: seconds that the loop or one inference may take.
        clock: monotonic seconds.
    """

    def __init__(self, stuck_after: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = {
            Doing.STARTING: max(stuck_after, CALL_LIMIT),
            Doing.LOOP: stuck_after,
            Doing.INVOKE: stuck_after,
            Doing.BROKER: max(stuck_after, CALL_LIMIT),
        }
        self._clock = clock
        # Replaced whole, never changed: whoever reads it from another thread gets a pair that belongs together.
        self._now: tuple[Doing, float] = (Doing.STARTING, clock())
        self._waiting: tuple[str, float] | None = None
        self._lacking: Mapping[str, float] = {}

    def beat(self) -> None:
        """Note that the loop came round."""
        self._now = (Doing.LOOP, self._clock())

    @contextmanager
    def within(self, doing: Doing) -> Iterator[None]:
        """Be at something else for a while; what was before begins anew after it."""
        before = self._now[0]
        self._now = (doing, self._clock())
        try:
            yield
        finally:
            self._now = (before, self._clock())

    def sleep(self, seconds: float) -> None:
        """Wait on purpose, between two tries at what a broker did not take."""
        with self.within(Doing.BROKER):
            time.sleep(seconds)

    def waits(self, what: str) -> None:
        """Note another try at something that only a broker can give."""
        now = self._clock()
        # Of one outage, in which one call after the other has to wait, the beginning is told.
        self._waiting = (what, now if self._waiting is None else self._waiting[1])
        self._now = (self._now[0], now)

    def answered(self) -> None:
        """Note that the broker has answered."""
        self._waiting = None

    def lacks(self, what: str) -> None:
        """Note what is missing, since when it is."""
        self._lacking = {what: self._clock(), **self._lacking}

    def has(self, what: str) -> None:
        """Note that it is there."""
        self._lacking = {lacking: since for lacking, since in self._lacking.items() if lacking != what}

    @property
    def waiting(self) -> tuple[str, float] | None:
        """What the worker has waited for longest from the brokers, and for how many seconds."""
        now, waiting = self._clock(), self._waiting
        waits = [(what, now - since) for what, since in self._lacking.items()]
        if waiting is not None:
            waits.append((waiting[0], now - waiting[1]))
        if (seconds := self.held_up) is not None:
            waits.append(("a call to return", seconds))
        return max(waits, key=itemgetter(1), default=None)

    @property
    def held_up(self) -> float | None:
        """For how many seconds one call into Kafka's client has not come back, where a broker must be the reason.

        Such as a consumer's commit, which has no time-out, while the network swallows all.
        """
        doing, seconds = self.doing
        return seconds if doing is Doing.BROKER and seconds > _HELD_UP else None

    @property
    def doing(self) -> tuple[Doing, float]:
        """What the worker is at, and for how many seconds."""
        doing, since = self._now
        return doing, self._clock() - since

    @property
    def stuck(self) -> bool:
        """Whether that takes longer than it may."""
        doing, seconds = self.doing
        return seconds > self._limits[doing]


class WatchedInterpreter:
    """An interpreter each of whose inferences is timed, from its own start.

    Args:
        interpreter: does the work.
        pulse: knows that it is at it.
        done: is told the seconds of each inference.
    """

    def __init__(self, interpreter: Interpreter, pulse: Pulse, done: Callable[[float], None]) -> None:
        self._interpreter = interpreter
        self._pulse = pulse
        self._done = done

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a batch."""
        began = time.perf_counter()
        with self._pulse.within(Doing.INVOKE):
            outputs = self._interpreter.run(inputs)
        self._done(time.perf_counter() - began)
        return outputs

    def rebuild(self) -> None:
        """Start anew after a failure."""
        self._interpreter.rebuild()
