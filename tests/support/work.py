"""A worker at work while something happens to its brokers, and the account of what became of its events."""

import time
from functools import partial
from types import TracebackType
from typing import Literal, Self

from tests.support.faults import Fault
from tests.support.stream import Feeder, Protocol, Stream
from tests.support.topics import committed, wait_until
from tests.support.verify import asked, verify, wait_until_caught_up
from tests.support.worker import Worker

Delivery = Literal["exactly_once", "at_least_once"]

RATE = 300
# To be back at work after a fault has ended: limits, several times what it takes.
RESUME_TIMEOUT = 90.0
CATCH_UP_TIMEOUT = 120.0


class Work:
    """Events that keep coming, and the worker that enriches them; a context manager that begins with work done.

    Args:
        stream: what the worker works on.
        worker: it, started.
        protocol: of its group.
        delivery: of its pipeline.
    """

    def __init__(
        self, stream: Stream, worker: Worker, *, protocol: Protocol = "classic", delivery: Delivery = "exactly_once"
    ) -> None:
        self.stream = stream
        self.worker = worker
        self._protocol = protocol
        self._delivery = delivery
        self._feeder = Feeder(stream, RATE)

    def __enter__(self) -> Self:
        self._feeder.__enter__()
        self.wait_for_more()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._feeder.__exit__(exc_type, exc, traceback)

    def wait_for_more(self) -> float:
        """Wait till more enriched records are committed than now; how long that took, in seconds."""
        before, began = self.done(), time.monotonic()
        wait_until(
            lambda: not self.worker.running or self.done() > before,
            RESUME_TIMEOUT,
            lambda: f"nothing more is enriched; the worker said:\n{self.worker.tail()}",
        )
        assert self.worker.running, f"the worker ended:\n{self.worker.tail()}"
        return time.monotonic() - began

    def end(self, what: str, times: int, note: str = "") -> Fault:
        """Let no more events come, and find each one enriched; the account of it."""
        total = self._feeder.stop()
        wait_until_caught_up(self.stream, CATCH_UP_TIMEOUT)
        outcome = verify(self.stream, range(total))
        outcome.assert_each_enriched()
        if self._delivery == "exactly_once":
            outcome.assert_exactly_once()
        return Fault(
            what, self._protocol, self._delivery, times, total, len(outcome.missing), len(outcome.duplicates), note
        )

    def done(self) -> int:
        """How many events are behind the group."""
        question = partial(committed, self.stream.bootstrap, self.stream.name, self.stream.input)
        found: dict[int, int | None] = wait_until(
            lambda: asked(question) or {}, RESUME_TIMEOUT, "the group has no coordinator"
        )
        return sum(offset or 0 for offset in found.values())
