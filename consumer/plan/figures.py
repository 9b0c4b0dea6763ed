"""The plots of a plan: the thread trap, batches, and what carries what."""

from typing import Final

from consumer.plan.measured import Abreast
from consumer.plan.shape import Plan
from consumer.plan.svg import OTHERS, OURS, SECOND, WARNING, Bar, Chart, drawn
from consumer.plan.words import rate_of, seconds_of, us_of

LEGEND: Final = ((OURS, "model"), (SECOND, "decoding, features, encoding"), (OTHERS, "Kafka's clients"))


def trap(plan: Plan, rows: int) -> str:
    """Draw what threads do on a desk, and what replicas and threads do to a machine, with batches of so many rows."""
    cores = plan.measured.machine.cores
    found = [one for one in plan.measured.abreast if one.rows == rows]
    desk = [one for one in found if one.replicas == 1]
    one = "one inference" if rows == 1 else f"a batch of {rows}"
    charts = [
        Chart(
            f"On a desk: one replica, and the time of {one}",
            f"one process on {cores} cores, and the time that it takes of all of them",
            [Bar(_count(cell.threads, "thread"), [(cell.median_seconds, OTHERS)], _times(cell)) for cell in desk],
        ),
        Chart(
            f"On the machine: rows a second of all replicas together, {one} at a time",
            "replicas x threads of each; blue: a replica a core, one thread each; red: more threads than cores",
            [
                Bar(
                    f"{cell.replicas} x {cell.threads}",
                    [(cell.rate, _colour(cell, cores))],
                    f"{rate_of(cell.rate)}/s, 99 %: {seconds_of(cell.p99_seconds)}",
                )
                for cell in found
            ],
        ),
    ]
    return drawn(charts, f"What threads and replicas do to each other, {one} at a time")


def _colour(cell: Abreast, cores: int) -> str:
    if (cell.replicas, cell.threads) == (cores, 1):
        return OURS
    return WARNING if cell.replicas * cell.threads > cores else OTHERS


def _times(cell: Abreast) -> str:
    return f"{seconds_of(cell.median_seconds)}; processor: {seconds_of(1e-6 * cell.cpu_us * cell.rows)}"


def batches(plan: Plan) -> str:
    """Draw what an event costs in batches of each size."""
    kafka = plan.wanted.kafka_us
    bars = [
        Bar(
            f"{one.rows}{' rows' if one.rows > 1 else ' row'}{' ▸' if one.rows == plan.recommended.rows else ''}",
            [(one.model_us, OURS), (one.codec_us, SECOND), (kafka, OTHERS)],
            f"{us_of(one.total_us + kafka)} us; a batch {seconds_of(one.median_seconds)}",
        )
        for one in plan.measured.batches
    ]
    under = (
        f"us of the processor: model; decoding, features, encoding; Kafka. ▸ {plan.recommended.rows} is recommended"
    )
    return drawn(
        [Chart("An event, by the size of its batch", under, bars)], "What an event costs by the size of its batch"
    )


def capacity(plan: Plan) -> str:
    """Draw what is wanted beside what carries it."""
    wanted, made = plan.wanted, plan.recommended
    lines = (
        ("wanted", wanted.rate, OTHERS),
        ("wanted at the peak", wanted.peak, OTHERS),
        ("one replica", made.replica_carries, OURS),
        (f"{made.replicas} on an ordinary day", made.replicas * made.replica_carries, OURS),
        (f"{made.replicas_at_peak} at the peak", made.replicas_at_peak * made.replica_carries, OURS),
        ("this machine", made.machine_carries, SECOND),
        (_count(made.partitions, "partition"), made.partitions_carry, SECOND),
    )
    bars = [Bar(name, [(rate, colour)], f"{rate_of(rate)}/s") for name, rate, colour in lines]
    under = f"events a second, at {made.head_room:.0%} of each core"
    return drawn([Chart("What is wanted, and what carries it", under, bars)], "What is wanted, and what carries it")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
