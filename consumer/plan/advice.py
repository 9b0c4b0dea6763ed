"""What will not do as it is, and what to try next: sentences, made of what was measured and what is recommended."""

from collections.abc import Iterator
from typing import Final

from consumer.plan.capacity import (
    HEAD_ROOM,
    START,
    best_batch,
    between,
    full_node_cost,
    replica_rate,
    replicas_needed,
)
from consumer.plan.measured import MADE_UP, Measured
from consumer.plan.shape import Cost, Limits, Recommended, Step, Wanted
from consumer.plan.words import rate_of

_MEASURED: Final = "measured"
_COMPUTED: Final = "computed"
# A part of an event's cost from which on it is worth a word.
_WORTH: Final = 0.3
_BUSY: Final = 0.25
# Times the lag that is there anyway, which a threshold must not be near.
_APART: Final = 2.0
# max.poll.interval.ms holds so many of the longest batches at least: consumer/kafka/settings.py.
_BATCHES_IN_POLL: Final = 3


def warnings(wanted: Wanted, measured: Measured, limits: Limits, made: Recommended) -> list[str]:
    """Say what will not do as it is, or makes the figures worth less."""
    return [
        *_capacity(wanted, measured, made),
        *_times(wanted, measured, limits, made),
        *_figures(measured),
    ]


def _capacity(wanted: Wanted, measured: Measured, made: Recommended) -> Iterator[str]:
    cores = measured.machine.cores
    for name, rate in (("rate", wanted.rate), ("peak", wanted.peak)):
        needed = replicas_needed(rate, made.replica_carries)
        if needed > made.partitions:
            yield (
                f"the {name} of {rate_of(rate)}/s needs {needed} replicas, but {made.partitions} partitions feed "
                f"{made.partitions} at most, which carry {rate_of(made.partitions_carry)}/s: it needs more"
            )
    if made.replicas_at_peak > cores:
        yield (
            f"{made.replicas_at_peak} replicas at the peak want a core each, and this machine has {cores}: alone it "
            f"would be oversubscribed; {-(-made.replicas_at_peak // cores)} like it are needed"
        )
    together = made.replicas_at_peak * made.memory_limit
    if measured.machine.memory and made.replicas_at_peak <= cores and together > measured.machine.memory:
        several = made.replicas_at_peak > 1
        yield (
            f"{made.replicas_at_peak if several else 'a'} replica{'s' if several else ''} may take "
            f"{together / 2**30:.1f} GiB{' together' if several else ''}, and this machine has "
            f"{measured.machine.memory / 2**30:.1f}"
        )


def _times(wanted: Wanted, measured: Measured, limits: Limits, made: Recommended) -> Iterator[str]:
    single = min(measured.batches, key=lambda one: one.rows)
    if single.median_seconds > limits.time:
        yield f"one row takes {single.median_seconds:.3g} s, longer than a batch may (batch.time, {limits.time:g} s)"
    largest = max(measured.batches, key=lambda one: one.rows)
    filled = between(measured.batches, limits.rows).median_seconds * max(1, limits.rows / largest.rows)
    if filled > limits.time:
        yield (
            f"batch.rows ({limits.rows}) would take {filled:.3g} s, longer than batch.time "
            f"({limits.time:g} s): the worker will close batches before"
        )
    longest = between(measured.batches, made.rows).p99_seconds
    if _BATCHES_IN_POLL * longest > limits.poll_interval:
        yield (
            f"a batch of {made.rows} takes up to {longest:.3g} s, more than a third of max.poll.interval.ms "
            f"({limits.poll_interval:g} s), after which the group expels a worker"
        )
    if wanted.drain < START:
        yield (
            f"--drain {wanted.drain:g} s is less than the {START:g} s from a lag to a new worker's first event: a "
            "backlog is gone before it is there, or is not gone in time"
        )
    anyway = wanted.rate / made.replicas * (made.checkpoint + made.wait + longest)
    if made.lag_threshold < _APART * anyway:
        yield (
            f"lagThreshold ({made.lag_threshold:,}) is near the {anyway:,.0f} events a replica that are on their way "
            "anyway: the number of replicas would swing"
        )


def _figures(measured: Measured) -> Iterator[str]:
    busy, events = measured.machine.busy, measured.events
    if busy > _BUSY:
        yield (
            f"other processes kept {busy:.1f} of {measured.machine.cores} cores busy: the figures are lower than "
            "this machine's own"
        )
    if not measured.batched:
        yield f"the model runs row by row, since {measured.why}: larger batches save it nothing"
    if events.source == MADE_UP:
        yield f"events were made up ({events.bytes:.0f} bytes each, declared fields only): --sample measures your own"
    if events.dead_letters:
        yield (
            f"{events.dead_letters} of {events.count} events of {events.source} would be dead letters, which cost "
            "more: onelane lint --sample tells why"
        )


