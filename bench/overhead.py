"""What Kafka's clients cost an event: a worker's processor time, less what `onelane plan` says of the same pipeline.

    python -m bench.overhead

A real broker on one core, the worker on another. As that cost follows the speed of a machine, it is told as a
multiple of a small piece of work that is always the same, which `onelane plan` times where it runs: the number in
consumer/plan/speed.py.
"""

import argparse
import contextlib
import gzip
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from bench.bare_loop import FLIGHTS
from bench.broker import broker_apart
from bench.limit import PARTITIONS, load, onelane
from bench.pipeline_file import PIPELINES
from consumer.assembly import assemble
from consumer.pipeline.load import load as load_pipeline
from consumer.plan.speed import reference_us
from consumer.plan.way import Way, batch_cost
from consumer.types import Event, PlainEvent

ROWS: Final = 512
SECONDS: Final = 2.0


def main() -> None:
    """Measure in turns, and print each and what comes of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    found = []
    print("microseconds of the processor, an event:\n")
    print("| worker | model and codec, alone | beside a busy core | reference | Kafka's clients | by the reference |")
    print("|---|---|---|---|---|---|")
    with broker_apart() as (kafka, cores), tempfile.TemporaryDirectory() as folder:
        kafka.create_topic("flights", PARTITIONS)
        load(kafka.bootstrap, arguments.events)
        for number in range(arguments.rounds):
            worker = onelane(kafka, f"onelane-{number}", arguments.events, cores[-1], Path(folder)).cpu_us
            alone, reference = enricher_us(), reference_us()
            with busy(cores[0]):
                beside = enricher_us()
            kafka_us = worker * min(1.0, alone / beside) - alone
            found.append(kafka_us / reference)
            cells = [worker, alone, beside, reference, kafka_us, found[-1]]
            print("| " + " | ".join(f"{cell:.2f}" for cell in cells) + " |", flush=True)
    print(f"\nKafka's clients by the reference, median: {statistics.median(found):.2f}")


def enricher_us() -> float:
    """Return what `onelane plan` says of an event of the job, in microseconds of the processor."""
    with gzip.open(FLIGHTS / "events.jsonl.gz") as lines:
        events: list[Event] = [PlainEvent(line.rstrip(b"\n")) for line in lines]
    way = Way(assemble(load_pipeline(PIPELINES / "small.yaml", {})), ROWS)
    return batch_cost(way, events, ROWS, SECONDS).total_us


@contextlib.contextmanager
def busy(core: int) -> Iterator[None]:
    """Keep a core busy, as the broker does beside the worker."""
    process = subprocess.Popen([sys.executable, "-c", "while True: sum(range(1000))"])
    psutil.Process(process.pid).cpu_affinity([core])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
