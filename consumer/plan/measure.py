"""Measuring: what events cost in batches of each size, and what replicas and threads do to each other.

All of it goes the worker's own way, through an Enricher; only what runs abreast runs the model alone. The time is
bounded: each part has a share of it, and a slow model is run less often; what there is no time for is named.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from consumer.assembly import Assembly
from consumer.exits import RefusedError
from consumer.features.block import ABSENT
from consumer.kafka.settings import buffers, client_settings, fetched_ahead
from consumer.lane import OPEN_BYTES
from consumer.model.runner import Runner
from consumer.operate.cores import cores
from consumer.operate.memory import USUAL_OVERHEAD, budget
from consumer.plan.abreast import run_abreast
from consumer.plan.capacity import best_batch
from consumer.plan.machine import Others, this_machine
from consumer.plan.measured import NO_TIME, Abreast, BatchCost, Compared, Events, Measured, Memory
from consumer.plan.replica import Stage
from consumer.plan.shape import Limits
from consumer.plan.speed import Speed
from consumer.plan.way import Way, batch_cost, mapped, taken
from consumer.types import DeadLetter, Event, Filtered

MOST_ROWS: Final = 512
# Parts of the time that there is; what is left is for what comes before and between.
_BATCHES: Final = 0.35
_ABREAST: Final = 0.5
# Of several looks at a size, the cheapest counts: whatever else a machine does takes away, and comes in bursts.
_ROUNDS: Final = 3
_LOOK: Final = 0.05
_HALVED: Final = 0.05
_COMPARED: Final = 0.2
# Different rows that replicas run one by one.
_SINGLES: Final = 16

# Told of each step: the part of all that is done, 0 to 1, and what comes next.
Told = Callable[[float, str], None]


class Subject(NamedTuple):
    """What is measured.

    Attributes:
        assembly: the pipeline; its batches are as the file says.
        events: to go through it.
        source: where they are from.
        load_seconds: it took to assemble.
        brokers: how many there are.
        others: pipelines to compare it with, by their files.
    """

    assembly: Assembly
    events: Sequence[Event]
    source: str
    load_seconds: float
    brokers: int
    others: Mapping[str, Assembly]


def limits(assembly: Assembly) -> Limits:
    """Return what the pipeline file says of batches."""
    spec = assembly.file.spec
    interval = client_settings(spec, "plan", None).consumer["max.poll.interval.ms"]
    return Limits(
        rows=spec.batch.rows,
        wait=float(spec.batch.wait),
        time=float(spec.batch.time),
        checkpoint=float(spec.checkpoint),
        poll_interval=int(interval) / 1000,
    )


def measure(subject: Subject, speed: Speed, seconds: float, told: Told) -> Measured:
    """Measure everything.

    Args:
        subject: what is measured.
        speed: of the machine, looked at on the way: what Kafka costs has a say in which batch is best.
        seconds: that it may take, about.
        told: of each step.

    Raises:
        RefusedError: no event reaches the model.
    """
    began, others = time.perf_counter(), Others()
    assembly = subject.assembly
    told(0.0, "memory")
    memory = worker_memory(subject)
    told(0.05, "the way of an event")
    events, gone = _look(subject, _LOOK * seconds)
    subject = subject._replace(events=gone)
    interpreter_seconds = _interpreter_seconds(assembly)
    batches, left_out = _batches(subject, speed, _BATCHES * seconds, told)
    best = best_batch(batches, assembly.file.spec.batch.time, speed.kafka_us)
    halved = _halved_us(subject, best, _HALVED * seconds) if assembly.plan.ragged else None
    spared = _COMPARED if subject.others else 0.0
    compared = [
        _compared(subject, name, speed, spared * seconds / len(subject.others), told) for name in subject.others
    ]
    abreast, more = _abreast(subject, best.rows, (_ABREAST - spared) * seconds, told)
    return Measured(
        machine=this_machine(f"{assembly.engine.name} {assembly.engine.version}", others.busy()),
        events=events,
        load_seconds=subject.load_seconds,
        interpreter_seconds=interpreter_seconds,
        batched=assembly.verdict.batched,
        why=assembly.verdict.why,
        batches=batches,
        abreast=abreast,
        halved_us=halved,
        compared=compared,
        left_out=left_out + more,
        memory=memory,
        seconds=time.perf_counter() - began,
    )


def worker_memory(subject: Subject) -> Memory:
    """Return what the start line of a worker would say, and what fills with a backlog of these events."""
    assembly = subject.assembly
    spec = assembly.file.spec
    settings = client_settings(spec, "plan", None)
    size = max(1.0, sum(map(len, subject.events)) / len(subject.events))
    made = budget(
        buffers(settings, subject.brokers),
        OPEN_BYTES,
        spec.batch.bytes,
        1,
        assembly.interpreter_bytes(),
    )
    return Memory(
        process=made.process,
        buffers=made.buffers,
        open_events=made.open_events,
        work=made.work,
        interpreter=made.lanes,
        shared=assembly.shared,
        ahead=round(fetched_ahead(settings, size) * (size + USUAL_OVERHEAD)),
        record=round(size + USUAL_OVERHEAD),
    )


def _look(subject: Subject, seconds: float) -> tuple[Events, Sequence[Event]]:
    """Send events through, all of them if there is time, and return those that went."""
    step = subject.assembly.verdict.rows
    enricher = Way(subject.assembly, step).enricher
    dead = apart = gone = 0
    until = time.perf_counter() + seconds
    while gone < len(subject.events) and (not gone or time.perf_counter() < until):
        batch = subject.events[gone : gone + step]
        for result in enricher.enrich(batch):
            dead += isinstance(result, DeadLetter)
            apart += isinstance(result, Filtered)
        gone += len(batch)
    if dead + apart == gone:
        raise RefusedError(
            f"of {gone} events ({subject.source}) none reaches the model: {dead} would be dead letters, {apart} are "
            "not for the model"
        )
    events = subject.events[:gone]
    return Events(
        source=subject.source,
        count=gone,
        bytes=sum(map(len, events)) / gone,
        dead_letters=dead,
        kept=1 - (dead + apart) / gone,
    ), events


def _interpreter_seconds(assembly: Assembly) -> float:
    """Return how long a lane's interpreter takes to be made and run once."""
    inputs = assembly.plan.samples(1)
    began = time.perf_counter()
    runner = Runner(assembly.engine, assembly.model, assembly.signature, assembly.verdict.sizes)
    runner.run({name: array[:, : (array[0] != ABSENT).sum()] if name in assembly.plan.ragged else array
                for name, array in inputs.items()})  # fmt: skip
    return time.perf_counter() - began


