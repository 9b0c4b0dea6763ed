"""A worker inside the test's own process, for tests that want to look at it, or that need no process of its own."""

import time
from collections.abc import Callable, Collection
from pathlib import Path

from consumer.assembly import assemble
from consumer.cli.options import load_pipeline
from consumer.kafka.broker import KafkaBroker
from consumer.kafka.connect import connect
from consumer.operate.figures import Figures
from consumer.operate.pulse import Pulse
from consumer.types import Event, Notes, Positions
from consumer.worker import Worker


def never() -> bool:
    """Never stop."""
    return False


def open_broker(pipeline: Path, instance: str = "one") -> KafkaBroker:
    """Return the broker that a pipeline file asks for, not joined yet."""
    return connect(load_pipeline(pipeline).spec, instance, ("model@0", "pipeline@0"), Pulse(60), never).broker


def run_worker(pipeline: Path, until: Callable[[], bool], *, instance: str = "one", limit: float = 30.0) -> Figures:
    """Run a worker until a condition holds, asked once in a while, and return its figures.

    Raises:
        TimeoutError: it does not hold within ``limit`` seconds.
    """
    file = load_pipeline(pipeline)
    assembly = assemble(file)
    figures = Figures(time.monotonic)
    connection = connect(file.spec, instance, assembly.provenance, Pulse(60), never)
    worker = Worker(
        connection.broker, assembly.enrichers(), assembly.rule, checkpoint=0.1, drain=5.0, observer=figures
    )
    worker.run(_Patience(until, limit))
    return figures


class _Patience:
    """Asks a condition four times a second, and gives up after a while."""

    def __init__(self, until: Callable[[], bool], limit: float) -> None:
        self._until = until
        self._deadline = time.monotonic() + limit
        self._ask_at = 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if now < self._ask_at:
            return False
        if now > self._deadline:
            raise TimeoutError("the condition did not hold in time")
        self._ask_at = now + 0.25
        return self._until()


class Seen:
    """An assignment that notes what it is told; ``failing`` is raised when partitions come."""

    def __init__(self, failing: Exception | None = None) -> None:
        self.positions: dict[int, int] = {}
        self.gone: list[int] = []
        self.notes: dict[int, str] = {}
        self._failing = failing

    def joined(self) -> None:
        """Nothing to note."""

    def assigned(self, positions: Positions, notes: Notes) -> None:
        """Note partitions."""
        self.notes.update(notes)
        self.positions.update(positions)
        if self._failing is not None and positions:
            failing, self._failing = self._failing, None
            raise failing

    def revoked(self, partitions: Collection[int]) -> None:
        """Note that partitions went."""
        self.gone += partitions

    def lost(self, partitions: Collection[int]) -> None:
        """Note that partitions were lost."""
        self.gone += partitions

    def stopped(self, partition: int, why: str) -> None:
        """Fail: no test of this kind stops a partition."""
        raise AssertionError(f"partition {partition} stopped: {why}")


def poll_until(broker: KafkaBroker, condition: Callable[[list[Event]], bool], limit: float = 20.0) -> list[Event]:
    """Poll until what came so far is enough, and return it.

    Raises:
        TimeoutError: it is not within ``limit`` seconds.
    """
    events: list[Event] = []
    deadline = time.monotonic() + limit
    while not condition(events):
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {len(events)} events came")
        events += broker.poll(time.monotonic() + 0.1, 1000)
    return events
