"""The loop that keeps workers running, and ends them together."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from consumer.exits import ExitCode
from consumer.supervise.member import Seen, State
from consumer.supervise.rules import FINAL, meaning, verdict
from consumer.supervise.silence import Call
from consumer.supervise.tie import STACKS

_log = structlog.get_logger()

# How often the loop comes round where nothing happens, in seconds, and how seldom it may.
_TURN: Final = 0.5
_STUCK: Final = 10.0
_NEVER: Final = float("inf")


class Process(Protocol):
    """A worker's process and the next ones after it; see ``Member``."""

    @property
    def seen(self) -> Seen:
        """How it is."""
        ...

    @property
    def due(self) -> float | None:
        """When it is to be started."""
        ...

    def start(self) -> None:
        """Start it."""
        ...

    def ended(self) -> int | None:
        """Return the code that it ended with, once."""
        ...

    def listen(self) -> tuple[Call, float]:
        """Return what is due, and for how many seconds it has given no sign of life."""
        ...

    def again(self, lived: float) -> float:
        """Have it started again after so many seconds as are returned."""
        ...

    def leave(self) -> None:
        """Have it not started again."""
        ...

    def send(self, number: int) -> None:
        """Send it a signal."""
        ...


class Supervisor:
    """Keeps workers running until a signal comes, or one ends with what no restart can mend.

    Args:
        members: the workers, none of them started.
        timeout: seconds from the first signal to the end by force, of all together.
        wait: waits for so many seconds at most, and returns the signals that ask to stop.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        members: Sequence[Process],
        timeout: float,
        wait: Callable[[float], Sequence[signal.Signals]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._members = members
        self._timeout = timeout
        self._wait = wait
        self._clock = clock
        self._deadline = _NEVER
        self._signalled = False
        self._codes: list[int] = []
        self._draining = threading.Event()
        self._beat = clock()

    @property
    def turns(self) -> bool:
        """Whether the loop comes round."""
        return self._clock() - self._beat < _STUCK

    @property
    def draining(self) -> bool:
        """Whether all are to end."""
        return self._draining.is_set()

    def seen(self) -> list[Seen]:
        """Return how the workers are."""
        return [member.seen for member in self._members]

    def run(self) -> ExitCode:
        """Keep them running, and return the code of the whole, once all have ended."""
        while True:
            self._beat = now = self._clock()
            for member in self._members:
                if (due := member.due) is not None and due <= now and not self.draining:
                    self._start(member)
            if all(member.seen.state is State.ENDED for member in self._members):
                return verdict(self._codes)
            stops = self._wait(self._pause())
            for number in stops:
                if self._signalled:
                    return self._end("a second signal; what was not committed will be read again")
                self._signalled = True
                _log.info("stopping", signal=number.name, within_seconds=self._timeout)
                self._drain()
            for member in self._members:
                began = member.seen.since
                if (code := member.ended()) is not None:
                    self._judge(member, code, self._clock() - began)
                else:
                    self._listen(member)
            if self._clock() >= self._deadline:
                return self._end("the shutdown time-out is over; what was not committed will be read again")

    def _listen(self, member: Process) -> None:
        """End a worker in which no thread can run: its own watchdog can't."""
        call, seconds = member.listen()
        told = {"worker": member.seen.number, "pid": member.seen.pid, "seconds": round(seconds, 1)}
        if call is Call.ASK:
            # What it writes then follows in the log, unless its process is stopped.
            _log.error("worker gives no sign of life; it is asked for its stacks, and killed", **told)
            member.send(STACKS)
        elif call is Call.KILL:
            _log.error("worker killed: it gave no sign of life; what was not committed will be read again", **told)
            member.send(signal.SIGKILL)

    def _start(self, member: Process) -> None:
        try:
            member.start()
        except OSError as error:
            # No memory or process is left, say: the workers that run are not to end for that.
            wait = member.again(0.0)
            _log.error(
                "worker not started", worker=member.seen.number, error=str(error), starts_again_in_seconds=wait
            )
        else:
            _log.info("worker started", worker=member.seen.number, pid=member.seen.pid)

    def _pause(self) -> float:
        now = self._clock()
        dues = [due for member in self._members if (due := member.due) is not None]
        return max(0.0, min([_TURN, self._deadline - now, *(due - now for due in dues)]))

    def _judge(self, member: Process, code: int, lived: float) -> None:
        """Decide what becomes of a worker that ended, and of the others."""
        told = {
            "worker": member.seen.number,
            "code": code,
            "meaning": meaning(code),
            "lived_seconds": round(lived, 1),
        }
        if self.draining:
            self._codes.append(code)
            _log.info("worker ended", **told)
        elif code == ExitCode.DONE:
            _log.info("worker ended as it was told by others; it is not started again", **told)
        elif code in FINAL:
            self._codes.append(code)
            _log.error("worker ended with what no restart can mend; all end", **told)
            self._drain()
        else:
            _log.warning("worker ended", **told, starts_again_in_seconds=member.again(lived))

    def _drain(self) -> None:
        """Have all end, each with its last checkpoint; told once, since a second signal would end them by force."""
        if self.draining:
            return
        self._draining.set()
        self._deadline = self._clock() + self._timeout
        for member in self._members:
            member.leave()
            member.send(signal.SIGTERM)

    def _end(self, why: str) -> ExitCode:
        for member in self._members:
            member.send(signal.SIGKILL)
        _log.error("ended by force", why=why, code=int(ExitCode.FORCED))
        return ExitCode.FORCED