def _batches(subject: Subject, speed: Speed, seconds: float, told: Told) -> tuple[list[BatchCost], list[str]]:
    """Measure batches of 1, 2, 4, … rows, as far as batch.bytes and batch.time go."""
    assembly = subject.assembly
    spec = assembly.file.spec
    most = min(MOST_ROWS, max(1, spec.batch.bytes // max(1, assembly.plan.row_bytes)))
    sizes = [1 << power for power in range(most.bit_length())]
    found: dict[int, BatchCost] = {}
    left_out: list[str] = []
    began = time.perf_counter()
    for place, rows in enumerate(_ROUNDS * sizes):
        left = seconds - (time.perf_counter() - began)
        before = found.get(rows, found.get(rows // 2))
        expected = 0.0 if before is None else before.median_seconds * rows / before.rows
        if rows not in found and (expected > spec.batch.time or left_out):
            left_out = left_out or [f"batches of {rows} and more: they would take longer than batch.time"]
            continue
        # The first time round each size has its share, whatever others took: on a busy machine that may be too much.
        if rows in found and 2 * expected > left:
            continue
        if 2 * expected > max(left, seconds / len(sizes)):
            left_out = [f"batches of {rows} and more: {NO_TIME}"]
            continue
        told(0.1 + 0.35 * place / (_ROUNDS * len(sizes)), f"batches of {rows}")
        speed.look()
        share = max(0.0, left) / (_ROUNDS * len(sizes) - place)
        now = batch_cost(Way(assembly, rows), subject.events, rows, share)
        found[rows] = min(now, found.get(rows, now), key=lambda one: one.total_us)
    return list(found.values()), left_out


def _compared(subject: Subject, name: str, speed: Speed, seconds: float, told: Told) -> Compared:
    """Measure another pipeline with the same events."""
    other = subject.others[name]
    batches, _ = _batches(
        subject._replace(assembly=other), speed, seconds, lambda part, words: told(part, f"{name}: {words}")
    )
    best = best_batch(batches, other.file.spec.batch.time, speed.kafka_us)
    return Compared(pipeline=name, model=other.model.label, batch=best)


def _halved_us(subject: Subject, best: BatchCost, seconds: float) -> float:
    """Return what the model costs an event, in microseconds, with all rows cut to half of their lengths."""
    assembly = subject.assembly
    way = Way(assembly, best.rows)
    batch = mapped(assembly, subject.events[: best.rows])
    ragged = set(assembly.plan.ragged)
    halves = [
        {name: array[:, : max(1, array.shape[1] // 2)] if name in ragged else array for name, array in one.items()}
        for one in batch
    ]
    rows = sum(len(next(iter(one.values()))) for one in halves)
    runs = 0
    for one in halves:
        way.timed.run(one)
    way.timed.cpu = 0.0
    began = time.perf_counter()
    while not runs or time.perf_counter() - began < seconds:
        for one in halves:
            way.timed.run(one)
        runs += 1
    return 1e6 * way.timed.cpu / (runs * rows)


def _abreast(subject: Subject, rows: int, seconds: float, told: Told) -> tuple[list[Abreast], list[str]]:
    """Run replicas with batches of one row, and of the rows that cost least."""
    assembly = subject.assembly
    singles = [batch for event in subject.events[: 4 * _SINGLES] if (batch := mapped(assembly, [event]))]
    batches = {1: singles[:_SINGLES]}
    if rows > 1:
        batches[rows] = [mapped(assembly, next(taken(subject.events, rows)))]
    stage = Stage(
        engine=assembly.engine.name,
        model=assembly.model,
        signature=assembly.signature,
        sizes={count: assembly.verdict.of(count).sizes for count in batches},
        batches=batches,
    )
    return run_abreast(stage, cores(), seconds, lambda part, words: told(0.45 + 0.55 * part, words))
