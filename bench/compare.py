"""What an event costs in onelane and in everything else one might pick: one real broker, one run, on one core.

`python -m bench.compare` runs all ways in turn for each job, sees that each output is complete, and writes
docs/performance.json; `python -m bench.page` makes tables and plots of it. A way's CPU is that of its process and its
children from where it says that it begins to consume until its last record is there: user and system, of all threads.
"""

import argparse
import importlib.metadata
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
import psutil
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from bench.broker import broker_apart
from bench.environments import environment
from bench.events import events
from bench.peers.check import PARTITIONS, ROOT, WAYS, Heard, Way, load, tail
from bench.peers.job import Job
from bench.peers.records import differences
from bench.pipeline_file import write_pipeline
from tests.support.kafka import KafkaBroker
from tests.support.topics import end_offsets, read_all

RESULTS: Final = ROOT / "docs" / "performance.json"
SOURCE: Final = "events"
EVENTS: Final = {"small": 300_000, "mixed": 80_000, "mixed_int8": 120_000, "attention": 18_000}
_ONELANE: Final = {"onelane": "at_least_once", "onelane, exactly once": "exactly_once"}
_PATIENCE: Final = 240.0
_QUIET: Final = 1.0
_LOST: Final = 30.0
_LOOK: Final = 0.05
_SAMPLED: Final = 500
_NUMBER: Final = re.compile(rb'"(?:event_id|id)":(\d+)')


class Taken(msgspec.Struct):
    """What one way took for one job.

    Attributes:
        way: its name.
        job: the job's.
        events: how many there were.
        cpu_us: CPU an event, in microseconds.
        rate: events a second, from the first to the last.
        rss_mb: the most memory, of all its processes.
        first: seconds from its start to its first record.
        missing: how many events have no record, after all were to be there.
        doubled: how many records are too many.
        wrong: how many of a sample are not what they should be.
    """

    way: str
    job: str
    events: int
    cpu_us: float
    rate: float
    rss_mb: float
    first: float
    missing: int
    doubled: int
    wrong: int


class Run:
    """A process of one way, pinned to one core.

    Args:
        command: that starts it.
        folder: of its own.
        core: the number of the core.
    """

    def __init__(self, command: list[str], folder: Path, core: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self.began = time.monotonic()
        with self.log.open("wb") as told:
            pinned = [shutil.which("taskset") or "taskset", "-c", str(core), *command]
            self.process = subprocess.Popen(pinned, stdout=subprocess.PIPE, stderr=told, cwd=folder)
        self.said = Heard(self.process)

    def family(self) -> list[psutil.Process]:
        """Return the process and its children."""
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.process.pid)
            return [own, *own.children(recursive=True)]
        return []

    def cpu(self) -> float:
        """Return the CPU seconds of all of them, so far."""
        seconds = 0.0
        for one in self.family():
            with suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                seconds += times.user + times.system
        return seconds

    def rss(self) -> float:
        """Return the most memory that each had, together, in megabytes."""
        total = 0
        for one in self.family():
            with suppress(OSError):
                status = Path(f"/proc/{one.pid}/status").read_text(encoding="ascii", errors="replace")
                total += sum(map(int, re.findall(r"VmHWM:\s+(\d+) kB", status)))  # none of one that has ended
        return total / 1024

    def wait_ready(self, is_ready: Callable[[], bool]) -> None:
        """Wait until it begins to consume."""
        deadline = time.monotonic() + _PATIENCE
        while not is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{self.process.args!r}: not ready:\n{tail(self.log)}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it as a supervisor would."""
        family = self.family()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", nargs="+", default=list(EVENTS), choices=list(EVENTS))
    parser.add_argument("--ways", nargs="+", help="names of ways; all by default")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of events")
    parser.add_argument("--results", type=Path, help="file; the docs' by default, and none where ways are chosen")
    given = parser.parse_args()
    if given.results is None and given.ways is None:
        given.results = RESULTS
    # Of jobs that are not run this time, the last results stay.
    taken: list[Taken] = []
    if given.results is not None and given.results.exists():
        kept = orjson.loads(given.results.read_bytes())["taken"]
        taken = [one for one in msgspec.convert(kept, list[Taken]) if one.job not in given.jobs]
    for job in given.jobs:
        taken += _job(job, int(EVENTS[job] * given.scale), given.rounds, given.ways)
        if given.results is None:
            continue
        made = {"machine": machine(), "taken": taken}
        given.results.write_bytes(orjson.dumps(msgspec.to_builtins(made), option=orjson.OPT_INDENT_2) + b"\n")


class _Scene(msgspec.Struct, frozen=True):
    """Where all ways of a job are run: a broker that has its events, a folder, the core that the ways have."""

    kafka: KafkaBroker
    job: str
    count: int
    folder: Path
    core: int

    def run(self, name: str, way: Way | None, number: int) -> Taken:
        """Run one way; None is onelane."""
        target = f"{re.sub('[^a-z]+', '-', name)}-{number}"
        self.kafka.create_topic(target, PARTITIONS)
        command = self._onelane(_ONELANE[name], target) if way is None else self._peer(way, target)
        return _measured(Run(command, self.folder / target, self.core), name, self, target)

    def _onelane(self, delivery: str, target: str) -> list[str]:
        self.kafka.create_topic(f"{target}-dead", PARTITIONS)
        file = write_pipeline(self.folder, self.job, self.kafka.bootstrap, (SOURCE, target), delivery)
        return [sys.executable, "-m", "consumer", "run", str(file)]

    def _peer(self, way: Way, target: str) -> list[str]:
        command = [str(environment(way.peer)), str(ROOT / "bench" / "peers" / f"{way.peer}.py")]
        command += ["--bootstrap", self.kafka.bootstrap, "--input", SOURCE, "--output", target, "--group", target]
        return [*command, "--job", self.job, "--folder", str(self.folder / target), *way.options]


def _job(job: str, count: int, rounds: int, wanted: list[str] | None) -> list[Taken]:
    ways: dict[str, Way | None] = {**dict.fromkeys(_ONELANE), **WAYS}
    taken = []
    with broker_apart() as (kafka, cores), tempfile.TemporaryDirectory() as folder:
        kafka.create_topic(SOURCE, PARTITIONS)
        load(kafka.bootstrap, list(events(job, count)))
        _have_internal_topics(kafka.bootstrap)
        scene = _Scene(kafka, job, count, Path(folder), cores[-1])
        for number in range(rounds):
            for name, way in ways.items():
                if wanted is None or name in wanted:
                    taken.append(scene.run(name, way, number))
                    print(taken[-1], flush=True)
    return taken


def _have_internal_topics(bootstrap: str) -> None:
    """Have the broker make those of groups and transactions, which would be part of the first way's start."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "first"})
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        with suppress(KafkaException):  # while the coordinator loads what it has just made
            consumer.committed([TopicPartition(SOURCE, 0)], _PATIENCE)
            break
        time.sleep(_LOOK)
    consumer.close()
    Producer({"bootstrap.servers": bootstrap, "transactional.id": "first"}).init_transactions(_PATIENCE)


