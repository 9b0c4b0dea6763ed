"""The metrics of a run: counted by the worker's thread, once a batch at most; gauges are read when asked for."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar

import prometheus_client
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.core import Metric as Family

from consumer.broker import AbortedError, AbortKind
from consumer.hold import Hold
from consumer.lane import Reason
from consumer.observer import Change, Lag
from consumer.operate import metrics
from consumer.operate.metrics import METRICS, Kind, Metric
from consumer.operate.pulse import Doing
from consumer.operate.vitals import Vitals
from consumer.types import DeadLetter, Filtered, Outcome, outcome

# Values of the labels after ``pipeline``, and the number.
Reading: TypeAlias = tuple[tuple[str, ...], float]
V = TypeVar("V", bound=StrEnum)

# Or beside each counter there is a gauge with its birthday.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's own


def _one(number: float) -> list[Reading]:
    return [((), float(number))]


# What each gauge says of a worker.
GAUGES: Final[Mapping[str, Callable[[Vitals], Iterable[Reading]]]] = {
    metrics.JOINED.name: lambda now: _one(now.joined),
    metrics.READY.name: lambda now: _one(now.ready),
    metrics.DRAINING.name: lambda now: _one(now.draining),
    metrics.LANES.name: lambda now: _one(len(now.lanes)),
    metrics.HELD.name: lambda now: [((str(p), holding.hold.kind), 1.0) for p, (holding, _) in now.held.items()],
    metrics.LAG_EVENTS.name: lambda now: [((str(p),), events) for p, (events, _) in now.lags.items()],
    metrics.LAG_SECONDS.name: lambda now: [((str(p),), seconds) for p, (_, seconds) in now.lags.items()],
    metrics.CHECKPOINT_AGE.name: lambda now: _one(now.age if now.checkpoint is None else now.checkpoint),
    metrics.LOOP_AGE.name: lambda now: _one(now.loop),
    metrics.DOING.name: lambda now: [((doing,), now.doing[1] if doing == now.doing[0] else 0.0) for doing in Doing],
    metrics.BROKER_WAIT.name: lambda now: _one(now.waiting[1] if now.waiting else 0.0),
}


class _Gauges:
    """Reads all gauges in one look at the worker, when Prometheus asks."""

    def __init__(self, pipeline: str, vitals: Callable[[], Vitals]) -> None:
        self._pipeline = pipeline
        self._vitals = vitals

    def describe(self) -> Iterable[Family]:
        """Name the gauges without a look."""
        return [_family(metric) for metric in METRICS if metric.kind is Kind.GAUGE]

    def collect(self) -> Iterator[Family]:
        """Read the gauges."""
        now = self._vitals()
        for metric in METRICS:
            if metric.kind is Kind.GAUGE:
                family = _family(metric)
                for values, number in GAUGES[metric.name](now):
                    family.add_metric((self._pipeline, *values), number)
                yield family


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.label_names)


class Meters:
    """An observer that counts for Prometheus.

    What became of events is counted once it is durable: what an abort undoes never shows.

    Args:
        pipeline: its name, a label of every metric.
        vitals: how the worker is when a scrape asks.
    """

    def __init__(self, pipeline: str, vitals: Callable[[], Vitals]) -> None:
        self._pipeline = pipeline
        self.registry = prometheus_client.CollectorRegistry()
        self._info = prometheus_client.Info(
            metrics.INFO.name.removesuffix("_info"), metrics.INFO.help, (metrics.PIPELINE,), registry=self.registry
        )
        self._events = self._counter(metrics.EVENTS).labels(pipeline)
        self._enriched = self._counter(metrics.ENRICHED).labels(pipeline)
        self._filtered = self._counters(metrics.FILTERED, Outcome)
        self._dead = self._counter(metrics.DEAD_LETTERS)
        self._batches = self._counters(metrics.BATCHES, Reason)
        self._rows = self._histogram(metrics.BATCH_ROWS)
        self._enrich = self._histogram(metrics.ENRICH)
        self._invoke = self._histogram(metrics.INVOKE)
        self._checkpoint = self._histogram(metrics.CHECKPOINT)
        self._aborts = self._counters(metrics.ABORTS, AbortKind)
        self._rebalances = self._counters(metrics.REBALANCES, Change)
        self._opened = self._counter(metrics.LANES_OPENED).labels(pipeline)
        self.registry.register(_Gauges(pipeline, vitals))
        prometheus_client.ProcessCollector(registry=self.registry)
        self._open_rows = 0
        self._open_dead: Counter[tuple[str, str]] = Counter()
        self._open_filtered: Counter[Outcome] = Counter()

    def describe(self, labels: Mapping[str, str]) -> None:
        """Tell what runs, once that is known."""
        self._info.labels(self._pipeline).info({label.name: labels[label.name] for label in metrics.INFO.labels})

    def invoked(self, seconds: float) -> None:
        """Count an inference."""
        self._invoke.observe(seconds)

    # What the worker tells.

    def batch(self, partition: int, rows: int, letters: Sequence[DeadLetter], reason: Reason, seconds: float) -> None:
        """Count a batch; its events later."""
        del partition
        self._batches[reason].inc()
        self._rows.observe(rows)
        self._enrich.observe(seconds)
        self._open_rows += rows
        self.too_large(letters)

    def too_large(self, letters: Sequence[DeadLetter]) -> None:
        """Count dead letters, later."""
        self._open_dead.update((letter.cause.stage, letter.cause.code) for letter in letters)

    def filtered(self, results: Sequence[Filtered]) -> None:
        """Count events that the filter keeps from the model, later."""
        self._open_filtered.update(outcome(result) for result in results)

    def checkpoint(self, seconds: float) -> None:
        """Count a checkpoint, and the events that it made durable."""
        self._checkpoint.observe(seconds)
        self._events.inc(self._open_rows)
        self._enriched.inc(self._open_rows - self._open_dead.total() - self._open_filtered.total())
        for what, count in self._open_filtered.items():
            self._filtered[what].inc(count)
        for (stage, code), count in self._open_dead.items():
            self._dead.labels(self._pipeline, stage, code).inc(count)
        self._forget()

    def aborted(self, aborted: AbortedError) -> None:
        """Count an abort; the events since the last checkpoint come again."""
        self._aborts[aborted.kind].inc()
        self._forget()

    def lanes(self, partitions: Collection[int], change: Change) -> None:
        """Count a change."""
        self._rebalances[change].inc()
        if change is Change.ASSIGNED:
            self._opened.inc(len(partitions))

    def joined(self) -> None:
        """Nothing to count."""

    def held(self, partition: int, position: int, hold: Hold) -> None:
        """Nothing to count."""

    def released(self, partition: int) -> None:
        """Nothing to count."""

    def lag(self, lags: Mapping[int, Lag]) -> None:
        """Nothing to count."""

    def beat(self, now: float) -> None:
        """Nothing to count."""

    def _forget(self) -> None:
        self._open_rows = 0
        self._open_dead.clear()
        self._open_filtered.clear()

    # Each series that there can be is there from the start, so that its first step shows as one.

    def _counter(self, metric: Metric) -> prometheus_client.Counter:
        return prometheus_client.Counter(metric.name, metric.help, metric.label_names, registry=self.registry)

    def _counters(self, metric: Metric, values: type[V]) -> dict[V, prometheus_client.Counter]:
        parent = self._counter(metric)
        return {value: parent.labels(self._pipeline, value) for value in values}

    def _histogram(self, metric: Metric) -> prometheus_client.Histogram:
        parent = prometheus_client.Histogram(
            metric.name, metric.help, metric.label_names, registry=self.registry, buckets=metric.buckets
        )
        return parent.labels(self._pipeline)
