"""`onelane plan` says what a worker will do and take; a real worker over a backlog does it, and takes no more.

With room for shared cores and a plan of a few seconds. `python -m bench.predictions` measures how near it is.
"""

import os
from collections.abc import Callable
from pathlib import Path

from bench.backlog import TOPIC, Run, enrich
from bench.limit import load
from bench.predictions import PIPELINE_FILES, planned, prediction
from tests.support.kafka import KafkaBroker

EVENTS = 60_000
PARTITIONS = 6
# A plan this short is coarse, and other tests take caches and turns from both.
TOLERANCE = 2.5
# A backlog this short does not fill what is fetched ahead.
MEMORY_TOLERANCE = 1.6


def test_a_worker_does_what_its_plan_says(
    kafka: KafkaBroker, unique: Callable[[str], str], tmp_path: Path, report: Callable[[str], None]
) -> None:
    """Of the flights example: events a second of a core that is never idle, bytes with a backlog, and at the most."""
    kafka.create_topic(TOPIC, PARTITIONS)
    load(kafka.bootstrap, EVENTS)
    pipeline = PIPELINE_FILES["flights"]
    told = prediction(planned(pipeline, 5, PARTITIONS))
    run = Run(pipeline, unique("planned"), EVENTS, sorted(os.sched_getaffinity(0))[-1:])
    seen = enrich(kafka, run, PARTITIONS, tmp_path)
    rate = 1e6 / seen.cpu_us
    report(
        f"flights, planned and seen: {told.rate:,.0f} and {rate:,.0f} events/s of a core, "
        f"{told.usual_memory / 1e6:,.0f} and {seen.memory / 1e6:,.0f} MB, of {told.memory / 1e6:,.0f} at the most"
    )
    assert told.rate / TOLERANCE < rate < told.rate * TOLERANCE
    assert told.usual_memory / MEMORY_TOLERANCE < seen.memory < told.usual_memory * MEMORY_TOLERANCE
    assert seen.memory <= told.memory
