"""Metrics: what is scraped is what is listed, and it says what happened."""

from collections.abc import Callable

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.samples import Sample

from consumer.broker import AbortedError, AbortKind
from consumer.deadletter.causes import Code
from consumer.hold import Hold, HoldKind
from consumer.lane import Reason
from consumer.observer import Change, Lag, Observers
from consumer.operate import metrics
from consumer.operate.meters import GAUGES, Meters
from consumer.operate.metrics import METRICS, Kind
from consumer.operate.pulse import Doing, Pulse
from consumer.operate.vitals import Watcher
from consumer.types import Cause, DeadLetter, PlainEvent, Stage
from tests.support.memory import Clock
from tests.support.scrape import samples, total

WALL = 1_700_000_000.0
BAD = DeadLetter(PlainEvent(b"{"), Cause(Stage.DECODE, Code.MALFORMED, "bad"))
LARGE = DeadLetter(PlainEvent(b"{}"), Cause(Stage.WRITE, Code.TOO_LARGE, "large"))
RUNS = {
    "version": "1.2",
    "model": "m@1",
    "mapping": "abc",
    "engine": "litert 2",
    "protocol": "classic",
    "delivery": "exactly_once",
}


class Bench:
    """A watcher and meters, told the same, on a clock turned by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pulse = Pulse(10.0, self.clock)
        self.draining = False
        began = self.clock.now
        self.watcher = Watcher(self.pulse, lambda: self.draining, self.clock, lambda: WALL + self.clock.now - began)
        self.meters = Meters("p", self.watcher.vitals)
        self.told = Observers(self.watcher, self.meters)

    def scrape(self) -> list[Sample]:
        """What Prometheus would read now."""
        return samples(generate_latest(self.meters.registry))

    def value(self, name: str, **labels: str) -> float:
        """A metric's sum over all other labels."""
        return total(self.scrape(), name, **labels)


@pytest.fixture(name="bench")
def _bench() -> Bench:
    return Bench()


def everything(bench: Bench) -> None:
    """Let everything happen that has a metric."""
    bench.meters.describe(RUNS)
    bench.told.joined()
    bench.told.lanes([0, 1, 2], Change.ASSIGNED)
    bench.told.lag({0: Lag(5, 1000), 1: Lag(0, None)})
    bench.told.batch(0, 10, [BAD], Reason.ROWS, 0.002)
    bench.told.too_large([LARGE])
    bench.meters.invoked(0.001)
    bench.told.checkpoint(0.01)
    bench.told.aborted(AbortedError("away", kind=AbortKind.UNDELIVERED))
    bench.told.held(1, 7, Hold(HoldKind.GUARD, "500 in a row", Code.MALFORMED))
    bench.told.beat(bench.clock.now)


def test_what_is_scraped_is_what_is_listed(bench: Bench) -> None:
    """No metric is missing, none is there beside them but those of the process, and each has its labels."""
    everything(bench)
    found: dict[str, set[str]] = {}
    for sample in bench.scrape():
        name = sample.name
        for suffix in ("_bucket", "_sum", "_count"):
            name = name.removesuffix(suffix)
        found.setdefault(name, set()).update(set(sample.labels) - {"le"})
    ours = {name: labels for name, labels in found.items() if not name.startswith("process_")}
    assert ours == {metric.name: set(metric.label_names) for metric in METRICS}
    assert "process_resident_memory_bytes" in found


def test_labels_have_listed_values_only(bench: Bench) -> None:
    """And the pipeline's name is on every metric."""
    everything(bench)
    listed = {
        (metric.name, label.name): set(label.values) for metric in METRICS for label in metric.labels if label.values
    }
    seen = set()
    for sample in bench.scrape():
        if sample.name.startswith("process_"):
            continue
        assert sample.labels["pipeline"] == "p"
        for label, value in sample.labels.items():
            if (sample.name, label) in listed:
                seen.add((sample.name, label))
                assert value in listed[sample.name, label]
    assert seen == listed.keys()


def test_every_gauge_has_a_reading_and_every_histogram_buckets() -> None:
    """The list and what reads it can't drift apart."""
    assert set(GAUGES) == {metric.name for metric in METRICS if metric.kind is Kind.GAUGE}
    for metric in METRICS:
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
        assert list(metric.buckets) == sorted(set(metric.buckets))


