"""Measurements as a plan is made of, made by hand: a test changes what it is about."""

from collections.abc import Sequence

import msgspec

from consumer.plan.advice import steps, warnings
from consumer.plan.capacity import recommend
from consumer.plan.measured import Abreast, BatchCost, Compared, Events, Machine, Measured, Memory
from consumer.plan.shape import Limits, Plan, Wanted

LIMITS = Limits(rows=256, wait=0.02, time=1.0, checkpoint=0.1, poll_interval=60.0)
WANTED = Wanted(rate=20_000.0, peak=60_000.0, drain=60.0, partitions=None, brokers=3, kafka_us=4.0)
MEMORY = Memory(
    process=80 << 20,
    buffers=400 << 20,
    open_events=300 << 20,
    work=16 << 20,
    interpreter=1 << 20,
    shared=False,
    ahead=60 << 20,
    record=1000,
)


def batch(rows: int, model_us: float, codec_us: float = 2.0) -> BatchCost:
    """Make the cost of a batch that takes as long as its rows take the processor."""
    seconds = rows * (model_us + codec_us) / 1e6
    return BatchCost(
        rows=rows,
        model_us=model_us,
        codec_us=codec_us,
        rate=rows / seconds,
        median_seconds=seconds,
        p99_seconds=2 * seconds,
        runs=10,
    )


def abreast(replicas: int, threads: int, cpu_us: float = 10.0, *, rows: int = 1, rate: float = 1000.0) -> Abreast:
    """Make what replicas do at once."""
    seconds = rows * cpu_us / 1e6
    return Abreast(
        rows=rows,
        replicas=replicas,
        threads=threads,
        rate=rate,
        median_seconds=seconds,
        p99_seconds=3 * seconds,
        cpu_us=cpu_us,
        runs=100,
    )


def measured(
    batches: Sequence[BatchCost] = (batch(1, 40.0), batch(16, 12.0), batch(256, 10.0)),
    together: Sequence[Abreast] = (),
    *,
    cores: int = 2,
    halved_us: float | None = None,
    compared: Sequence[Compared] = (),
) -> Measured:
    """Make measurements of a quiet machine, with events of one's own."""
    return Measured(
        machine=Machine("a processor", cores, 8 << 30, 0.0, "3.11.7", "litert 2.3.0"),
        events=Events("events.jsonl", 1000, 300.0, 0, 1.0),
        load_seconds=0.5,
        interpreter_seconds=0.01,
        batched=True,
        why="",
        batches=list(batches),
        abreast=list(together),
        halved_us=halved_us,
        compared=list(compared),
        left_out=[],
        memory=MEMORY,
        seconds=30.0,
    )


def plan(wanted: Wanted = WANTED, found: Measured | None = None, limits: Limits = LIMITS) -> Plan:
    """Make a plan of measurements."""
    found = measured() if found is None else found
    made = recommend(wanted, found, limits)
    return Plan(
        onelane="0.1.0",
        pipeline="flight-delays@12345678",
        model="delay@12345678",
        wanted=wanted,
        limits=limits,
        measured=found,
        recommended=made,
        warnings=warnings(wanted, found, limits, made),
        steps=steps(wanted, found, limits, made),
    )


def asked(rate: float, peak: float | None = None, partitions: int | None = None, drain: float = 60.0) -> Wanted:
    """Ask for a rate."""
    return msgspec.structs.replace(WANTED, rate=rate, peak=peak or rate, partitions=partitions, drain=drain)
