"""How long chaos lasts, and where it tells what was survived."""

import os
from collections.abc import Callable

import pytest

from tests.support.faults import Fault

# How often each fault comes in the long run; 0 for the short one, in which each test says itself what is enough.
ROUNDS = int(os.environ.get("ROUNDS", "0"))


@pytest.fixture
def rounds() -> Callable[[int], int]:
    """How often a fault comes: `rounds(3)` is 3 in the short run, ROUNDS in the long one."""
    return lambda short: ROUNDS or short


@pytest.fixture
def seconds() -> Callable[[float, float], float]:
    """How long a fault lasts: `seconds(5, 60)` is 5 in the short run, 60 in the long one."""
    return lambda short, long: long if ROUNDS else short


@pytest.fixture
def survived(record_property: Callable[[str, object], None]) -> Callable[[Fault], None]:
    """Adds a line to the table of faults survived."""
    return lambda fault: record_property("fault", tuple(fault))
