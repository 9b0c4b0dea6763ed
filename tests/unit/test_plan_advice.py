"""What a plan warns of, and what it says to try next."""

import msgspec
import pytest

from consumer.plan.measured import MADE_UP, Compared, Events, Measured
from consumer.plan.shape import Wanted
from tests.support.plans import LIMITS, WANTED, abreast, asked, batch, measured, plan

SLOW = measured([batch(1, 700_000.0)])


def test_a_quiet_machine_with_enough_of_all_is_not_warned_of() -> None:
    """Nothing is said for the sake of it."""
    assert plan().warnings == []


@pytest.mark.parametrize(
    ("wanted", "found", "words"),
    [
        (asked(1e6, partitions=6), measured(), "the rate of 1,000,000/s needs 23 replicas, but 6 partitions feed 6"),
        (asked(1e5), measured(), "3 replicas at the peak want a core each, and this machine has 2"),
        (WANTED, measured([batch(1, 700_000.0)]), "batch.rows (256) would take 179 s, longer than batch.time (1 s)"),
        (WANTED, measured([batch(1, 2e6)]), "one row takes 2 s, longer than a batch may (batch.time, 1 s)"),
        (WANTED, measured([batch(1, 2e7)]), "more than a third of max.poll.interval.ms (60 s)"),
        (asked(20_000.0, drain=10.0), measured(), "--drain 10 s is less than the 45 s"),
        (asked(1e6, partitions=6), measured(), "lagThreshold (1) is near"),
    ],
)
def test_what_will_not_do_is_warned_of(wanted: Wanted, found: Measured, words: str) -> None:
    """With the numbers that make it so."""
    assert [warning for warning in plan(wanted, found).warnings if words in warning]


def test_figures_that_are_worth_less_are_named() -> None:
    """A busy machine, events that were made up, dead letters among them, a model that goes row by row."""
    found = measured()
    machine = msgspec.structs.replace(found.machine, busy=1.5)
    odd = msgspec.structs.replace(
        found, machine=machine, events=Events(MADE_UP, 512, 200.0, 3, 0.99), batched=False, why="rows fold"
    )
    told = "\n".join(plan(found=odd).warnings)
    for words in ("1.5 of 2 cores busy", "made up (200 bytes", "3 of 512 events", "row by row, since rows fold"):
        assert words in told


def test_replicas_that_do_not_fit_into_memory_are_warned_of() -> None:
    """Those at the peak together, where the machine has cores for them."""
    found = measured()
    small = msgspec.structs.replace(found, machine=msgspec.structs.replace(found.machine, memory=1 << 30))
    assert "2 replicas may take 1.6 GiB together, and this machine has 1.0" in plan(found=small).warnings
    smaller = msgspec.structs.replace(found, machine=msgspec.structs.replace(found.machine, memory=1 << 29))
    alone = msgspec.structs.replace(WANTED, rate=1.0, peak=1.0)
    assert "a replica may take 0.8 GiB, and this machine has 0.5" in plan(alone, found=smaller).warnings


def test_a_heavy_model_is_told_what_a_cheaper_one_gives() -> None:
    """At half and a quarter of its cost, and without any; by the arithmetic of 90 + 2 + 8 us."""
    found = measured([batch(1, 90.0)])
    wanted = msgspec.structs.replace(WANTED, kafka_us=8.0)
    (step,) = [one for one in plan(wanted, found).steps if "int8" in one.what]
    assert step.basis == "computed"
    assert "the model is 90% of an event" in step.effect
    assert "18,182/s, at a quarter 30,769/s, and with no model at all 100,000/s" in step.effect


def test_a_light_model_is_no_use_to_make_lighter() -> None:
    """The codec is the work, and what it is without is told."""
    steps = plan(found=measured([batch(1, 0.1, 20.0)])).steps
    assert not [one for one in steps if "int8" in one.what]
    (codec,) = [one for one in steps if "decode" in one.what]
    assert "decoding, features and encoding are 83% of an event" in codec.effect


def test_shorter_sequences_are_told_as_measured() -> None:
    """A model that costs 40 % with half of its tokens."""
    (step,) = [one for one in plan(found=measured([batch(1, 100.0)], halved_us=40.0)).steps if "shorter" in one.what]
    assert step.basis == "measured"
    assert "the model costs 40%: a replica would do 21,739/s instead of 9,434/s" in step.effect


def test_other_pipelines_are_told_as_measured() -> None:
    """By what an event costs with them, and how many replicas the peak takes."""
    other = Compared("int8.yaml", "delay_int8@1", batch(64, 1.0, 3.0))
    (step,) = [one for one in plan(found=measured(compared=[other])).steps if "int8.yaml" in one.what]
    assert (step.what, step.basis) == ("int8.yaml instead (model delay_int8@1)", "measured")
    assert "8 us an event in batches of 64, instead of 16: a replica would do 125,000/s" in step.effect
    assert "and 1 carry the peak instead of 2" in step.effect


def test_batches_that_are_too_small_are_told() -> None:
    """With what both cost an event."""
    small = msgspec.structs.replace(LIMITS, rows=1)
    (step,) = [one for one in plan(limits=small).steps if "batch.rows" in one.what]
    assert step.what == "batch.rows: 256 instead of 1"
    assert "16 us an event instead of 46" in step.effect
    assert not [one for one in plan().steps if "batch.rows" in one.what]


def test_threads_are_told_of_as_they_were_measured() -> None:
    """In the batches that are recommended; where they look better, too: a plan says what was measured."""
    apart = [abreast(1, 1, 50.0), abreast(2, 1, 50.0, rate=40_000.0), abreast(1, 2, rows=16, rate=90_000.0)]
    heavy = [batch(1, 50.0)]
    worse = measured(heavy, [*apart, abreast(1, 2, 80.0, rate=25_000.0)])
    (step,) = [one for one in plan(found=worse).steps if "thread" in one.what]
    assert step.what == "leave interpreters at one thread: 2 replicas, not 2 threads"
    assert "in batches of 1, 2 replicas of one thread carry 40,000/s," in step.effect
    assert "2 threads 25,000/s, for 1.6 times the processor time" in step.effect
    better = measured(heavy, [*apart, abreast(1, 2, 80.0, rate=50_000.0)])
    (step,) = [one for one in plan(found=better).steps if "thread" in one.what]
    assert step.what.startswith("look again on a quiet machine")
    assert not [one for one in plan(found=measured(heavy, apart)).steps if "thread" in one.what]


def test_more_partitions_are_always_a_way() -> None:
    """Twice as many carry twice as much."""
    last = plan().steps[-1]
    assert last.what == "more partitions, and as many more replicas"
    assert "4 partitions 175,000/s, with twice as many 350,000/s" in last.effect
    assert plan(found=SLOW).steps[-1].what == last.what
