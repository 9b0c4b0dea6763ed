"""How long from produce to enriched, as a read_committed reader sees it, at a steady rate: one real broker, one run.

Each event carries the moment at which it was handed to the producer's client; the reader, a process of its own, takes
the difference when it has the enriched record. Prints the median, the 99th percentile and the most, in milliseconds,
what the target is, wait + checkpoint + 25 ms, and what an event cost the worker.

    python -m bench.latency [--rate 10000] [--seconds 20] [--wait 20]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import psutil
from confluent_kafka import Consumer, Producer

from bench.broker import broker_apart
from bench.events import events
from bench.pipeline_file import write_pipeline

PARTITIONS: Final = 6
CHECKPOINT_MS: Final = 100
_MARGIN_MS: Final = 25
_BURST: Final = 0.005
# The broker's code is compiled in that time: before, each request takes many times as long.
_WARM: Final = 20.0
_PATIENCE: Final = 30.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=10_000, help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--wait", type=int, default=20, help="milliseconds that a batch waits for more: batch.wait")
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read(*arguments.read)
        return
    with broker_apart() as (kafka, cores), tempfile.TemporaryDirectory() as folder:
        for topic in ("events", "enriched", "enriched-dead"):
            kafka.create_topic(topic, PARTITIONS)
        file = write_pipeline(Path(folder), "small", kafka.bootstrap, ("events", "enriched"), "exactly_once")
        file.write_text(file.read_text().replace("wait: 20ms", f"wait: {arguments.wait}ms"))
        log = Path(folder) / "log"
        with log.open("wb") as told:
            run = [sys.executable, "-m", "consumer", "run", str(file)]
            worker = subprocess.Popen(run, stdout=told, stderr=told, stdin=subprocess.DEVNULL)
        psutil.Process(worker.pid).cpu_affinity(cores[-1:])
        result = Path(folder) / "result"
        reading = [sys.executable, "-m", "bench.latency", "--read", kafka.bootstrap, str(result)]
        count = int(arguments.rate * (arguments.seconds + _WARM))
        reader = subprocess.Popen([*reading, str(count)])
        try:
            while b'"partitions assigned"' not in log.read_bytes() and worker.poll() is None:
                time.sleep(0.1)
            feed(kafka.bootstrap, arguments.rate, count)
            reader.wait(_PATIENCE)
            spent = sum(psutil.Process(worker.pid).cpu_times()[:2])
        finally:
            reader.kill()
            worker.terminate()
            worker.wait(_PATIENCE)
        taken = np.frombuffer(result.read_bytes(), dtype=np.float64)
    steady = taken[int(arguments.rate * _WARM) :]
    print(f"{len(steady)} events at {arguments.rate} a second, milliseconds from produce to enriched:")
    print(f"median {np.median(steady):.0f}  p99 {np.quantile(steady, 0.99):.0f}  most {steady.max():.0f}")
    target = arguments.wait + CHECKPOINT_MS + _MARGIN_MS
    print(f"target for p99: {target} (wait {arguments.wait} + checkpoint {CHECKPOINT_MS} + {_MARGIN_MS})")
    print(f"CPU us an event, with the start: {1e6 * spent / count:.1f}")


def feed(bootstrap: str, rate: int, count: int) -> None:
    """Produce so many events, evenly, in bursts of five milliseconds."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "queue.buffering.max.messages": 1_000_000})
    values = [orjson.loads(value) for _, value in events("small", 1000)]
    began, done = time.perf_counter(), 0
    while done < count:
        due = min(count, int(rate * (time.perf_counter() - began)))
        for number in range(done, due):
            value = orjson.dumps({**values[number % len(values)], "sent": time.time()})
            producer.produce("events", value, b"%d" % number, number % PARTITIONS)
        done = due
        producer.poll(0)
        time.sleep(_BURST)
    producer.flush(_PATIENCE)


def read(bootstrap: str, result: str, count: str) -> None:
    """Read what is committed, and write how old each record was."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "latency",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10,
        }
    )
    consumer.subscribe(["enriched"])
    ages: list[float] = []
    until = time.monotonic() + 10 * _PATIENCE
    while len(ages) < int(count) and time.monotonic() < until:
        # consume() with a time-out would sit on what there is for all of it, and make each record older than it was.
        first = consumer.poll(0.1)
        messages = [] if first is None else [first, *consumer.consume(5000, 0)]
        now = time.time()
        values = [message.value() or b"{}" for message in messages if message.error() is None]
        ages += [1000 * (now - orjson.loads(value)["sent"]) for value in values]
    consumer.close()
    Path(result).write_bytes(np.array(ages).tobytes())


if __name__ == "__main__":
    main()
