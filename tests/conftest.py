"""Fixtures for all tests."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.support.kafka import KafkaBroker


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaBroker]:
    """One broker for the whole session, started by the first test that asks for it.

    Tests share it: they use names of their own (`unique`), and leave it running and thawed.
    """
    with KafkaBroker() as broker:
        yield broker


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes a name that no other test has: `unique("flights")` is the same name all through one test."""
    suffix = uuid.uuid4().hex[:8]
    return lambda name: f"{name}-{suffix}"
