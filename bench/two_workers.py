"""What do two workers carry on two cores, against one on one core? `onelane run --workers 2` over a backlog.

The broker needs a core too, and the workers have both: by the clock, two of them are held up by it. So what counts is
the processor time of the workers alone. N workers with a core each carry N x 1,000,000 / (CPU microseconds an event);
what they take from each other (caches, memory, rebalances), and the broker from both, shows as time an event.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import Final

import psutil

from bench.backlog import TOPIC, Run, Seen, enrich
from bench.limit import PARTITIONS, load
from bench.pipeline_file import PIPELINES
from tests.support.kafka import STEADY, KafkaBroker

TARGET: Final = 1.9


def main() -> None:
    """Measure in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pipeline", default="small")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[-2:]
    pipeline = PIPELINES / f"{arguments.pipeline}.yaml"
    seen: dict[int, list[Seen]] = {1: [], 2: []}
    with KafkaBroker(jvm=STEADY) as kafka, tempfile.TemporaryDirectory() as folder:
        psutil.Process(kafka.pid).cpu_affinity(cores[:1])
        kafka.create_topic(TOPIC, PARTITIONS)
        load(kafka.bootstrap, arguments.events)
        for turn in range(arguments.rounds):
            for workers, runs in seen.items():
                run = Run(pipeline, f"{workers}-workers-{turn}", arguments.events, cores[-workers:])
                runs.append(enrich(kafka, run, PARTITIONS, Path(folder)))
    print("\n".join(report(seen, arguments.events)))


def report(seen: dict[int, list[Seen]], events: int) -> list[str]:
    """Return the table and the ratio, of the least CPU in all rounds: others only add to it."""
    lines = [
        f"{events:,} events, {PARTITIONS} partitions, exactly once, {len(seen[1])} rounds in turns",
        "",
        "| workers | CPU us an event, least | median | events/s that they carry | events/s by the clock, most |",
        "|---|---|---|---|---|",
    ]
    carried = {}
    for workers, runs in seen.items():
        costs = [one.cpu_us for one in runs]
        carried[workers] = workers * 1e6 / min(costs)
        rates = f"{carried[workers]:,.0f} | {max(one.rate for one in runs):,.0f}"
        lines.append(f"| {workers} | {min(costs):.2f} | {statistics.median(costs):.2f} | {rates} |")
    return [*lines, "", f"target: at least {TARGET}", f"ratio {carried[2] / carried[1]:.2f}"]


if __name__ == "__main__":
    main()
