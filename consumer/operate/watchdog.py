"""Signals, and the end of the process when it does not end by itself.

A call into librdkafka can ignore its time-out while a broker is frozen, and Python's signal handlers wait with it.
The interpreter's wake-up descriptor does not: the C handler writes a signal's number to it at once, and a thread of
ours reads it (https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd).
"""

import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Final

import structlog

from consumer.exits import ExitCode
from consumer.operate.logs import Seldom
from consumer.operate.pulse import Pulse

_log = structlog.get_logger()

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_NEVER: Final = float("inf")
# How often to look at the pulse, in seconds.
_LOOK: Final = 0.5


class Watchdog:
    """Turns the first signal into ``stopping``, and ends the process by force after a deadline or a second signal.

    It also looks whether the worker's thread is stuck: then it logs all stacks, once, leaves the probes some seconds
    to tell of it, and ends the process.

    Args:
        timeout: seconds from the first signal to the end by force.
        pulse: what the worker's thread is at.
        grace: seconds that a stuck process stays, for a probe to see why.
        beat: is called every half second, for as long as any thread of the process can run.
    """

    def __init__(
        self, timeout: float, pulse: Pulse, grace: float = 5.0, beat: Callable[[], None] = lambda: None
    ) -> None:
        self._timeout = timeout
        self._grace = grace
        self._pulse = pulse
        self._beat = beat
        self._stuck_since: float | None = None
        self._seldom = Seldom()
        self._stopping = threading.Event()
        self._code = ExitCode.FORCED
        self._deadline = _NEVER
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)  # noqa: FBT003 - a C handler must never wait

    def start(self) -> None:
        """Take over SIGTERM and SIGINT; call it from the main thread."""
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            # A handler must be there for the descriptor to be written; the thread does the rest.
            signal.signal(number, lambda *_: None)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stopping(self) -> bool:
        """Return whether a signal came."""
        return self._stopping.is_set()

    def ending(self, code: ExitCode) -> None:
        """Give the process until the time-out to end with ``code``, and end it with that code by force then."""
        self._code = code
        self._deadline = min(self._deadline, time.monotonic() + self._timeout)
        self._writer.send(b"\0")

    def _watch(self) -> None:
        while True:
            self._beat()
            left = min(_LOOK, max(0.0, self._deadline - time.monotonic()))
            ready, _, _ = select.select([self._reader], [], [], left)
            for number in self._reader.recv(64) if ready else b"":
                self._signal(number)
            if time.monotonic() >= self._deadline:
                self._end("the shutdown time-out is over; what was not committed will be read again")
            self._look()

    def _look(self) -> None:
        """Tell of a call that does not return, and end a process whose thread has been at one thing for too long."""
        if (seconds := self._pulse.held_up) is not None and self._seldom("held up"):
            _log.warning("waiting for the broker", call="one that has not returned", seconds=round(seconds, 1))
        if not self._pulse.stuck:
            self._stuck_since = None
            return
        now = time.monotonic()
        if self._stuck_since is None:
            self._stuck_since = now
            doing, seconds = self._pulse.doing
            _log.error(
                "stuck", doing=str(doing), seconds=round(seconds, 1), ends_in_seconds=self._grace, stacks=_stacks()
            )
        elif now - self._stuck_since >= self._grace:
            self._code = ExitCode.STUCK
            self._end("nothing has moved; what was not committed will be read again")

    def _signal(self, number: int) -> None:
        if number not in _SIGNALS:
            return
        if self._stopping.is_set():
            self._code = ExitCode.FORCED
            self._end("a second signal; what was not committed will be read again")
        _log.info("stopping", signal=signal.Signals(number).name, within_seconds=self._timeout)
        self._stopping.set()
        if self._deadline == _NEVER:
            self._deadline = time.monotonic() + self._timeout

    def _end(self, why: str) -> None:
        _log.error("ended by force", why=why, code=int(self._code))
        sys.stderr.flush()
        os._exit(self._code)


def _stacks() -> dict[str, list[str]]:
    """Return what each thread is at, innermost last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        names.get(ident, str(ident)): [line.rstrip() for line in traceback.format_stack(frame)]
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - the documented way to other threads' stacks
    }
