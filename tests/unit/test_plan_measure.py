"""Measuring: events made up, replicas that are ended, threads that are counted, a machine that is looked at."""

import os
import signal
import time
from pathlib import Path

import msgspec
import numpy as np
import orjson
import psutil
import pytest

from consumer.assembly import Assembly, assemble
from consumer.exits import PipelineError
from consumer.model.engines import find_engine
from consumer.pipeline.load import load
from consumer.plan import machine
from consumer.plan.abreast import Cell, cells, run_abreast
from consumer.plan.crew import AbreastError, Crew
from consumer.plan.events import made_up, unfiltered
from consumer.plan.replica import Stage, Task
from consumer.plan.speed import Speed
from consumer.plan.way import Way, batch_cost, mapped
from consumer.types import DeadLetter, Enriched, Filtered
from tests.support.flights import FLIGHTS, flight_events, flights, flights_beside
from tests.support.pipelines import changed

EXAMPLES = FLIGHTS.parent


def stage_of(assembly: Assembly) -> Stage:
    """Make what replicas are given."""
    batches = {1: [mapped(assembly, [event]) for event in flight_events(3)], 8: [mapped(assembly, flight_events(8))]}
    return Stage(assembly.engine.name, assembly.model, assembly.signature, {1: (1,), 8: (1, 4, 8)}, batches)


@pytest.mark.parametrize("name", ["flights", "payments", "text", "image"])
def test_events_made_up_are_enriched(name: str) -> None:
    """They hold the declared fields, wherever these stand, and nothing that the mapping refuses."""
    assembly = assemble(load(EXAMPLES / name / "pipeline.yaml", {}))
    results = assembly.enrichers()().enrich(made_up(assembly, 20))
    assert sum(isinstance(result, Enriched) for result in results) >= 18
    assert len({result.event.value() for result in results}) > 10


def test_events_made_up_have_parts_of_records_and_places_in_lists(tmp_path: Path) -> None:
    """Keys, headers, timestamps and raw values are not part of a JSON value."""
    path = flights_beside(tmp_path)
    text = path.read_text()
    text = changed("field: dep_delay,", "field: '@headers.delay',", text)
    text = changed("field: distance,", "field: 'legs[1].miles',", text)
    text = text.replace("field: time_hour,", "field: '@timestamp',").replace("field: origin,", "field: '@key',")
    path.write_text(text)
    assembly = assemble(load(path, {}))
    event = made_up(assembly, 2)[1]
    value = orjson.loads(event.value() or b"")
    assert value["legs"][0] is None
    assert isinstance(value["legs"][1]["miles"], float)
    assert "@key" not in value
    assert [name for name, _ in event.headers() or ()] == ["delay"]
    assert event.key()
    assert event.timestamp() == (1, 1_700_000_000_001)
    assert {type(result) for result in assembly.enrichers()().enrich([event])} <= {Enriched, DeadLetter}


def test_raw_values_are_made_up_as_they_are() -> None:
    """The bytes that a feature makes up are the event."""
    assembly = assemble(load(EXAMPLES / "image" / "pipeline-raw.yaml", {}))
    results = assembly.enrichers()().enrich(made_up(assembly, 3))
    assert [type(result) for result in results] == 3 * [Enriched]


def test_events_of_formats_with_schemas_are_not_made_up() -> None:
    """The argument that would help is named."""
    with pytest.raises(PipelineError, match=r"^--sample: events of format avro can't be made up"):
        made_up(flights("pipeline-avro.yaml"))


def test_made_up_events_are_all_for_the_model(tmp_path: Path) -> None:
    """They say nothing of what a filter keeps, so there is none for them."""
    path = flights_beside(tmp_path, "when: distance > 100000\n")
    assembly = assemble(load(path, {}))
    events = made_up(assembly, 5)
    assert {type(result) for result in assembly.enrichers()().enrich(events)} == {Filtered}
    assert {type(result) for result in unfiltered(assembly).enrichers()().enrich(events)} == {Enriched}