def _measured(run: Run, name: str, scene: _Scene, target: str) -> Taken:
    bootstrap, count = scene.kafka.bootstrap, scene.count
    try:
        if name in _ONELANE:
            run.wait_ready(lambda: b'"started"' in run.log.read_bytes())
        else:
            run.wait_ready(run.said.ready.is_set)
        cpu, ready = run.cpu(), time.monotonic()
        first = last = rss = 0.0
        before, spent, ended = 0, cpu, False
        while not ended:
            there, now = sum(end_offsets(bootstrap, target).values()), time.monotonic()
            if there != before:
                before, last, rss = there, now, max(rss, run.rss())
                first = first or now - run.began
            spent = run.cpu() or spent
            ended = (
                (there >= count and now - last > _QUIET)
                or run.process.poll() is not None
                or now - max(last, ready) > _LOST
            )
            time.sleep(_LOOK)
    finally:
        run.stop()
    seen, wrong = _judged(scene, target)
    return Taken(
        way=name,
        job=scene.job,
        events=count,
        cpu_us=round(1e6 * (spent - cpu) / count, 2),
        rate=round(count / max(1e-6, last - ready)),
        rss_mb=round(rss, 1),
        first=round(first, 2),
        missing=count - sum(number in seen for number in range(count)),
        doubled=seen.total() - len(seen),
        wrong=wrong,
    )


def _judged(scene: _Scene, target: str) -> tuple[Counter[int], int]:
    """Count the records of each event, and those of a sample that are not what they should be."""
    seen: Counter[int] = Counter()
    wrong = 0
    one = Job(scene.job).one
    originals = [value for _, value in events(scene.job, _SAMPLED)]
    for record in read_all(scene.kafka.bootstrap, target):
        value = record.value or b"{}"
        found = _NUMBER.search(value)
        number = int(found[1]) if found else -1
        seen[number] += 1
        if 0 <= number < _SAMPLED:
            expected = orjson.loads(one(originals[number]))
            wrong += any(True for _ in differences(_without_origin(orjson.loads(value)), expected))
    return seen, wrong


def _without_origin(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without what onelane says of model and pipeline, which nobody else does."""
    for answer in record.values():
        if isinstance(answer, dict):
            answer.pop("model", None)
            answer.pop("pipeline", None)
    return record


def machine() -> dict[str, Any]:
    """Return what it was measured on."""
    model = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace"))
    packages = ("confluent-kafka", "ai-edge-litert", "numpy", "msgspec", "orjson")
    return {
        "processor": model[0] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "date": time.strftime("%Y-%m-%d"),
    }


if __name__ == "__main__":
    main()
