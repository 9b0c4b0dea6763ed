"""Asks a worker's probes: until a state of the truth table shows, or all the time."""

import json
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from http.client import HTTPException
from threading import Event, Thread
from types import TracebackType
from typing import Any, Final, Self

from consumer.operate.truth import TRUTH, TRUTH_OF_ALL, Row
from tests.support.scrape import ask, body_holds, metric_holds, scrape, status
from tests.support.topics import wait_until
from tests.support.worker import Worker

ROWS: Final = {row.state: row for row in (*TRUTH, *TRUTH_OF_ALL)}

_INTERVAL: Final = 0.02
_PROGRESS_INTERVAL: Final = 0.2


def wait_until_shown(worker: Worker, state: str, timeout: float = 60.0) -> None:
    """Wait until a worker's probes, their body and its metrics say what a state's row says, all at one time."""
    row = ROWS[state]
    differs = ["not asked yet"]

    def shown() -> bool:
        differs[:] = _differences(worker, row)
        return not differs

    try:
        wait_until(shown, timeout, "")
    except TimeoutError:
        raise AssertionError(
            f"'{state}' does not show: {differs}; {worker.instance} said:\n{worker.tail()}"
        ) from None


def _differences(worker: Worker, row: Row) -> list[str]:
    """What is not as the row says."""
    address = worker.http
    live, ready = ask(address, "/live"), ask(address, "/ready")
    found = scrape(address)
    body = json.loads(live.body)
    differs = [f"{path} is {status}" for path, status, wanted in _statuses(row, live.status, ready.status) if wanted]
    differs += [f"not {condition}: {body}" for condition in row.body if not body_holds(condition, body)]
    differs += [f"not {condition}" for condition in row.metrics if not metric_holds(condition, found)]
    return differs


def _statuses(row: Row, live: int, ready: int) -> list[tuple[str, int, bool]]:
    return [("/live", live, str(live) != row.live), ("/ready", ready, str(ready) != row.ready)]


class _Beside(ABC):
    """Looks at workers from a thread of its own, for as long as the with statement lasts."""

    def __init__(self) -> None:
        self._stopping = Event()
        self._thread = Thread(target=self._run, name=type(self).__name__.lower())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(60)

    @abstractmethod
    def _run(self) -> None:
        """Look until it is to stop."""


class Progress(_Beside):
    """Watches workers that have work: how long one says that it is ready and makes nothing durable.

    Attributes:
        silence: the longest time of that, in seconds, of any of them. One without partitions is a spare, as long as
            another has them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._since: dict[Worker, float] = {}
        self.silence = 0.0

    def watch(self, worker: Worker) -> Worker:
        """Watch another one."""
        self._since = {**self._since, worker: time.monotonic()}
        return worker

    def _run(self) -> None:
        while not self._stopping.wait(_PROGRESS_INTERVAL):
            running = [worker for worker in self._since if worker.running]
            for worker in running:
                asked, said = time.monotonic(), _status_of(worker)
                if said is None or not said["ready"] or not (said["lanes"] or running == [worker]):
                    self._since[worker] = time.monotonic()
                elif said["last_checkpoint"] is not None:
                    self._since[worker] = max(self._since[worker], asked - said["last_checkpoint"]["seconds"])
                self.silence = max(self.silence, time.monotonic() - self._since[worker])


def _status_of(worker: Worker) -> Mapping[str, Any] | None:
    """What its probes say; None while nobody answers, which is no way to be ready."""
    if not (serving := worker.logs("serving")):
        return None
    try:
        return status(str(serving[0]["http"]), timeout=1.0)
    except (OSError, HTTPException, ValueError):
        return None


class Asking(_Beside):
    """Asks both probes of a worker over and over, from a thread, and counts the answers.

    Args:
        worker: is asked.
    """

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._address = worker.http
        self.answers: Counter[tuple[str, object]] = Counter()

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL):
            for path in ("/live", "/ready"):
                try:
                    answer: object = ask(self._address, path).status
                except OSError as error:
                    answer = repr(error)
                self.answers[path, answer] += 1
