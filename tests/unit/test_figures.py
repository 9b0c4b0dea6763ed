"""The figures of a run, and logs."""

import subprocess
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
from structlog.testing import capture_logs

from consumer.broker import AbortedError
from consumer.deadletter.causes import Code
from consumer.hold import Hold, HoldKind
from consumer.lane import Reason
from consumer.observer import Change, Lag
from consumer.operate.figures import Figures
from consumer.operate.logs import client_log
from consumer.types import Cause, DeadLetter, PlainEvent, Stage
from tests.support.memory import Clock

EVENT = PlainEvent(b"{}")
DEAD = DeadLetter(EVENT, Cause(Stage.DECODE, Code.MALFORMED, "bad"))
HOLD = Hold(HoldKind.GUARD, "500 dead letters in a row", Code.MALFORMED)


def test_the_summary_counts_everything() -> None:
    """Events, what became of them, why batches closed, checkpoints and time."""
    clock = Clock()
    figures = Figures(clock)
    with capture_logs():
        figures.lanes([0, 1], Change.ASSIGNED)
        figures.batch(0, 3, [DEAD], Reason.ROWS, 0.25)
        figures.batch(1, 1, [], Reason.WAIT, 0.5)
        figures.too_large([DeadLetter(EVENT, Cause(Stage.WRITE, Code.TOO_LARGE, "large"))])
        figures.checkpoint(0.125)
        figures.aborted(AbortedError("away"))
        figures.held(1, 7, HOLD)
        figures.held(0, 9, HOLD)
        figures.released(0)
        figures.lag({0: Lag(3, None), 1: Lag(4, 1)})
    clock.sleep(12.34)
    assert figures.summary() == {
        "events": 4,
        "enriched": 2,
        "dead_letters": {"Malformed": 1, "TooLarge": 1},
        "batches": {"rows": 1, "wait": 1},
        "checkpoints": 1,
        "aborts": 1,
        "lanes": 2,
        "lag": 7,
        "held": [1],
        "enrich_seconds": 0.75,
        "checkpoint_seconds": 0.125,
        "seconds": 12.3,
    }


def test_partitions_that_go_are_no_lanes_and_not_held() -> None:
    """Whether revoked or lost; one that comes again is not held either."""
    figures = Figures(Clock())
    with capture_logs() as lines:
        figures.lanes([0, 1, 2], Change.ASSIGNED)
        figures.held(0, 7, HOLD)
        figures.held(1, 7, HOLD)
        figures.lanes([0], Change.REVOKED)
        figures.lanes([1], Change.LOST)
    assert (figures.summary()["lanes"], figures.summary()["held"]) == (1, [])
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("partitions assigned", "info"),
        ("partition held", "error"),
        ("partition held", "error"),
        ("partitions revoked", "info"),
        ("partitions lost", "info"),
    ]


def minute_lines(batches: list[int], beats: list[float]) -> list[MutableMapping[str, Any]]:
    """Beat at the given seconds, with a batch of so many rows before each."""
    clock = Clock()
    began = clock.now
    figures = Figures(clock)
    with capture_logs() as lines:
        for rows, beat in zip(batches, beats, strict=True):
            figures.batch(0, rows, [], Reason.ROWS, 0.0)
            clock.pass_to(began + beat)
            figures.beat(clock.now)
    return lines


def test_figures_are_logged_once_a_minute() -> None:
    """Not each time the loop comes round; the rate is that of the time since the last line."""
    lines = minute_lines([300, 300, 10, 20], [59.0, 60.0, 61.0, 180.0])
    assert [line["events_per_second"] for line in lines] == [10.0, 0.2]  # 600 in 60 s, 30 in 120 s
    assert [(line["events"], line["seconds"]) for line in lines] == [(600, 60.0), (630, 180.0)]


def test_logs_are_json_lines_where_nobody_watches() -> None:
    """On stderr, with level and time; stdout stays free for data; debug lines are left out."""
    script = (
        "import structlog; from consumer.operate.logs import set_up_logs, client_log; set_up_logs();"
        "log = structlog.get_logger(); log.debug('no'); log.info('yes', a=1);"
        "client_log().error('from librdkafka'); client_log().info('no')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: log.exception('failed')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = [orjson.loads(line) for line in done.stderr.splitlines()]
    assert done.stdout == ""
    assert [(line["event"], line["level"]) for line in lines] == [
        ("yes", "info"),
        ("librdkafka", "error"),
        ("failed", "error"),
    ]
    assert (lines[0]["a"], lines[0]["timestamp"][-1], lines[1]["detail"]) == (1, "Z", "from librdkafka")
    assert "ZeroDivisionError" in lines[2]["exception"]


def test_librdkafkas_log_is_set_up_once() -> None:
    """However many clients ask for it, a line is passed on once."""
    assert client_log() is client_log()
    with capture_logs() as lines:
        client_log().warning("slow %s", "broker")
    assert [line["detail"] for line in lines] == ["slow broker"]
    assert client_log().propagate is False


def test_a_partition_that_may_not_be_written_to_is_told_of_rather_than_its_neighbours() -> None:
    """The client tells of all partitions of a request at once, in any order; of a kind, one line passes in 10 s."""
    failed = 'ADDPARTS-TEST [thrd:main]: Failed to add partition "%s" [0] to transaction: Broker: %s'
    with capture_logs() as lines:
        client_log().error(failed, "enriched", "Operation not attempted")
        client_log().error(failed, "dead", "Topic authorization failed")
    assert [line["detail"] for line in lines] == [failed % ("dead", "Topic authorization failed")]
