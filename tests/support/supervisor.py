"""A real `onelane run --workers` for scenarios, and the workers that it keeps running."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.support.scrape import ask
from tests.support.stream import Stream
from tests.support.topics import wait_until
from tests.support.worker import START_TIMEOUT, Line, Worker


class Supervisor(Worker):
    """One `onelane run --workers` process, which is watched and ended as a worker is.

    Args:
        stream: what its workers work on.
        workers: how many.
        log: the file of its log lines, and theirs.
        arguments: of the command, after those.
        module: what is run; something other than `consumer` may stand in for a slow model.
        environment: on top of ours.
    """

    def __init__(
        self,
        stream: Stream,
        workers: int,
        log: Path,
        *,
        arguments: Sequence[str] = (),
        module: str = "consumer",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.workers = range(workers)
        arguments = ["--workers", str(workers), *arguments]
        super().__init__(stream, "crew", log, arguments=arguments, module=module, environment=environment)

    def said(self, worker: int, event: str) -> list[Line]:
        """The log lines of one worker about this event."""
        return [line for line in self.logs(event) if line.get("worker") == worker]

    def wait_until_said(self, worker: int, event: str, *, after: int = 0, timeout: float = START_TIMEOUT) -> Line:
        """The first line of one worker about this event past the first `after` of them."""
        wait_until(
            lambda: len(self.said(worker, event)) > after or not self.running,
            timeout,
            f"no '{event}' of worker {worker}; all said:\n{self.tail()}",
        )
        assert len(self.said(worker, event)) > after, f"ended before '{event}' of {worker}:\n{self.tail()}"
        return self.said(worker, event)[after]

    def wait_until_shared(self, partitions: int, timeout: float = START_TIMEOUT) -> None:
        """Wait till each worker has so many partitions."""
        wait_until(
            lambda: all(self._lanes(number) == partitions for number in self.workers) or not self.running,
            timeout,
            lambda: f"not each worker has {partitions} partitions; all said:\n{self.tail()}",
        )
        assert self.running, self.tail()

    def _lanes(self, worker: int) -> int:
        lanes = 0
        for line in self.logs():
            if line.get("worker") == worker and line["event"] == "worker started":
                lanes = 0
            elif line.get("worker") == worker and line["event"].startswith("partitions "):
                lanes = int(line["lanes"])
        return lanes

    def pid_of(self, worker: int) -> int:
        """The process id of a worker that runs."""
        return int(self.said(worker, "worker started")[-1]["pid"])

    def body(self, path: str = "/live") -> dict[str, Any]:
        """What a probe says."""
        body: dict[str, Any] = json.loads(ask(self.http, path).body)
        return body

    @property
    def doing(self) -> list[str | None]:
        """What each worker's thread is at; None for one that does not answer."""
        return [one["says"] and one["says"]["doing"]["what"] for one in self.body()["workers"]]

    @property
    def alive(self) -> list[int]:
        """The process ids of workers that run, whoever is their parent by now."""
        found = []
        for line in self.logs("worker started"):
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(line["pid"]).status() != psutil.STATUS_ZOMBIE:
                    found.append(line["pid"])
        return found
