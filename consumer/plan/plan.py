"""The plan, put together: measured, computed, told."""

import time
from typing import Final

import msgspec
import orjson

from consumer import __version__
from consumer.plan.advice import steps, warnings
from consumer.plan.capacity import recommend
from consumer.plan.measure import Subject, Told, limits, measure
from consumer.plan.shape import Plan, Wanted

# Processor time of Kafka's clients for an event, by that of the reference below: `python -m bench.overhead`, which
# takes flights of 323 bytes each, exactly once. docs/scaling.md has its figures.
_KAFKA_BY_REFERENCE: Final = 8.6
_REFERENCE: Final = orjson.dumps(
    {"name": ["Ann", "Ben", "Cleo"], "at": [1.5, 2.25, -3.125], "of": {"a": 1, "b": None}}
)
_TURNS: Final = 200
_LOOKS: Final = 25


def make_plan(subject: Subject, wanted: Wanted, kafka_us: float | None, seconds: float, told: Told) -> Plan:
    """Measure and compute.

    Args:
        subject: what is measured.
        wanted: what was asked for; its ``kafka_us`` is put in here.
        kafka_us: what the clients of Kafka cost an event; None for what was found once, by the speed of this machine.
        seconds: that it may take.
        told: of each step.

    Raises:
        RefusedError: no event reaches the model.
    """
    wanted = msgspec.structs.replace(
        wanted, kafka_us=_KAFKA_BY_REFERENCE * reference_us() if kafka_us is None else kafka_us
    )
    assembly = subject.assembly
    known = limits(assembly)
    measured = measure(subject, wanted.kafka_us, seconds, told)
    made = recommend(wanted, measured, known)
    return Plan(
        onelane=__version__,
        pipeline=assembly.file.label,
        model=assembly.model.label,
        wanted=wanted,
        limits=known,
        measured=measured,
        recommended=made,
        warnings=warnings(wanted, measured, known, made),
        steps=steps(wanted, measured, known, made),
    )


def reference_us() -> float:
    """Return the processor's time for a small piece of work that is always the same: how fast this machine is now.

    In microseconds; the least of some looks, since noise only adds.
    """
    taken = []
    for _ in range(_LOOKS):
        began = time.thread_time()
        for _ in range(_TURNS):
            orjson.loads(_REFERENCE)
        taken.append(1e6 * (time.thread_time() - began) / _TURNS)
    return min(taken)