def steps(wanted: Wanted, measured: Measured, limits: Limits, made: Recommended) -> list[Step]:
    """Say what to try next, the most telling first."""
    cost = made.replica.cost
    found = [*_batch(wanted, measured, limits, cost)]
    found += _compared(wanted, measured, made)
    if cost.model_us > _WORTH * cost.total_us:
        found += _model(measured, made, cost)
    if cost.codec_us > _WORTH * cost.total_us:
        share = cost.codec_us / cost.total_us
        found.append(
            Step(
                "less to decode and to map: fewer fields, shorter texts, smaller pictures",
                f"decoding, features and encoding are {share:.0%} of an event; without them a replica would do "
                f"{rate_of(1e6 / (cost.total_us - cost.codec_us))}/s instead of {rate_of(made.replica.rate)}/s",
                _COMPUTED,
            )
        )
    found.append(
        Step(
            "more partitions, and as many more replicas",
            f"each carries {rate_of(made.replica_carries)}/s more at {HEAD_ROOM:.0%} of its core: one for each of "
            f"{made.partitions} partitions {rate_of(made.partitions_carry)}/s, with twice as many "
            f"{rate_of(2 * made.partitions_carry)}/s",
            _COMPUTED,
        )
    )
    return found


def _batch(wanted: Wanted, measured: Measured, limits: Limits, cost: Cost) -> Iterator[Step]:
    best = best_batch(measured.batches, limits.time, wanted.kafka_us)
    now = full_node_cost(between(measured.batches, limits.rows), measured, wanted.kafka_us)
    if limits.rows != best.rows and now.total_us > 1.05 * cost.total_us:
        yield Step(
            f"batch.rows: {best.rows} instead of {limits.rows}",
            f"{cost.total_us:.3g} us an event instead of {now.total_us:.3g}: a replica does "
            f"{rate_of(replica_rate(cost))}/s instead of {rate_of(replica_rate(now))}/s",
            _MEASURED,
        )


def _compared(wanted: Wanted, measured: Measured, made: Recommended) -> Iterator[Step]:
    """Say what other pipelines give, better or not."""
    for other in measured.compared:
        cost = full_node_cost(other.batch, measured, wanted.kafka_us)
        needed = replicas_needed(wanted.peak, HEAD_ROOM * replica_rate(cost))
        yield Step(
            f"{other.pipeline} instead (model {other.model})",
            f"{cost.total_us:.3g} us an event in batches of {other.batch.rows}, instead of "
            f"{made.replica.cost.total_us:.3g}: a replica would do {rate_of(replica_rate(cost))}/s instead of "
            f"{rate_of(made.replica.rate)}/s, and {needed} carry the peak "
            f"instead of {replicas_needed(wanted.peak, made.replica_carries)}",
            _MEASURED,
        )


def _model(measured: Measured, made: Recommended, cost: Cost) -> Iterator[Step]:
    rest = cost.total_us - cost.model_us
    if measured.halved_us is not None:
        part = measured.halved_us / max(1e-9, between(measured.batches, made.rows).model_us)
        halved = rest + part * cost.model_us
        yield Step(
            "shorter sequences: `max_tokens` at half",
            f"with rows cut to half of their lengths the model costs {part:.0%}: a replica would do "
            f"{rate_of(1e6 / halved)}/s instead of {rate_of(made.replica.rate)}/s",
            _MEASURED,
        )
    half, quarter = rest + cost.model_us / 2, rest + cost.model_us / 4
    yield Step(
        "a cheaper model: int8, fewer layers, a smaller input; --compare measures it",
        f"the model is {cost.model_us / cost.total_us:.0%} of an event. At half of its cost a replica would do "
        f"{rate_of(1e6 / half)}/s, at a quarter {rate_of(1e6 / quarter)}/s, and with no model at all "
        f"{rate_of(1e6 / rest)}/s",
        _COMPUTED,
    )
    yield from _threads(measured, made)


def _threads(measured: Measured, made: Recommended) -> Iterator[Step]:
    """Compare a replica a core with one replica that has a thread a core, in the batches that are recommended."""
    cores = measured.machine.cores
    found = {(one.replicas, one.threads): one for one in measured.abreast if one.rows == made.rows}
    apart, greedy = found.get((cores, 1)), found.get((1, cores))
    if cores == 1 or apart is None or greedy is None:
        return
    told = (
        f"in batches of {made.rows}, {cores} replicas of one thread carry {rate_of(apart.rate)}/s, and "
        f"one replica of {cores} threads {rate_of(greedy.rate)}/s, for {greedy.cpu_us / apart.cpu_us:.2g} times the "
        "processor time a row"
    )
    if apart.rate >= greedy.rate:
        yield Step(f"leave interpreters at one thread: {cores} replicas, not {cores} threads", told, _MEASURED)
    else:
        yield Step("look again on a quiet machine: threads look better here", told, _MEASURED)
