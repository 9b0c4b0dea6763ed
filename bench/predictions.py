"""Does a worker do what `onelane plan` says of it? Plans, then runs over a backlog, and prints both.

A plan's rate is what a worker does with a core that is never idle: 1,000,000 / its CPU microseconds an event. So that
is what is held against it. By the clock, a worker waits for its broker too, which has the other cores here.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench.backlog import ROOT, TOPIC, Run, Seen, enrich
from bench.broker import broker_apart
from bench.limit import PARTITIONS, load
from bench.pipeline_file import PIPELINES
from consumer.plan.capacity import predict
from consumer.plan.shape import Plan, Prediction

FLIGHTS: Final = ROOT / "examples" / "flights"
PIPELINE_FILES: Final[Mapping[str, Path]] = {
    "flights": FLIGHTS / "pipeline.yaml",
    "mixed": PIPELINES / "mixed.yaml",
}
_SAMPLE: Final = FLIGHTS / "events.jsonl.gz"
_MB: Final = 1e6


def main() -> None:
    """Plan, run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--tries", type=int, default=3, help="at a plan, for a machine on which little else is done")
    arguments = parser.parse_args()
    with broker_apart() as (kafka, cores), tempfile.TemporaryDirectory() as folder:
        kafka.create_topic(TOPIC, PARTITIONS)
        load(kafka.bootstrap, arguments.events)
        busy: list[str] = []
        print("| pipeline | what | predicted | measured | predicted / measured |")
        print("|---|---|---|---|---|")
        for name, pipeline in PIPELINE_FILES.items():
            plans = [planned(pipeline, arguments.seconds, PARTITIONS) for _ in range(arguments.tries)]
            plan = min(plans, key=lambda one: one.measured.machine.busy)
            runs = [Run(pipeline, f"{name}-{turn}", arguments.events, cores[-1:]) for turn in range(arguments.rounds)]
            seen = [enrich(kafka, run, PARTITIONS, Path(folder)) for run in runs]
            print("\n".join(rows(name, prediction(plan), seen)), flush=True)
            busy.append(f"{plan.measured.machine.busy:g} cores while {name} was planned")
        print(f"\nOthers kept busy {', '.join(busy)}.")


def planned(pipeline: Path, seconds: int, partitions: int) -> Plan:
    """Return a plan of a pipeline file for a topic with so many partitions."""
    options = ["--rate", "20000/s", "--sample", str(_SAMPLE), "--partitions", str(partitions), "--brokers", "1"]
    command = [sys.executable, "-m", "consumer", "plan", str(pipeline), *options, "--seconds", str(seconds)]
    done = subprocess.run([*command, "--json", "-"], check=True, stdout=subprocess.PIPE, cwd=ROOT)
    return msgspec.json.decode(done.stdout, type=Plan)


def prediction(plan: Plan) -> Prediction:
    """Return what a plan says of one worker with the batches of its pipeline file and all partitions."""
    limits = plan.limits
    return predict(plan.wanted, plan.measured, limits.rows, plan.recommended.partitions, limits.checkpoint)


def rows(name: str, told: Prediction, seen: Sequence[Seen]) -> Iterator[str]:
    """Return the table's lines: of CPU the least of all runs, since others only add to it; of memory the most."""
    cpu_us, memory = min(one.cpu_us for one in seen), max(one.memory for one in seen)
    lines = (
        ("CPU, us an event", f"{told.cost.total_us:.2f}", f"{cpu_us:.2f}", told.cost.total_us / cpu_us),
        ("events/s of a core", f"{told.rate:,.0f}", f"{1e6 / cpu_us:,.0f}", told.rate * cpu_us / 1e6),
        ("memory, MB", f"{told.usual_memory / _MB:,.0f}", f"{memory / _MB:,.0f}", told.usual_memory / memory),
    )
    for what, ours, theirs, ratio in lines:
        yield f"| {name} | {what} | {ours} | {theirs} | {ratio:.2f} |"
    yield f"| {name} | the budget, which memory never exceeds, MB | {told.memory / _MB:,.0f} | | |"
    yield f"| {name} | events/s by the clock | | {max(one.rate for one in seen):,.0f} | |"


if __name__ == "__main__":
    main()
