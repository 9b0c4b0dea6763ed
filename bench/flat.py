"""Does an event cost the same whatever the number of partitions and the backlog? Real workers on real brokers.

Each run is a worker of its own on one core, from its start line until its group has no lag; what one takes for the
first thousand events is taken off, which is joining and the first batches, so the figure is that of each further one.

    python -m bench.flat [--partitions 1 6 50 200] [--backlogs 10000 100000 1000000] [--rounds 2]
"""

import argparse
import tempfile
from pathlib import Path
from typing import Final

from bench.backlog import TOPIC, Run, enrich
from bench.broker import broker_apart
from bench.limit import PARTITIONS, load
from bench.pipeline_file import PIPELINES

_FIRST: Final = 1_000
_EVENTS: Final = 300_000


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 6, 50, 200])
    parser.add_argument("--backlogs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    print(f"| partitions | CPU us an event, of {_EVENTS:,} | memory, MB |\n|---|---|---|")
    for partitions in arguments.partitions:
        print(f"| {partitions} | {_row(partitions, _EVENTS, arguments.rounds)} |", flush=True)
    print(f"\n| events waiting | CPU us an event, of {PARTITIONS} partitions | memory, MB |\n|---|---|---|")
    for events in arguments.backlogs:
        print(f"| {events:,} | {_row(PARTITIONS, events, arguments.rounds)} |", flush=True)


def _row(partitions: int, events: int, rounds: int) -> str:
    """Return the cost of a further event, of the least that all rounds took, and the most memory."""
    first, _ = _least(partitions, _FIRST, rounds)
    seconds, memory = _least(partitions, events, rounds)
    return f"{1e6 * (seconds - first) / (events - _FIRST):.2f} | {memory / 1e6:.0f}"


def _least(partitions: int, events: int, rounds: int) -> tuple[float, int]:
    """Return the CPU seconds of a whole backlog, and the most memory that a worker had."""
    with broker_apart() as (kafka, cores), tempfile.TemporaryDirectory() as folder:
        kafka.create_topic(TOPIC, partitions)
        load(kafka.bootstrap, events, partitions)
        runs = [Run(PIPELINES / "small.yaml", f"enriched-{turn}", events, cores[-1:]) for turn in range(rounds)]
        seen = [enrich(kafka, run, partitions, Path(folder)) for run in runs]
    return min(one.cpu_us for one in seen) * events / 1e6, max(one.memory for one in seen)


if __name__ == "__main__":
    main()