def test_names_are_as_prometheus_wants_them() -> None:
    """Counters end in _total, what is in seconds says so, and all are ours by their first word."""
    for metric in METRICS:
        assert metric.name.startswith("onelane_")
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert metric.name.endswith("_seconds") == (metric.unit == "seconds")
        assert metric.help.endswith(".")


def test_events_count_when_they_are_durable(bench: Bench) -> None:
    """Not before their checkpoint, and an abort takes them back before anybody has seen them."""
    bench.told.batch(0, 10, [BAD, BAD], Reason.ROWS, 0.002)
    bench.told.too_large([LARGE])
    assert bench.value("onelane_events_total") == 0
    bench.told.aborted(AbortedError("fenced", kind=AbortKind.FENCED))
    bench.told.checkpoint(0.01)
    assert bench.value("onelane_events_total") == 0
    bench.told.batch(0, 10, [BAD, BAD], Reason.ROWS, 0.002)
    bench.told.too_large([LARGE])
    bench.told.checkpoint(0.01)
    bench.told.checkpoint(0.01)
    assert bench.value("onelane_events_total") == 10
    assert bench.value("onelane_enriched_total") == 7
    assert bench.value("onelane_dead_letters_total", stage="decode", cause="Malformed") == 2
    assert bench.value("onelane_dead_letters_total", stage="write", cause="TooLarge") == 1
    assert bench.value("onelane_dead_letters_total") == 3


def test_work_counts_when_it_is_done(bench: Bench) -> None:
    """Batches by reason, their rows, and all durations, also those that are undone later."""
    bench.told.batch(0, 3, [], Reason.WAIT, 0.25)
    bench.told.batch(0, 300, [], Reason.ROWS, 0.5)
    bench.meters.invoked(0.125)
    bench.told.checkpoint(0.0625)
    assert bench.value("onelane_batches_total", reason="wait") == 1
    assert bench.value("onelane_batches_total") == 2
    assert bench.value("onelane_batch_rows_sum") == 303
    assert bench.value("onelane_batch_rows_bucket", le="4.0") == 1
    assert bench.value("onelane_enrich_seconds_sum") == 0.75
    assert bench.value("onelane_invoke_seconds_sum") == 0.125
    assert bench.value("onelane_checkpoint_seconds_sum") == 0.0625


@pytest.mark.parametrize("kind", AbortKind)
def test_aborts_are_told_apart(bench: Bench, kind: AbortKind) -> None:
    """And all of their series are there before the first."""
    assert sum(1 for sample in bench.scrape() if sample.name == "onelane_aborts_total") == len(AbortKind)
    bench.told.aborted(AbortedError("why", kind=kind))
    assert bench.value("onelane_aborts_total", kind=kind) == bench.value("onelane_aborts_total") == 1


@pytest.mark.parametrize("change", [Change.REVOKED, Change.LOST])
def test_what_belongs_to_a_partition_goes_with_it(bench: Bench, change: Change) -> None:
    """Whether revoked or lost: no series of it is left, and the others stay."""
    bench.told.lanes([0, 1], Change.ASSIGNED)
    bench.told.lag({0: Lag(5, 1000), 1: Lag(6, 1000)})
    bench.told.held(0, 7, Hold(HoldKind.GUARD, "why"))
    bench.told.held(1, 7, Hold(HoldKind.REFUSED, "why"))
    bench.told.lanes([0], change)
    found = bench.scrape()
    assert {one.labels["partition"] for one in found if "partition" in one.labels} == {"1"}
    assert total(found, "onelane_lanes") == 1
    assert total(found, "onelane_rebalances_total", change=change) == 1


def test_lanes_that_stay_are_not_opened_again(bench: Bench) -> None:
    """Three come, one goes, another comes: four were opened, three are there."""
    bench.told.lanes([0, 1, 2], Change.ASSIGNED)
    bench.told.lanes([2], Change.REVOKED)
    bench.told.lanes([3], Change.ASSIGNED)
    assert bench.value("onelane_lanes_opened_total") == 4
    assert bench.value("onelane_lanes") == 3


