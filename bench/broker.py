"""The broker of a benchmark: of the machine's cores, it leaves the last one to what is measured."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.support.kafka import STEADY, KafkaBroker


@contextmanager
def broker_apart() -> Iterator[tuple[KafkaBroker, list[int]]]:
    """Yield a broker that is on all cores but the last, and all of them; a sole core is shared."""
    cores = sorted(os.sched_getaffinity(0))
    with KafkaBroker(jvm=STEADY) as kafka:
        psutil.Process(kafka.pid).cpu_affinity(cores[:-1] or cores)
        yield kafka, cores
