"""The plan, put together: measured, computed, told."""

import msgspec

from consumer import __version__
from consumer.plan.advice import steps, warnings
from consumer.plan.capacity import recommend
from consumer.plan.measure import Subject, Told, limits, measure
from consumer.plan.shape import Plan, Wanted
from consumer.plan.speed import Speed


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
    assembly, speed = subject.assembly, Speed(kafka_us)
    known = limits(assembly)
    measured = measure(subject, speed, seconds, told)
    wanted = msgspec.structs.replace(wanted, kafka_us=speed.kafka_us)
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
