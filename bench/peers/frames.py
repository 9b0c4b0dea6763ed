"""What Spark's own processes run of the job: a module, so that a process keeps its model from task to task."""

from collections.abc import Iterator
from functools import cache

import pandas as pd

from bench.peers.job import Job

_job = cache(Job)


def enriched(frames: Iterator[pd.DataFrame], job: str) -> Iterator[pd.DataFrame]:
    """Enrich frames of keys and values.

    Args:
        frames: of a task.
        job: its name.
    """
    many = _job(job).many
    for frame in frames:
        yield pd.DataFrame({"key": frame["key"], "value": many(frame["value"].tolist())})
