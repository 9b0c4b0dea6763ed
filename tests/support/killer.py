"""Kills workers with -9 at chosen and at random instants, restarts them, and measures how long everybody waits."""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Final, Literal

from tests.support.stream import Stream
from tests.support.topics import open_transactions, wait_until
from tests.support.verify import Reader
from tests.support.worker import Worker

_LONGEST_WAIT: Final = 90.0
# A commit that the broker has begun is over then, in seconds.
_COMMITS: Final = 0.5

Instant = Literal["starting", "joining", "working", "in a transaction", "draining"]
# The order in which kills come, by delivery; a wait is measured where the next kill is at work too.
INSTANTS: Final[Mapping[str, Sequence[Instant]]] = {
    "exactly_once": (
        *("in a transaction", "working", "in a transaction", "draining"),
        *("in a transaction", "joining", "starting"),
    ),
    "at_least_once": ("working", "working", "working", "draining", "working", "joining", "starting"),
}
# Instants that can be waited for while a worker is new only.
_NEW: Final = ("joining", "starting")
# At which results flow.
_AT_WORK: Final = ("working", "in a transaction")
# Every so many measured kills the successor has another name, and can't abort what the dead one left open.
_NEW_NAME: Final = 3


class Killer:
    """Keeps one worker running, which it kills again and again.

    Attributes:
        at: how often it killed at each instant, by what the worker had said by then.
        in_transaction: how often a transaction was open after it.
        reader_waits: how long a read_committed reader saw nothing of a partition, in seconds; the successor under the
            same instance name.
        other_name_waits: the same, the successor under another name.
        successor_waits: from a kill until the successor's first results are there in each partition, in seconds.

    Args:
        stream: what workers work on; it has 3 partitions.
        start: starts a worker with an instance name.
        committed: a read_committed reader of the output.
        uncommitted: one that sees results as soon as they are written.
    """

    def __init__(
        self, stream: Stream, start: Callable[[str], Worker], committed: Reader, uncommitted: Reader
    ) -> None:
        self._stream = stream
        self._start = start
        self._committed = committed
        self._uncommitted = uncommitted
        self._worker = start("stable")
        self.at: Counter[str] = Counter()
        self.in_transaction = 0
        self.reader_waits: list[float] = []
        self.other_name_waits: list[float] = []
        self.successor_waits: list[float] = []

    def kill(self, instants: Iterable[Instant]) -> None:
        """Kill at each kind of instant in turn, and wait until the last successor works."""
        for instant, following in pairwise([*instants, "working"]):
            self._get_to(instant)
            if instant in _AT_WORK and following not in _NEW:
                self._kill_and_measure()
            else:
                self._kill("stable")
        self._worker.wait_until_assigned(3, _LONGEST_WAIT)

    def _get_to(self, instant: Instant) -> None:
        """Wait for a moment of this kind; the random sleeps are what is tested."""
        worker = self._worker
        if instant == "starting":
            time.sleep(secrets.randbelow(400) / 1000)
        elif instant == "joining":
            worker.wait_for("started")
            time.sleep(secrets.randbelow(100) / 1000)
        else:
            worker.wait_until_assigned(3, _LONGEST_WAIT)
            time.sleep(secrets.randbelow(500) / 1000)
        if instant == "in a transaction":
            freeze_in_transaction(self._stream, worker)
        elif instant == "draining":
            worker.terminate()
            time.sleep(secrets.randbelow(40) / 1000)

    def _kill_and_measure(self) -> None:
        renamed = len(self.successor_waits) % _NEW_NAME == _NEW_NAME - 1
        killed = self._kill(secrets.token_hex(4) if renamed else "stable")
        self.successor_waits.append(self._uncommitted.resumed_after(killed, _LONGEST_WAIT))
        waits = self.other_name_waits if renamed else self.reader_waits
        waits.append(self._committed.wait_after(killed, _LONGEST_WAIT))

    def _kill(self, successor: str) -> float:
        """Kill, note what it was doing, and start a successor."""
        self._worker.kill()
        killed = time.monotonic()
        self.at[_instant_of(self._worker)] += 1
        self.in_transaction += bool(open_transactions(self._stream.bootstrap, self._stream.output))
        self._worker = self._start(successor)
        return killed


def _instant_of(worker: Worker) -> str:
    """What a dead worker was doing, by what it said."""
    if worker.code == 0:
        return "ended before"
    said = {line["event"] for line in worker.logs()}
    if "stopping" in said:
        return "draining"
    if "partitions assigned" in said:
        return "working"
    return "joining" if "started" in said else "starting"


def freeze_in_transaction(stream: Stream, worker: Worker) -> None:
    """Freeze a worker that has a transaction open."""

    def frozen() -> bool:
        worker.freeze()
        if open_transactions(stream.bootstrap, stream.output):
            time.sleep(_COMMITS)  # the worker may have asked for a commit that the broker is still at
            if open_transactions(stream.bootstrap, stream.output):
                return True
        worker.thaw()
        return False

    wait_until(frozen, 30, "no transaction was open")


def spread(seconds: Sequence[float]) -> str:
    """Say what a list of waits looks like."""
    return f"{median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"
