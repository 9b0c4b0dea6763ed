"""Kills workers at random moments and restarts them, and measures how long readers wait for each."""

import secrets
import time
from collections.abc import Callable
from statistics import median

from tests.support.stream import Stream
from tests.support.topics import open_transactions
from tests.support.verify import CommittedReader
from tests.support.worker import Worker

_LONGEST_WAIT = 60.0


class Killer:
    """Keeps one worker running, which it kills again and again.

    Args:
        stream: what workers work on; it has 3 partitions.
        start: starts a worker with an instance name.
        reader: tells how long it waited.
    """

    def __init__(self, stream: Stream, start: Callable[[str], Worker], reader: CommittedReader) -> None:
        self._stream = stream
        self._start = start
        self._reader = reader
        self._worker = start("stable")
        self.kills = 0
        self.in_transaction = 0

    def kill_at_work(self, times: int, instance: Callable[[], str] = lambda: "stable") -> list[float]:
        """Kill up to half a second into the work, and start a worker of the given name; how long readers waited."""
        return [self._kill_at_work(instance()) for _ in range(times)]

    def kill_while_starting(self, times: int) -> None:
        """Kill somewhere between the start of the process and its first events."""
        for _ in range(times):
            time.sleep(secrets.randbelow(1500) / 1000)
            self._kill("stable")

    def _kill_at_work(self, instance: str) -> float:
        self._worker.wait_until_assigned(3)
        time.sleep(secrets.randbelow(500) / 1000)  # a random moment is what is tested
        killed = self._kill(instance)
        return self._reader.wait_after(killed, _LONGEST_WAIT)

    def _kill(self, instance: str) -> float:
        self._worker.kill()
        killed = time.monotonic()
        self.kills += 1
        self.in_transaction += bool(open_transactions(self._stream.bootstrap, self._stream.output))
        self._worker = self._start(instance)
        return killed


def spread(seconds: list[float]) -> str:
    """Say what a list of waits looks like."""
    return f"{median(seconds):.1f} s (median; {min(seconds):.1f} to {max(seconds):.1f} s)"