def test_batches_are_timed_by_their_parts() -> None:
    """Model and codec are apart, both more than nothing, and a batch takes as long as both at least."""
    assembly = flights()
    found = batch_cost(Way(assembly, 64), flight_events(100), 64, 0.05)
    assert found.rows == 64
    assert found.runs >= 3
    assert 0 < found.model_us < found.codec_us
    assert found.median_seconds <= found.p99_seconds
    assert found.rate > 0


def test_what_waits_costs_the_time_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model that asks an accelerator, the processor sees nothing, and the worker waits all the same."""
    monkeypatch.setattr(time, "thread_time", lambda: 0.0)
    found = batch_cost(Way(flights(), 64), flight_events(64), 64, 0.05)
    assert found.total_us == 0
    monkeypatch.setattr("consumer.plan.way._waits", iter(range(1_000_000)).__next__)
    found = batch_cost(Way(flights(), 64), flight_events(64), 64, 0.05)
    assert 0 < found.model_us < found.codec_us
    assert found.total_us <= 1e6 * found.median_seconds / 64


def test_what_the_model_is_given_is_what_an_enricher_gives_it() -> None:
    """Without running it; an event that can't be decoded is left out."""
    assembly = flights()
    way = Way(assembly, 8)
    seen: list[dict[str, object]] = []
    run = way.timed.run

    class Recorder:
        rebuild = way.timed.rebuild

        def run(self, inputs: dict[str, object]) -> object:
            seen.append(inputs)
            return run(inputs)  # type: ignore[arg-type]

    way.enricher._interpreter = Recorder()  # type: ignore[attr-defined]
    events = flight_events(8)
    events[3]._value = b"{"
    way.enricher.enrich(events)
    (given,) = mapped(assembly, events)
    assert {len(array) for array in given.values()} == {7}
    for name, array in given.items():
        np.testing.assert_array_equal(array, seen[0][name])
    assert mapped(assembly, [events[3]]) == []


def test_combinations_begin_with_the_telling_ones() -> None:
    """For each size of batch the six that tell the trap; all powers of two only for the smallest."""
    found = cells(4, [1, 64])
    assert found[:6] == [
        Cell(64, 1, 1), Cell(64, 4, 1), Cell(64, 1, 4), Cell(64, 8, 8), Cell(64, 4, 4), Cell(64, 8, 1)
    ]  # fmt: skip
    assert {cell[1:] for cell in found if cell.rows == 1} == {(a, b) for a in (1, 2, 4, 8) for b in (1, 2, 4, 8)}
    assert len(found) == len(set(found)) == 6 + 16
    assert {cell[1:] for cell in cells(1, [1])} == {(1, 1), (2, 1), (1, 2), (2, 2)}
    assert {cell.replicas for cell in cells(6, [1])} == {1, 2, 4, 6, 12}


def test_replicas_run_at_once_and_are_ended() -> None:
    """Each is a process of its own; none is left."""
    with Crew(stage_of(flights())) as crew:
        found = crew.measure(Task(rows=8, threads=1), 2, 0.05, 30.0)
        children = psutil.Process().children()
        replicas = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        assert len(replicas) == 2
    assert (found.rows, found.replicas, found.threads) == (8, 2, 1)
    assert found.runs >= 2
    assert found.rate > 0
    assert found.cpu_us > 0
    assert found.median_seconds <= found.p99_seconds
    assert not any(child.is_running() for child in replicas)


def test_replicas_are_ended_when_measuring_is_broken_off() -> None:
    """By Ctrl-C, say; they themselves do not listen to it."""
    replicas: list[psutil.Process] = []

    def broken_off() -> None:
        with Crew(stage_of(flights())) as crew:
            crew.measure(Task(rows=1, threads=1), 1, 0.01, 30.0)
            replicas.extend(child for child in psutil.Process().children() if "spawn_main" in str(child.cmdline()))
            for replica in replicas:
                os.kill(replica.pid, signal.SIGINT)
            assert crew.measure(Task(rows=1, threads=1), 1, 0.01, 30.0).runs
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert len(replicas) == 1
    assert not replicas[0].is_running()


