"""Figures as people read them, and what each recommended setting is for."""

from collections.abc import Iterator
from typing import Final

import msgspec

from consumer.plan.measured import NO_TIME
from consumer.plan.shape import Plan

_UNITS: Final = ((1.0, 1, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "us"))


def seconds_of(seconds: float) -> str:
    """Return 1.23 s, 4.5 ms or 67 us."""
    _, factor, unit = next(one for one in _UNITS if seconds >= one[0])
    return f"{factor * seconds:.3g} {unit}"


def us_of(microseconds: float) -> str:
    """Return three digits of it."""
    return f"{microseconds:,.0f}" if microseconds >= 100 else f"{microseconds:.3g}"  # noqa: PLR2004 - three digits


def rate_of(rate: float) -> str:
    """Return whole ones a second, below ten with a fraction."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2f}"  # noqa: PLR2004 - two digits


def bytes_of(size: int) -> str:
    """Return MiB."""
    return f"{size / 2**20:,.4g} MiB"


def as_json(plan: Plan) -> str:
    """Return it as ``--json`` writes it."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2).decode()


def title_of(plan: Plan) -> str:
    """Return what was asked for."""
    wanted = plan.wanted
    return (
        f"For {rate_of(wanted.rate)} events a second, {rate_of(wanted.peak)} at the peak, and a backlog gone "
        f"in {wanted.drain:g} s"
    )


def left_out_of(plan: Plan) -> Iterator[str]:
    """Return what was not measured, all that has one reason in one line."""
    found: dict[str, list[str]] = {}
    for words in plan.measured.left_out:
        what, _, why = words.rpartition(": ")
        found.setdefault(why, []).append(what)
    for why, whats in found.items():
        yield f"{'; '.join(whats)}: {why}{' (--seconds)' if why == NO_TIME else ''}"


def _part(part: float) -> str:
    return f"{part:.0%}" if part >= 0.01 else "under 1%"  # noqa: PLR2004 - a hundredth


def settings_of(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Return what to set, to what, and why."""
    made, wanted, cost = plan.recommended, plan.wanted, plan.recommended.replica.cost
    yield "batch.rows", f"{made.rows}", f"the smallest that costs within 5 % of the least; now {plan.limits.rows}"
    yield (
        "batch.wait",
        f"{1e3 * made.wait:g}ms",
        f"batches will have about {made.rows_at_rate:.0f} rows at this rate; now {1e3 * plan.limits.wait:g}ms",
    )
    yield "checkpoint", f"{1e3 * made.checkpoint:g}ms", "the shortest that a batch fits in"
    given = (
        "as given"
        if wanted.partitions
        else "twice the replicas at the peak, evenly divisible; more of them later would move keys"
    )
    yield "partitions", f"{made.partitions}", given
    yield "replicas", f"{made.replicas}", f"{_part(made.utilisation)} of their cores at {rate_of(wanted.rate)}/s"
    yield (
        "replicas at the peak",
        f"{made.replicas_at_peak}",
        f"at {rate_of(wanted.peak)}/s, with {made.head_room:.0%} of each core",
    )
    yield "CPU of a replica", f"{made.cpu_request:g}, {made.cpu_limit:g}", "request, limit; one thread, one core"
    whose = f"with all {made.partitions} partitions in one ({wanted.brokers} brokers)"
    yield (
        "memory of a replica",
        f"{made.memory_request // 2**20}Mi, {made.memory_limit // 2**20}Mi",
        f"request: what a backlog takes; limit: the budget; {whose}",
    )
    yield "KEDA lagThreshold", f"{made.lag_threshold:,}", f"what a replica has to spare in {wanted.drain:g} s"
    yield "KEDA minReplicaCount", f"{made.replicas}", "the lag alone does not tell the ordinary rate"
    yield "KEDA maxReplicaCount", f"{made.max_replicas}", "the partitions"
    yield "KEDA cool-down", f"{made.cool_down:g} s", "scaleDown.stabilizationWindowSeconds; cooldownPeriod"
    yield (
        "an event",
        f"{us_of(cost.total_us)} us",
        f"of the processor: model {us_of(cost.model_us)}, codec {us_of(cost.codec_us)}, Kafka {us_of(cost.kafka_us)}",
    )
    yield (
        "one replica carries",
        f"{rate_of(made.replica_carries)}/s",
        f"{made.head_room:.0%} of the {rate_of(made.replica.rate)}/s that it does with a backlog",
    )
    yield "this machine carries", f"{rate_of(made.machine_carries)}/s", f"{plan.measured.machine.cores} replicas"
    yield "partitions carry", f"{rate_of(made.partitions_carry)}/s", f"{made.partitions} replicas on as many cores"
