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
