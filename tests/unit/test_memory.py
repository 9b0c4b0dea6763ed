"""What a worker may come to take."""

import time
from mmap import mmap
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from structlog.testing import capture_logs

from consumer.cli import run
from consumer.kafka.connect import Connection
from consumer.model.tensors import Array
from consumer.operate.memory import OVERHEAD, Buffers, budget, cost, limit, resident
from tests.support.flights import flights

MEBIBYTE = 1024 * 1024


def test_a_budget_is_a_sum_of_what_settings_allow() -> None:
    """The process as it is, the clients' buffers, open events, a batch at work, and an interpreter a lane."""
    buffers = Buffers(consumer=40 * MEBIBYTE, events=1000, producer=64 * MEBIBYTE, records=500)
    made = budget(buffers, 64 * MEBIBYTE, 4 * MEBIBYTE, interpreters=200, interpreter_bytes=300_000)
    assert made.buffers == 104 * MEBIBYTE + 1500 * OVERHEAD
    assert made.open_events == 104 * MEBIBYTE + 1000 * OVERHEAD
    assert (made.work, made.lanes) == (16 * MEBIBYTE, 60_000_000)
    assert made.total == made.process + made.buffers + made.open_events + made.work + made.lanes
    assert made.process > 10 * MEBIBYTE


def fresh(size: int) -> Array:
    """Memory of which nothing was in use before, as no heap gives it out."""
    made = np.frombuffer(mmap(-1, size), np.uint8)
    made[:] = 1
    return made


def test_the_cost_of_a_thing_is_measured() -> None:
    """Of what is there in memory, not only asked for; and never less than it is."""
    taken = cost(lambda: fresh(5 * MEBIBYTE))
    assert 5 * MEBIBYTE <= taken < 9 * MEBIBYTE


def test_what_takes_long_is_made_twice_at_least() -> None:
    """A slow model must not hold up the start, and one alone would tell of what is needed once."""
    made = []

    def make() -> None:
        time.sleep(0.4)
        made.append(1)

    cost(make)
    assert len(made) == 2


def test_no_more_is_made_than_tells_enough() -> None:
    """What was made only to be measured would be most of what a worker with a larger model ever takes."""
    made = []

    def make() -> Array:
        made.append(1)
        return fresh(3 * MEBIBYTE)

    cost(make)
    assert len(made) == 4


def test_a_process_knows_its_memory() -> None:
    """In bytes, growing with what it takes."""
    before = resident()
    kept = bytearray(b"x" * 30 * MEBIBYTE)
    assert resident() - before > 20 * MEBIBYTE
    assert len(kept) > 0


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({"max": "1073741824\n"}, 1 << 30),
        ({"max": "max\n"}, None),
        ({"max": "max\n", "limit": "9223372036854771712\n"}, None),
        ({"limit": "536870912\n"}, 1 << 29),
        ({}, None),
    ],
)
def test_the_limit_of_a_container_is_known(files: dict[str, str], most: int | None, tmp_path: Path) -> None:
    """In both versions of cgroups; where there is none, there is none."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert limit((tmp_path / "max", tmp_path / "limit")) == most


@pytest.mark.parametrize(("most", "warnings"), [(1 << 40, 0), (None, 0), (MEBIBYTE, 1)])
def test_a_start_warns_where_the_container_has_less(
    monkeypatch: pytest.MonkeyPatch, most: int | None, warnings: int
) -> None:
    """With both numbers and what can be lowered; the budget is told in any case."""
    monkeypatch.setattr(run, "limit", lambda: most)
    topics = SimpleNamespace(partitions={"flights": 200})
    buffers = Buffers(consumer=40 * MEBIBYTE, events=1000, producer=64 * MEBIBYTE, records=500)
    connection = SimpleNamespace(topics=topics, buffers=buffers)
    with capture_logs() as lines:
        told = run._budget(flights(), cast("Connection", connection))
    assert told["total"] == sum(size for name, size in told.items() if name != "total") > 200 * MEBIBYTE
    assert len(lines) == warnings
    for line in lines:
        assert (line["log_level"], line["limit"], line["budget"]) == ("warning", most, told["total"])
        assert "queued.max.messages.kbytes" in line["event"]
