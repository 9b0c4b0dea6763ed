"""Fixtures for all tests, and what they measured."""

import os
import uuid
from collections.abc import Callable, Iterator

import pytest
import structlog
from hypothesis import settings

from tests.support.apicurio import Apicurio
from tests.support.faults import Fault, table
from tests.support.kafka import KafkaBroker

pytest_plugins = ["tests.support.fixtures"]

# No deadlines: on shared cores they fail by chance. In CI the same examples each time: a red build says what changed.
settings.register_profile("onelane", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("onelane")


# Folders whose tests wait for brokers and workers, most of their time; those of the others compute.
_WAITING = frozenset({"broker", "chaos", "scenarios"})
# They begin in the first nine tenths of a run: some take minutes, and one that began last would run on alone.
_WAITING_SHARE = 0.9


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have files that wait take turns with files that compute, so that cores are neither idle nor fought for."""
    files = dict.fromkeys(item.path for item in items)
    waiting = [file for file in files if file.parent.name in _WAITING]
    computing = [file for file in files if file.parent.name not in _WAITING]
    turns = {file: _WAITING_SHARE * place / len(waiting) for place, file in enumerate(waiting)}
    turns |= {file: place / len(computing) for place, file in enumerate(computing)}
    items.sort(key=lambda item: turns[item.path])


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaBroker]:
    """One broker for the whole session, started by the first test that asks for it.

    Tests share it: they use names of their own (`unique`), and leave it running and thawed.
    """
    with KafkaBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def registry() -> Iterator[Apicurio]:
    """One schema registry for the whole session, started by the first test that asks for it; topics are unique."""
    with Apicurio() as registry:
        yield registry


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Undo what a command that was run in this process chose for its logs: another test may want to see more."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes a name that no other test has: `unique("flights")` is the same name all through one test."""
    suffix = uuid.uuid4().hex[:8]
    return lambda name: f"{name}-{suffix}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests measured, and what was survived, above pytest's last line."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    measured = dict.fromkeys(str(text) for test in reports for name, text in test.user_properties if name == "report")
    faults = [fault for test in reports for name, fault in test.user_properties if name == "fault"]
    if measured:
        terminalreporter.section("measured")
        for line in measured:
            terminalreporter.write_line(line)
    if faults:
        terminalreporter.section("faults survived")
        for line in table([Fault(*fault) for fault in faults]):
            terminalreporter.write_line(line)
