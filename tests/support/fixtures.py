"""Streams and workers for tests that run real processes; a plugin of pytest (see tests/conftest.py)."""

import typing
from collections.abc import Callable, Generator, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.support.brokers import Brokers
from tests.support.stream import Protocol, Stream
from tests.support.supervisor import Supervisor
from tests.support.worker import Worker

# What a failed test prints of each worker's log: what went wrong is near its end, or never comes.
_LINES = 40
_COLUMNS = 300


class OpenStream(typing.Protocol):
    """Makes a stream with topics and a pipeline file of its own."""

    def __call__(
        self,
        changes: Mapping[str, object] | None = None,
        *,
        partitions: int = 3,
        protocol: Protocol = "classic",
        brokers: Brokers | None = None,
        name: str = "flights",
    ) -> Stream:
        """Make one.

        Args:
            changes: are merged into the flights example's pipeline.
            partitions: of each topic.
            protocol: of the group.
            brokers: where the topics are; the session's broker unless said otherwise.
            name: tells the streams of one test apart.
        """
        ...


class StartWorker(typing.Protocol):
    """Starts a worker that ends with the test."""

    def __call__(self, stream: Stream, instance: str = "one", **options: Any) -> Worker:  # noqa: ANN401
        """`options` are those of Worker."""
        ...


class StartSupervisor(typing.Protocol):
    """Starts a supervisor that ends with the test, and its workers with it."""

    def __call__(self, stream: Stream, workers: int = 2, **options: Any) -> Supervisor:  # noqa: ANN401
        """`options` are those of Supervisor."""
        ...


@pytest.fixture
def open_stream(request: pytest.FixtureRequest, unique: Callable[[str], str], tmp_path: Path) -> OpenStream:
    """Makes the streams of a test."""

    def make(
        changes: Mapping[str, object] | None = None,
        *,
        partitions: int = 3,
        protocol: Protocol = "classic",
        brokers: Brokers | None = None,
        name: str = "flights",
    ) -> Stream:
        # Asked for only here: a test with brokers of its own needs no other one.
        brokers = brokers or request.getfixturevalue("kafka")
        stream = Stream(broker=brokers, name=unique(name), pipeline=tmp_path / f"{name}.yaml")
        stream.create_topics(partitions)
        stream.write_pipeline(changes or {}, protocol)
        if protocol == "consumer":
            stream.set_group_session()
        return stream

    return make


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Starts workers, and ends by their ids those that a test leaves."""
    workers: list[Worker] = []
    numbers = count()  # streams side by side start workers from threads of their own

    def start(stream: Stream, instance: str = "one", **options: Any) -> Worker:  # noqa: ANN401
        worker = Worker(stream, instance, tmp_path / f"{next(numbers)}-{instance}.log", **options)
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.close()


@pytest.fixture
def start_supervisor(tmp_path: Path) -> Iterator[StartSupervisor]:
    """Starts supervisors, and ends by their ids those that a test leaves."""
    supervisors: list[Supervisor] = []

    def start(stream: Stream, workers: int = 2, **options: Any) -> Supervisor:  # noqa: ANN401
        supervisor = Supervisor(stream, workers, tmp_path / f"crew-{len(supervisors)}.log", **options)
        supervisors.append(supervisor)
        return supervisor

    yield start
    for supervisor in supervisors:
        supervisor.close()


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Adds a line to what pytest prints at the end."""
    return lambda line: record_property("report", line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Print with a failed test what its workers said: a failure that comes once in a hundred runs is told once."""
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and isinstance(folder, Path):
        for log in sorted(folder.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()[-_LINES:]
            report.sections.append((f"the end of {log.name}", "\n".join(line[:_COLUMNS] for line in lines)))
    return report
