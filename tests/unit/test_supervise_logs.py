"""The logs of several workers: whole lines, each with its worker, and the sum of what they may take."""

import json
import os
import re
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from consumer.supervise.memory import Budgets, together
from consumer.supervise.relay import Relay

LONG = 20_000


def test_lines_stay_whole_and_say_whose_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    """Also long ones that several workers write at one time, in pieces."""
    pipes = [os.pipe() for _ in range(4)]
    relays = [Relay(number, os.fdopen(reader, "rb"), lambda *_: None) for number, (reader, _) in enumerate(pipes)]

    def write(number: int, end: int) -> None:
        with os.fdopen(end, "wb", buffering=0) as out:
            for turn in range(20):
                line = json.dumps({"event": str(number) * LONG, "turn": turn}).encode() + b"\n"
                for start in range(0, len(line), 999):
                    out.write(line[start : start + 999])

    threads = [threading.Thread(target=write, args=(number, end)) for number, (_, end) in enumerate(pipes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for relay in relays:
        relay.finish()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert len(lines) == 80
    assert all(line["event"] == str(line["worker"]) * LONG for line in lines)


def test_what_is_no_line_of_ours_becomes_one(capfd: pytest.CaptureFixture[str]) -> None:
    """The last words of native code, and lines that a dying process did not end; empty ones say nothing."""
    heard: list[tuple[int, Mapping[str, Any]]] = []
    reader, writer = os.pipe()
    relay = Relay(7, os.fdopen(reader, "rb"), lambda number, line: heard.append((number, line)))
    with os.fdopen(writer, "wb") as out:
        out.write(b'Fatal \xff error\n\n[1]\r\n{"event": "stopped", "level": "warning"}\n{"event": "bro')
    relay.finish()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["Fatal \ufffd error", "[1]", "stopped", '{"event": "bro']
    assert {line["worker"] for line in lines} == {7}
    assert heard == [(7, {"event": "stopped", "level": "warning"})]


FOREIGN = (
    b'{"level": 30, "msg": "as some loggers have it"}',
    b'{"event": "odd", "level": null, "stack": 5}',
    b'{"event": ["odd"], "level": "info"}',
    b'{"event": "started", "level": "info", "memory_budget_bytes": 3}',
)
OURS = b'{"event": "moved", "level": "warning", "timestamp": "2026-11-28T23:00:00Z", "partition": 3}'


def test_on_a_terminal_people_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the supervisor's own lines look: no JSON, the worker at the end, and traces on lines of their own."""
    out = relayed_on_a_terminal(monkeypatch, OURS, b'{"event": "x", "level": "error", "exception": "Trace\\n  back"}')
    assert "2026-11-28T23:00:00Z [warning  ] moved                          partition=3 worker=7" in out
    assert "Trace\n  back\n" in out
    assert "{" not in out


def test_a_line_of_somebody_elses_logger_stops_no_relay(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A worker whose log nobody reads would stand still, or die of it."""
    out = relayed_on_a_terminal(monkeypatch, *FOREIGN, OURS)
    assert [line in out for line in ("30", "odd", "started", "moved")] == [True] * 4
    monkeypatch.undo()
    relayed(*FOREIGN, OURS)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert lines == [{**json.loads(line), "worker": 7} for line in (*FOREIGN, OURS)]


def relayed(*lines: bytes) -> None:
    """Let a worker write these, and end."""
    reader, writer = os.pipe()
    relay = Relay(7, os.fdopen(reader, "rb"), Budgets(1, lambda: None).heard)
    with os.fdopen(writer, "wb") as out:
        out.write(b"".join(line + b"\n" for line in lines))
    relay.finish()


def relayed_on_a_terminal(monkeypatch: pytest.MonkeyPatch, *lines: bytes) -> str:
    """What a person sees of them, without colours."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        relayed(*lines)
    seen = b""
    with suppress(OSError):  # the end, where nobody has the other side any more
        while piece := os.read(ours, 65_536):
            seen += piece
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", seen.decode()).replace("\r\n", "\n")


def start_line(total: int, lanes: int, interpreters: str = "per lane") -> Mapping[str, Any]:
    """A worker's start line, as far as it matters."""
    return {
        "event": "started",
        "interpreters": interpreters,
        "memory_budget_bytes": {"total": total, "lanes": lanes},
    }


def test_lanes_count_once_as_a_partition_has_one_in_all_workers() -> None:
    """All the rest is each worker's own, and so are interpreters that lanes share."""
    assert together([({"total": 110, "lanes": 10}, False), ({"total": 112, "lanes": 12}, False)]) == 212
    assert together([({"total": 110, "lanes": 10}, True), ({"total": 112, "lanes": 12}, True)]) == 222


@pytest.mark.parametrize(("most", "warnings"), [(None, 0), (222, 0), (209, 1)])
def test_the_sum_is_said_once_and_held_against_the_limit(most: int | None, warnings: int) -> None:
    """When all have told theirs; one that is started again changes nothing."""
    budgets = Budgets(2, lambda: most)
    with capture_logs() as logs:
        budgets.heard(0, start_line(110, 10))
        budgets.heard(0, {"event": "stopped"})
        assert not logs
        budgets.heard(1, start_line(110, 10))
        budgets.heard(1, start_line(110, 10))
    told, *others = logs
    assert (told["workers"], told["memory_budget_bytes"]) == (2, 210)
    said = [(line["log_level"], line["limit"], line["budget"]) for line in others]
    assert said == [("warning", most, 210)] * warnings
