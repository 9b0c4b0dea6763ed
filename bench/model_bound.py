"""How much of a core does a model get that is all the work? A worker's CPU an event, beside the bare ``invoke()``'s.

    python -m bench.model_bound

Both on one core, in turns: first the model alone, fed by nobody, in batches of several sizes, of which the best
counts; then a worker over a backlog on a real broker, exactly once, from its start line to its group's last commit.
Each is the least of its rounds, since noise only adds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil

from bench.backlog import ROOT, TOPIC, Run, enrich
from bench.events import events
from bench.limit import PARTITIONS
from bench.pipeline_file import PIPELINES
from consumer.assembly import assemble
from consumer.model.file import open_interpreter
from consumer.pipeline.load import load
from tests.support.kafka import STEADY, KafkaBroker
from tests.support.topics import NewRecord, produce

JOB: Final = "attention"
SIZES: Final = (1, 2, 4, 8, 16, 32)
SECONDS: Final = 1.0


def main() -> None:
    """Measure in turns, and print each round and what comes of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", action="store_true", help="run the model alone, and print size -> us a row")
    arguments = parser.parse_args()
    if arguments.bare:
        print(json.dumps(bare_us()))
        return
    cores = sorted(os.sched_getaffinity(0))
    alone, whole = [], []
    print("| bare invoke, us a row, by rows | worker, CPU us an event |\n|---|---|")
    with KafkaBroker(jvm=STEADY) as kafka, tempfile.TemporaryDirectory() as folder:
        psutil.Process(kafka.pid).cpu_affinity(cores[:-1] or cores)
        kafka.create_topic(TOPIC, PARTITIONS)
        produce(
            kafka.bootstrap, TOPIC, [NewRecord(value=value, key=key) for key, value in events(JOB, arguments.events)]
        )
        for number in range(arguments.rounds):
            bare = _bare(cores[-1])
            run = Run(PIPELINES / f"{JOB}.yaml", f"enriched-{number}", arguments.events, cores[-1:])
            alone.append(min(bare.values()))
            whole.append(enrich(kafka, run, PARTITIONS, Path(folder)).cpu_us)
            told = ", ".join(f"{rows}: {cost:.1f}" for rows, cost in bare.items())
            print(f"| {told} | {whole[-1]:.1f} |", flush=True)
    print(f"\nof the bare invoke's rate: {100 * min(alone) / min(whole):.1f} %")


def _bare(core: int) -> dict[str, float]:
    command = ["taskset", "-c", str(core), sys.executable, "-m", "bench.model_bound", "--bare"]
    told: dict[str, float] = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    return told


def bare_us() -> dict[int, float]:
    """Return what a row costs in batches of each size, in microseconds of the processor: nothing but ``invoke()``."""
    assembly = assemble(load(PIPELINES / f"{JOB}.yaml", {}))
    costs = {}
    for rows in SIZES:
        interpreter = open_interpreter(assembly.engine, assembly.model)
        inputs = assembly.plan.samples(rows)
        for name, tensor in assembly.signature.inputs.items():
            interpreter.resize_tensor_input(tensor.index, inputs[name].shape)
        interpreter.allocate_tensors()
        for name, tensor in assembly.signature.inputs.items():
            interpreter.set_tensor(tensor.index, inputs[name])
        interpreter.invoke()
        turns, began = 0, time.process_time()
        while time.process_time() - began < SECONDS:
            interpreter.invoke()
            turns += 1
        costs[rows] = 1e6 * (time.process_time() - began) / (turns * rows)
    return costs


if __name__ == "__main__":
    main()
