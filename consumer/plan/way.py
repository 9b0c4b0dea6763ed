"""The way of batches of one size, timed: the processor's time of the model apart from that of all the rest."""

import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from consumer.assembly import Assembly
from consumer.model.runner import Runner
from consumer.model.tensors import Array, Interpreter
from consumer.plan.measured import BatchCost
from consumer.plan.replica import Batch
from consumer.types import Cause, Enriching, Event

_MOST_RUNS: Final = 20_000
_LEAST_RUNS: Final = 3
# A batch that takes longer than this part of its share is not repeated to warm up.
_SLOW: Final = 0.2


class _Timed:
    """An interpreter that counts its seconds, the processor's and the wall's.

    Args:
        runner: does the work.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.cpu = self.wall = 0.0
        self.waits = 0
        self.rebuild = runner.rebuild

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a batch."""
        waits, cpu, began = _waits(), time.thread_time(), time.perf_counter()
        outputs = self._runner.run(inputs)
        self.cpu += time.thread_time() - cpu
        self.wall += time.perf_counter() - began
        self.waits += _waits() - waits
        return outputs


class Way:
    """An enricher for batches of one size, with its interpreter timed.

    Args:
        assembly: the pipeline.
        rows: of its batches at most.
    """

    def __init__(self, assembly: Assembly, rows: int) -> None:
        self._timed: list[_Timed] = []
        verdict = assembly.verdict.of(rows)
        self.enricher: Enriching = msgspec.structs.replace(assembly, verdict=verdict).enrichers(self._watch)()

    @property
    def timed(self) -> _Timed:
        """The interpreter."""
        return self._timed[0]

    def _watch(self, runner: Runner) -> Interpreter:
        self._timed.append(_Timed(runner))
        return self._timed[0]


def batch_cost(way: Way, events: Sequence[Event], rows: int, seconds: float) -> BatchCost:
    """Enrich batches of so many rows for so long, one after the other of what there is, over and over.

    What an event costs is the processor's time, which others on the machine disturb little. Where something else than
    the processor is waited for, it is the wall's of the shortest batch.
    """
    batches = taken(events, rows)
    warm = time.perf_counter()
    way.enricher.enrich(next(batches))
    if time.perf_counter() - warm < _SLOW * seconds:
        way.enricher.enrich(next(batches))
    timed = way.timed
    timed.cpu = timed.wall = 0.0
    timed.waits = 0
    times: list[float] = []
    models: list[float] = []
    waits, cpu, began = _waits(), time.thread_time(), time.perf_counter()
    now = began
    while len(times) < _MOST_RUNS and (now - began < seconds or len(times) < _LEAST_RUNS):
        if times and now - began + times[-1] > 2 * seconds:
            break  # few runs of a slow model are better than a minute of it
        before = timed.wall
        way.enricher.enrich(next(batches))
        after = time.perf_counter()
        times.append(after - now)
        models.append(timed.wall - before)
        now = after
    used, waited = time.thread_time() - cpu, _waits() - waits
    runs = len(times)
    model, codec = timed.cpu / runs, (used - timed.cpu) / runs
    if 2 * timed.waits >= runs:
        model = max(model, min(models))
    if 2 * (waited - timed.waits) >= runs:
        codec = max(codec, float(np.min(np.subtract(times, models))))
    return BatchCost(
        rows=rows,
        model_us=1e6 * model / rows,
        codec_us=1e6 * codec / rows,
        rate=rows * runs / (now - began),
        median_seconds=float(np.median(times)),
        p99_seconds=float(np.percentile(times, 99)),
        runs=runs,
    )


def _waits() -> int:
    """Return how often this thread gave its processor away to wait; that it was taken away does not count."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def taken(events: Sequence[Event], rows: int) -> Iterator[list[Event]]:
    """Return batches of events, going round."""
    count = len(events)
    at = 0
    while True:
        yield [events[(at + place) % count] for place in range(rows)]
        at = (at + rows) % count


def mapped(assembly: Assembly, events: Sequence[Event]) -> Batch:
    """Return what the model is given of a batch, run by run, without running it."""
    reader, plan = assembly.formats.reader, assembly.plan
    rows, unread = reader.read([event.value() for event in events])
    read = [event for place, event in enumerate(events) if place not in unread]
    bad: dict[int, Cause] = {}
    inputs, bad = plan.map(assembly.columns().of(rows, read, bad), len(read), bad)
    if len(bad) == len(read):
        return []
    return [group for _, group in plan.groups(inputs, len(read) - len(bad))]