def test_a_partition_is_held_until_it_is_released_or_goes(bench: Bench) -> None:
    """One series a held partition, with its kind; none for the others."""
    bench.told.lanes([0, 1], Change.ASSIGNED)
    for partition in (0, 1):
        bench.told.held(partition, 7, Hold(HoldKind.REFUSED, "why"))
    bench.told.released(0)
    held = [sample for sample in bench.scrape() if sample.name == "onelane_held"]
    assert [(one.labels["partition"], one.labels["kind"], one.value) for one in held] == [("1", "refused", 1.0)]
    bench.told.lanes([1], Change.REVOKED)
    bench.told.lanes([1], Change.ASSIGNED)
    assert bench.value("onelane_held") == 0


def test_a_partition_may_come_as_a_held_one(bench: Bench) -> None:
    """An earlier owner has noted it: the worker tells of the hold first, then of the lane."""
    bench.told.held(1, 7, Hold(HoldKind.GUARD, "why"))
    bench.told.lanes([0, 1], Change.ASSIGNED)
    assert bench.value("onelane_held", partition="1", kind="guard") == 1


def test_lag_in_seconds_grows_while_nothing_moves(bench: Bench) -> None:
    """It is the age of the oldest event to come at the time of the scrape, and 0 where there is none."""
    bench.told.lanes([0, 1, 2, 3], Change.ASSIGNED)
    early = int((WALL - 2.5) * 1000)
    bench.told.lag({0: Lag(4, early), 1: Lag(0, early), 2: Lag(4, None), 3: Lag(4, int((WALL + 60) * 1000))})
    assert [bench.value("onelane_lag_seconds", partition=str(p)) for p in range(4)] == [2.5, 0, 0, 0]
    assert [bench.value("onelane_lag_events", partition=str(p)) for p in range(4)] == [4, 0, 4, 4]
    bench.clock.sleep(10)
    assert bench.value("onelane_lag_seconds", partition="0") == 12.5


def age_of_loop(bench: Bench) -> None:
    """The loop comes round."""
    bench.told.beat(bench.clock.now)


def age_of_checkpoint(bench: Bench) -> None:
    """A checkpoint is made."""
    bench.told.checkpoint(0.01)


@pytest.mark.parametrize(
    ("name", "act"),
    [("onelane_loop_age_seconds", age_of_loop), ("onelane_checkpoint_age_seconds", age_of_checkpoint)],
)
def test_ages_count_from_the_start_and_then_from_the_last_one(
    bench: Bench, name: str, act: Callable[[Bench], None]
) -> None:
    """So that a worker whose first never comes shows it too."""
    bench.clock.sleep(5)
    assert bench.value(name) == 5
    act(bench)
    assert bench.value(name) == 0
    bench.clock.sleep(2)
    assert bench.value(name) == 2


def test_what_the_thread_is_at_and_for_how_long(bench: Bench) -> None:
    """The one thing has seconds, the others none."""
    bench.pulse.beat()
    with bench.pulse.within(Doing.INVOKE):
        bench.clock.sleep(3)
        assert bench.value("onelane_doing_seconds", doing="invoke") == 3
        assert bench.value("onelane_doing_seconds") == 3
    bench.pulse.waits("the group")
    bench.clock.sleep(4)
    assert bench.value("onelane_broker_wait_seconds") == 4
    bench.pulse.answered()
    assert bench.value("onelane_broker_wait_seconds") == 0


def test_ready_joined_and_draining_are_numbers(bench: Bench) -> None:
    """As /ready says."""
    names = ("onelane_joined", "onelane_ready", "onelane_draining")
    assert [bench.value(name) for name in names] == [0, 0, 0]
    bench.told.joined()
    assert [bench.value(name) for name in names] == [1, 1, 0]
    bench.draining = True
    assert [bench.value(name) for name in names] == [1, 0, 1]


def test_what_runs_is_told_once_it_is_known(bench: Bench) -> None:
    """The model is opened after the first scrape may have come."""
    assert not [sample for sample in bench.scrape() if sample.name == metrics.INFO.name]
    bench.meters.describe(RUNS)
    assert bench.value(metrics.INFO.name, **RUNS) == 1


def test_counters_have_no_birthdays(bench: Bench) -> None:
    """A gauge beside each would double the series."""
    everything(bench)
    assert not [sample for sample in bench.scrape() if sample.name.endswith("_created")]
