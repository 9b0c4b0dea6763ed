"""A real `onelane run` over a backlog on a real broker: what it takes of the processor, the clock and memory."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from bench.limit import PATIENCE, bind, count
from bench.pipeline_file import rewrite
from tests.support.kafka import KafkaBroker
from tests.support.topics import lag, wait_until

ROOT: Final = Path(__file__).resolve().parents[1]
TOPIC: Final = "flights"
_HIGH_WATER: Final = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_START: Final = 60.0
_LOOK: Final = 0.1


class Seen(msgspec.Struct, frozen=True):
    """What workers took, each from its start line until their group had no lag.

    Attributes:
        cpu_us: CPU an event of all of them, user and system, in microseconds.
        rate: events a second, by the clock, from the first start line.
        memory: bytes that were resident of the largest of them, at the most (VmHWM).
    """

    cpu_us: float
    rate: float
    memory: int


class Run(msgspec.Struct, frozen=True):
    """A run to make.

    Attributes:
        pipeline: its file; topics and group are put in its place.
        target: the topic that it writes to, which is made, and its group.
        events: how many are in the topic `flights`.
        cores: those of its workers, one each; of several, a supervisor keeps them.
    """

    pipeline: Path
    target: str
    events: int
    cores: Sequence[int]


def enrich(kafka: KafkaBroker, run: Run, partitions: int, folder: Path) -> Seen:
    """Run workers until they are done, stop them as a supervisor would, and see that their output is complete."""
    kafka.create_topic(run.target, partitions)
    kafka.create_topic(f"{run.target}-dead", partitions, max_message_bytes=1_114_124)
    file = rewrite(run.pipeline, folder, kafka.bootstrap, (TOPIC, run.target), "exactly_once")
    log = folder / f"{run.target}.log"
    several = ["--workers", str(len(run.cores))] if len(run.cores) > 1 else []
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "consumer", "run", str(file), *several], stderr=out, cwd=ROOT
        )
    try:
        seen = _watched(kafka, run, process.pid, log)
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE)
    finally:
        process.kill()
    there = count(kafka.bootstrap, run.target, run.events, partitions)
    if code or there != run.events:
        raise SystemExit(f"{run.target}: code {code}, {there} of {run.events} records")
    return seen


def _watched(kafka: KafkaBroker, run: Run, pid: int, log: Path) -> Seen:
    # Of each worker its CPU when it was ready: the first is at work before the last one is.
    ready: dict[psutil.Process, float] = {}

    def all_ready() -> bool:
        pids = {line["worker"]: line["pid"] for line in _said(log, "worker started")} or {0: pid}
        for number in (line.get("worker", 0) for line in _said(log, "started")):
            worker = psutil.Process(pids[number])
            if worker not in ready:
                bind(worker, run.cores[number])
                ready[worker] = _cpu(worker)
        return len(ready) == len(run.cores)

    wait_until(lambda: _said(log, "started"), _START, log.read_text)
    began = time.monotonic()
    wait_until(all_ready, _START, log.read_text)
    wait_until(lambda: _is_done(kafka, run), PATIENCE, "the workers to be done")
    ended, cpu = time.monotonic(), sum(_cpu(worker) - before for worker, before in ready.items())
    memory = max(_high_water(worker.pid) for worker in ready)
    return Seen(1e6 * cpu / run.events, run.events / (ended - began), memory)


def _is_done(kafka: KafkaBroker, run: Run) -> bool:
    time.sleep(_LOOK)  # each question takes clients of its own, and a part of the broker's core
    return lag(kafka.bootstrap, run.target, TOPIC) == 0


def _said(log: Path, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("}\n")]
    return [line for line in lines if line["event"] == event]


def _cpu(worker: psutil.Process) -> float:
    times = worker.cpu_times()
    return times.user + times.system


def _high_water(pid: int) -> int:
    found = _HIGH_WATER.search(Path(f"/proc/{pid}/status").read_text())
    assert found is not None  # noqa: S101 - Linux has it
    return 1024 * int(found[1])
