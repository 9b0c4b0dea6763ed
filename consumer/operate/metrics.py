"""Every metric, as data: the registry, docs/metrics.md and the tests are made from this one list."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from consumer.broker import AbortKind
from consumer.deadletter.causes import Code
from consumer.hold import HoldKind
from consumer.lane import Reason
from consumer.observer import Change
from consumer.operate.pulse import Doing
from consumer.types import Outcome, Stage


class Kind(StrEnum):
    """What Prometheus may do with a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


class Label(msgspec.Struct, frozen=True):
    """A label beside ``pipeline``, which every metric has.

    Attributes:
        name: as it is written.
        values: all that there can be; empty where that is not ours to say.
        meaning: what is in it, where the values are not listed.
    """

    name: str
    values: tuple[str, ...] = ()
    meaning: str = ""


class Metric(msgspec.Struct, frozen=True):
    """One metric.

    Attributes:
        name: as it is scraped.
        kind: what may be done with it.
        help: one sentence.
        unit: what its number counts.
        labels: beside ``pipeline``.
        buckets: upper bounds, of a histogram.
    """

    name: str
    kind: Kind
    help: str
    unit: str = ""
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """All label names, in the order in which values are given."""
        return (PIPELINE, *(label.name for label in self.labels))


PIPELINE: Final = "pipeline"

# A matrix product takes microseconds, a transformer a second; a checkpoint waits for the slowest replica.
_SECONDS: Final = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
)
_ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536)


def _closed(name: str, values: Iterable[str]) -> Label:
    return Label(name, tuple(str(value) for value in values))


_PARTITION: Final = Label("partition", meaning="partitions that this worker has; gone with the partition")

INFO: Final = Metric(
    "onelane_info",
    Kind.INFO,
    "What runs; always 1.",
    labels=(
        Label("version", meaning="of onelane"),
        Label("model", meaning="the file's name and the start of its sha256"),
        Label("mapping", meaning="hash of all that decides what a record says, the model apart"),
        Label("engine", meaning="name and version"),
        _closed("protocol", ("classic", "consumer")),
        _closed("delivery", ("exactly_once", "at_least_once")),
    ),
)

# Work that is undone by an abort is not counted here: these move when results are durable.
EVENTS: Final = Metric(
    "onelane_events_total",
    Kind.COUNTER,
    "Events whose results are durable: enriched, filtered and dead letters.",
    "events",
)
ENRICHED: Final = Metric(
    "onelane_enriched_total", Kind.COUNTER, "Events whose enriched records are durable.", "events"
)
FILTERED: Final = Metric(
    "onelane_filtered_total",
    Kind.COUNTER,
    "Events that `when` keeps from the model, once that is durable, by what became of them.",
    "events",
    (_closed("outcome", Outcome),),
)
DEAD_LETTERS: Final = Metric(
    "onelane_dead_letters_total",
    Kind.COUNTER,
    "Events whose dead letters are durable, by where they fell out and why.",
    "events",
    (_closed("stage", Stage), _closed("cause", Code)),
)

BATCHES: Final = Metric(
    "onelane_batches_total",
    Kind.COUNTER,
    "Batches enriched, by what closed them; again where they were undone.",
    "batches",
    (_closed("reason", Reason),),
)
BATCH_ROWS: Final = Metric("onelane_batch_rows", Kind.HISTOGRAM, "Rows of a batch.", "rows", buckets=_ROWS)
ENRICH: Final = Metric(
    "onelane_enrich_seconds", Kind.HISTOGRAM, "Decoding to encoding of a batch.", "seconds", buckets=_SECONDS
)
INVOKE: Final = Metric(
    "onelane_invoke_seconds", Kind.HISTOGRAM, "One inference that came back.", "seconds", buckets=_SECONDS
)
CHECKPOINT: Final = Metric(
    "onelane_checkpoint_seconds",
    Kind.HISTOGRAM,
    "A checkpoint that made results durable.",
    "seconds",
    buckets=_SECONDS,
)
ABORTS: Final = Metric(
    "onelane_aborts_total",
    Kind.COUNTER,
    "Returns to the last checkpoint, by what made them necessary.",
    "aborts",
    (_closed("kind", AbortKind),),
)
REBALANCES: Final = Metric(
    "onelane_rebalances_total",
    Kind.COUNTER,
    "Times that partitions came or went.",
    "changes",
    (_closed("change", Change),),
)
LANES_OPENED: Final = Metric(
    "onelane_lanes_opened_total",
    Kind.COUNTER,
    "Lanes made; those that stay in a rebalance are not made anew.",
    "lanes",
)

