"""The signals that the supervisor waits for."""

import select
import signal
import socket
from typing import Final

STOPS: Final = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Takes over SIGTERM, SIGINT and SIGCHLD; make it in the main thread."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)  # noqa: FBT003 - a C handler must never wait
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (*STOPS, signal.SIGCHLD):
            # A handler must be there for the descriptor to be written.
            signal.signal(number, lambda *_: None)

    def wait(self, seconds: float) -> list[signal.Signals]:
        """Wait for signals; return those that ask to stop, which may be none: a worker may have ended."""
        ready, _, _ = select.select([self._reader], [], [], max(0.0, seconds))
        return [signal.Signals(number) for number in (self._reader.recv(64) if ready else b"") if number in STOPS]
