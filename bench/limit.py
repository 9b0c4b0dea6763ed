"""How close is the worker to the bare loop? One real broker, one run, both on one core, in turns.

Prints CPU microseconds an event (user and system, of the whole process from ready to its end), events a second, and
last ``ratio N.NN``: the worker's CPU by the bare loop's, each the least of its rounds, since noise only adds.
"""

import argparse
import gzip
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import msgspec
import psutil
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from bench.bare_loop import FLIGHTS, ROWS
from bench.broker import broker_apart
from bench.pipeline_file import write_pipeline
from tests.support.kafka import KafkaBroker
from tests.support.topics import lag, wait_until

PARTITIONS: Final = 6
PATIENCE: Final = 180.0
TARGET: Final = 1.15


class Measured(msgspec.Struct, frozen=True):
    """One run."""

    cpu_us: float
    rate: float


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with broker_apart() as (kafka, cores), tempfile.TemporaryDirectory() as folder:
        kafka.create_topic("flights", PARTITIONS)
        load(kafka.bootstrap, arguments.events)
        runs: dict[str, list[Measured]] = {"bare loop": [], "onelane run": []}
        for number in range(arguments.rounds):
            runs["bare loop"].append(bare(kafka, f"bare-{number}", arguments.events, cores[-1]))
            runs["onelane run"].append(onelane(kafka, f"onelane-{number}", arguments.events, cores[-1], Path(folder)))
        report(runs, arguments.events)


def load(bootstrap: str, count: int, partitions: int = PARTITIONS) -> None:
    """Produce the example's events over and over, keyed, evenly over the partitions."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 1_000_000})
    with gzip.open(FLIGHTS / "events.jsonl.gz") as file:
        lines = [line.rstrip(b"\n") for line in file]
    for number in range(count):
        producer.produce("flights", lines[number % len(lines)], b"%d" % (number % 997), number % partitions)
        if not number % 10_000:
            producer.poll(0)
    if producer.flush(PATIENCE):
        raise SystemExit("the events could not be produced")


def bare(kafka: KafkaBroker, target: str, events: int, core: int) -> Measured:
    """Run the bare loop."""
    kafka.create_topic(target, PARTITIONS)
    command = [sys.executable, "-m", "bench.bare_loop", kafka.bootstrap, "flights", target, str(events)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None  # noqa: S101 - asked for above
    seen = measured(process, (process.stdout, b"ready"), core, lambda: None)
    return checked(seen, process, kafka, target, events)


def onelane(kafka: KafkaBroker, target: str, events: int, core: int, folder: Path) -> Measured:
    """Run the worker until its group has no lag, and stop it as a supervisor would."""
    kafka.create_topic(target, PARTITIONS)
    kafka.create_topic(f"{target}-dead", PARTITIONS, max_message_bytes=1_114_124)
    file = write_pipeline(folder, "small", kafka.bootstrap, ("flights", target), "exactly_once")
    command = [sys.executable, "-m", "consumer", "run", str(file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert process.stderr is not None  # noqa: S101 - asked for above

    def stop() -> None:
        wait_until(lambda: lag(kafka.bootstrap, target, "flights") == 0, PATIENCE, "the worker to be done")
        process.send_signal(signal.SIGTERM)

    seen = measured(process, (process.stderr, b'"started"'), core, stop)
    return checked(seen, process, kafka, target, events)


def measured(
    process: subprocess.Popen[bytes], ready: tuple[IO[bytes], bytes], core: int, stop: Callable[[], None]
) -> tuple[float, float]:
    """Take a process's CPU and wall seconds from its line that says ready to its end."""
    told, word = ready
    watched = psutil.Process(process.pid)
    watched.cpu_affinity([core])
    while word not in (line := told.readline()):
        if not line:
            raise SystemExit(f"ended before it was ready, with code {process.wait()}")
    bind(watched, core)
    before, began = watched.cpu_times(), time.monotonic()
    stop()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime - before.user - before.system, time.monotonic() - began


def bind(process: psutil.Process, core: int) -> None:
    """Keep all threads of a process on one core."""
    for thread in process.threads():
        with suppress(ProcessLookupError):  # it was one of the start's
            os.sched_setaffinity(thread.id, [core])


def checked(
    seen: tuple[float, float], process: subprocess.Popen[bytes], kafka: KafkaBroker, target: str, events: int
) -> Measured:
    """See that the output is complete, without which a figure says nothing."""
    there = count(kafka.bootstrap, target, events)
    if process.returncode or there != events:
        raise SystemExit(f"{target}: code {process.returncode}, {there} of {events} records")
    return Measured(1e6 * seen[0] / events, events / seen[1])


def count(bootstrap: str, topic: str, expected: int, partitions: int = PARTITIONS) -> int:
    """Return how many committed records a topic has; reads until it has seen enough, or nothing for a while."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "count",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    found = 0
    quiet_until = time.monotonic() + 10
    while time.monotonic() < quiet_until and found <= expected:
        messages = consumer.consume(10_000, 0.5)
        found += len(messages)
        if messages:
            quiet_until = time.monotonic() + (1 if found >= expected else 10)
    consumer.close()
    return found


def report(runs: dict[str, list[Measured]], events: int) -> None:
    """Print the table and the ratio."""
    rounds = len(runs["bare loop"])
    what = f"{events:,} flight events, {PARTITIONS} partitions, batches of {ROWS}, exactly once"
    print(f"\n{what}, on one core, {rounds} rounds in turns\n")
    print("| | CPU us an event, least | median | events/s, most |")
    print("|---|---|---|---|")
    for name, taken in runs.items():
        costs = [run.cpu_us for run in taken]
        print(
            f"| {name} | {min(costs):.2f} | {statistics.median(costs):.2f} | {max(run.rate for run in taken):,.0f} |"
        )
    ratio = min(r.cpu_us for r in runs["onelane run"]) / min(r.cpu_us for r in runs["bare loop"])
    print(f"\ntarget: at most {TARGET}")
    print(f"ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