JOINED: Final = Metric("onelane_joined", Kind.GAUGE, "Whether the group has taken this worker in.", "0 or 1")
READY: Final = Metric("onelane_ready", Kind.GAUGE, "Whether /ready says yes.", "0 or 1")
DRAINING: Final = Metric("onelane_draining", Kind.GAUGE, "Whether it was told to stop.", "0 or 1")
LANES: Final = Metric("onelane_lanes", Kind.GAUGE, "Partitions that this worker has.", "lanes")
HELD: Final = Metric(
    "onelane_held",
    Kind.GAUGE,
    "Partitions that are stopped, with their offset kept; there is no series for one that is not.",
    "always 1",
    (_PARTITION, _closed("kind", HoldKind)),
)
LAG_EVENTS: Final = Metric(
    "onelane_lag_events",
    Kind.GAUGE,
    "From what was enriched to the end of the partition, as far as known; none for partitions that were lost.",
    "events",
    (_PARTITION,),
)
LAG_SECONDS: Final = Metric(
    "onelane_lag_seconds",
    Kind.GAUGE,
    "Age of the oldest event that is not enriched yet; 0 without lag.",
    "seconds",
    (_PARTITION,),
)
CHECKPOINT_AGE: Final = Metric(
    "onelane_checkpoint_age_seconds",
    Kind.GAUGE,
    "Since a checkpoint last made results durable, or the start; an idle worker makes none.",
    "seconds",
)
LOOP_AGE: Final = Metric(
    "onelane_loop_age_seconds", Kind.GAUGE, "Since the loop came round, or the start.", "seconds"
)
DOING: Final = Metric(
    "onelane_doing_seconds",
    Kind.GAUGE,
    "How long the worker's thread has been at what it is at; 0 for what it is not at.",
    "seconds",
    (_closed("doing", Doing),),
)
BROKER_WAIT: Final = Metric(
    "onelane_broker_wait_seconds",
    Kind.GAUGE,
    "How long the worker has waited for what the brokers have to give: an answer, a topic, a permission; 0 while it "
    "waits for nothing.",
    "seconds",
)

METRICS: Final = (
    INFO,
    EVENTS,
    ENRICHED,
    FILTERED,
    DEAD_LETTERS,
    BATCHES,
    BATCH_ROWS,
    ENRICH,
    INVOKE,
    CHECKPOINT,
    ABORTS,
    REBALANCES,
    LANES_OPENED,
    JOINED,
    READY,
    DRAINING,
    LANES,
    HELD,
    LAG_EVENTS,
    LAG_SECONDS,
    CHECKPOINT_AGE,
    LOOP_AGE,
    DOING,
    BROKER_WAIT,
)

# What a supervisor of several workers tells beside theirs, each of which then has the label ``worker``.
WORKER: Final = Label("worker", meaning="a worker's number, from 0; of a process also `supervisor`")
UP: Final = Metric(
    "onelane_worker_up",
    Kind.GAUGE,
    "Whether a worker answered its supervisor; what it has to tell is missing where it did not.",
    "0 or 1",
    (WORKER,),
)
RESTARTS: Final = Metric(
    "onelane_worker_restarts_total",
    Kind.COUNTER,
    "Times that a worker was started again by its supervisor.",
    "starts",
    (WORKER,),
)
SUPERVISED: Final = (UP, RESTARTS)