def test_a_replica_that_dies_or_hangs_is_no_end_of_the_plan() -> None:
    """It says which of these, and all are ended; what it had measured is kept."""
    with Crew(stage_of(flights())) as crew:
        with pytest.raises(AbreastError, match="did not answer in time"):
            crew.measure(Task(rows=1, threads=1), 1, 0.01, 0.0)
        with pytest.raises(AbreastError, match="died"):
            crew.measure(Task(rows=99, threads=1), 1, 0.01, 30.0)  # no such batch: a bug, there
        assert crew.measure(Task(rows=1, threads=1), 1, 0.01, 30.0).runs


def test_what_there_is_no_time_for_is_named() -> None:
    """Every combination is measured or left out; what contention is made of is measured in any case."""
    found, left_out = run_abreast(stage_of(flights()), 2, 1.5, lambda _, __: None)
    assert {(1, 1, 1), (1, 2, 1), (8, 1, 1), (8, 2, 1)} <= {(one.rows, one.replicas, one.threads) for one in found}
    assert {(one.rows, one.replicas, one.threads) for one in found} <= set(cells(2, [1, 8]))
    assert len(found) + len(left_out) == len(cells(2, [1, 8]))


def test_replicas_that_memory_does_not_hold_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as half of what is free holds are run."""
    monkeypatch.setattr("consumer.plan.abreast.available", lambda: 350 << 20)
    monkeypatch.setattr("consumer.plan.abreast.resident", lambda: 100 << 20)
    found, left_out = run_abreast(stage_of(flights()), 4, 1.0, lambda _, __: None)
    assert {one.replicas for one in found} == {1}
    assert "4 x 1 threads, batches of 8: no memory for so many" in left_out


def test_a_machine_is_looked_at() -> None:
    """It has a core at least, and not more are busy than there are."""
    others = machine.Others()
    found = machine.this_machine("litert 2.3.0", others.busy())
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert 0 < machine.available() <= found.memory


def test_only_others_keep_a_machine_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was used, less what this process and its children did, by the time that went by."""
    seconds = iter([(100.0, 50.0, 7.0), (110.0, 68.0, 10.0), (110.0, 51.0, 10.0), (110.0, 50.0, 7.0)])
    monkeypatch.setattr(machine, "_seconds", lambda: next(seconds))
    others = machine.Others()
    assert others.busy() == pytest.approx(1.5)
    assert others.busy() == 0.0
    assert others.busy() == 0.0


def test_kafka_costs_what_the_machine_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its fastest moment, as all else; a cost that is given is taken as it is."""
    looks = iter([1.0, 0.5, 0.75])
    monkeypatch.setattr("consumer.plan.speed.reference_us", lambda: next(looks))
    speed = Speed()
    slow = speed.kafka_us
    speed.look()
    speed.look()
    assert speed.kafka_us == pytest.approx(slow / 2)
    assert Speed(7.0).kafka_us == 7.0


def test_a_container_has_the_memory_that_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine has, where the limit is above it or there is none."""
    monkeypatch.setattr(machine, "limit", lambda: None)
    unlimited = machine.memory()
    monkeypatch.setattr(machine, "limit", lambda: 1 << 50)
    assert machine.memory() == unlimited > 1_048_576
    monkeypatch.setattr(machine, "limit", lambda: 1_048_576)
    assert machine.memory() == 1_048_576


def test_an_interpreter_has_the_threads_that_the_experiment_asks_for() -> None:
    """A pool of them shows in the process, where one thread adds none; the engines differ in nothing else."""
    assembly = assemble(load(EXAMPLES.parent / "bench" / "pipelines" / "mixed.yaml", {}))

    def added(threads: int) -> int:
        engine = find_engine("litert", threads)
        assert msgspec.structs.asdict(engine) | {"interpreter": None} == msgspec.structs.asdict(assembly.engine) | {
            "interpreter": None
        }
        before = psutil.Process().num_threads()
        way = Way(msgspec.structs.replace(assembly, engine=engine), 64)
        way.enricher.enrich(made_up(assembly, 64))
        return psutil.Process().num_threads() - before

    assert added(1) == 0
    assert added(3) == 2
