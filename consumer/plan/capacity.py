"""From what was measured to what to deploy: arithmetic, each formula in the docstring of its function.

docs/scaling.md tells it in one piece.
"""

import math
from collections.abc import Sequence
from typing import Final

from consumer.exits import RefusedError
from consumer.plan.measured import Abreast, BatchCost, Measured, Memory
from consumer.plan.shape import Cost, Limits, Prediction, Recommended, Wanted

# The part of a core that is planned with: the rest is for rebalances, a neighbour's partitions, and growth.
HEAD_ROOM: Final = 0.7
# A smaller batch is as good if it costs at most so much more.
_AS_GOOD: Final = 1.05
# A model whose processor time is less than this part of the wall's waits for something else.
_AT_WORK: Final = 0.2
# Seconds, shortest and longest, that rows are to wait for others.
_WAITS: Final = (0.005, 0.05)
_CHECKPOINTS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# Seconds from a lag to a new worker's first event: KEDA's look, the autoscaler's, the pod, the rebalance.
START: Final = 45.0
# Seconds: what the manifests have, and the most that Kubernetes takes.
_COOL_DOWNS: Final = (300.0, 3600.0)
_MEMORY_STEP: Final = 64 * 1024 * 1024
# Times the peak that partitions are to have room for: more of them later would move keys to other partitions.
_GROWTH: Final = 2
# Numbers with small divisors, no two of them far apart.
_EVEN: Final = (1, 2, 3, 4, 6, 8, 12, 16, 18, 24, 30, 36, 48, 60, 72, 96, 120)


def recommend(wanted: Wanted, measured: Measured, limits: Limits) -> Recommended:
    """Say what to deploy.

    Raises:
        RefusedError: no batch was measured.
    """
    best = best_batch(measured.batches, limits.time, wanted.kafka_us)
    cost = full_node_cost(best, measured, wanted.kafka_us)
    carries = HEAD_ROOM * replica_rate(cost)
    at_peak = replicas_needed(wanted.peak, carries)
    partitions = wanted.partitions or even_partitions(_GROWTH * at_peak)
    replicas = even_replicas(replicas_needed(wanted.rate, carries), partitions)
    at_peak = even_replicas(at_peak, partitions)
    waits = wait(best.rows, wanted.rate / partitions)
    gathered = min(float(best.rows), max(1.0, waits * wanted.rate / partitions))
    at_rate = full_node_cost(between(measured.batches, gathered), measured, wanted.kafka_us)
    pause = checkpoint(best.median_seconds)
    replica = predict(wanted, measured, best.rows, partitions, pause)
    limit = _rounded_up(replica.memory)
    request = cpu_request(wanted.peak / at_peak, cost)
    return Recommended(
        rows=best.rows,
        wait=waits,
        checkpoint=pause,
        rows_at_rate=gathered,
        partitions=partitions,
        replicas=replicas,
        replicas_at_peak=at_peak,
        max_replicas=partitions,
        utilisation=wanted.rate / replicas * at_rate.total_us / 1e6,
        cpu_request=request,
        cpu_limit=1.0,
        memory_request=min(limit, _rounded_up(replica.usual_memory)),
        memory_limit=limit,
        lag_threshold=lag_threshold(replica_rate(cost), wanted.rate / replicas, wanted.drain),
        cool_down=cool_down(wanted.drain, measured.load_seconds),
        replica=replica,
        replica_carries=carries,
        machine_carries=measured.machine.cores * carries,
        partitions_carry=partitions * carries,
        head_room=HEAD_ROOM,
    )


def predict(wanted: Wanted, measured: Measured, rows: int, lanes: int, pause: float) -> Prediction:
    """Say what one worker will do with batches of so many rows, so many partitions, and a pause between checkpoints.

    The rate is 1,000,000 / (model + codec + Kafka), in microseconds of the processor an event; it is reached with a
    backlog, when batches are full.
    """
    cost = full_node_cost(between(measured.batches, rows), measured, wanted.kafka_us)
    rate = replica_rate(cost)
    return Prediction(
        rate=rate,
        cost=cost,
        memory=worker_memory(measured.memory, lanes),
        usual_memory=usual_memory(measured.memory, lanes, max(float(rows), pause * rate)),
    )


def best_batch(batches: Sequence[BatchCost], longest: float, kafka_us: float) -> BatchCost:
    """Return the smallest batch that costs at most 5 % more an event than the cheapest of those that are fast enough.

    Args:
        batches: measured.
        longest: seconds that one may take.
        kafka_us: what comes to each event, however large the batch.

    Raises:
        RefusedError: none was measured.
    """
    if not batches:
        raise RefusedError("no batch was measured: give it more --seconds")
    fitting = [one for one in batches if one.median_seconds <= longest] or [min(batches, key=lambda one: one.rows)]
    least = min(one.total_us for one in fitting) + kafka_us
    return min((one for one in fitting if one.total_us + kafka_us <= _AS_GOOD * least), key=lambda one: one.rows)


def between(batches: Sequence[BatchCost], rows: float) -> BatchCost:
    """Return what a batch of any size costs: from the two beside it, on a line over the logarithm of the rows.

    Beyond the largest and the smallest, theirs.
    """
    ordered = sorted(batches, key=lambda one: one.rows)
    above = next((one for one in ordered if one.rows >= rows), ordered[-1])
    below = next((one for one in reversed(ordered) if one.rows <= rows), ordered[0])
    if above.rows <= below.rows:
        return above
    part = math.log(rows / below.rows) / math.log(above.rows / below.rows)

    def on_the_line(low: float, high: float) -> float:
        return low + part * (high - low)

    return BatchCost(
        rows=round(rows),
        model_us=on_the_line(below.model_us, above.model_us),
        codec_us=on_the_line(below.codec_us, above.codec_us),
        rate=on_the_line(below.rate, above.rate),
        median_seconds=on_the_line(below.median_seconds, above.median_seconds),
        p99_seconds=on_the_line(below.p99_seconds, above.p99_seconds),
        runs=0,
    )


def full_node_cost(batch: BatchCost, measured: Measured, kafka_us: float) -> Cost:
    """Return what an event costs where every core of the node does the same: (model + codec + Kafka) x contention."""
    slower = contention(measured.abreast, measured.machine.cores)
    return Cost(slower * batch.model_us, slower * batch.codec_us, slower * kafka_us)


def contention(abreast: Sequence[Abreast], cores: int) -> float:
    """Return by how much neighbours slow a replica down: processor time a row of a replica a core / of one alone.

    Both with one thread and the largest batch that was measured so; never below 1. Caches, memory and
    hyper-threads are shared, which shows as processor time; waiting for a core does not. A model that waits for
    something else than the processor most of its time is not slowed down.
    """
    costs = {
        (one.rows, one.replicas): one.cpu_us
        for one in abreast
        if one.threads == 1 and one.cpu_us * one.rows > _AT_WORK * 1e6 * one.median_seconds
    }
    pairs = [(rows, costs[rows, cores] / alone) for (rows, count), alone in costs.items()
             if count == 1 and (rows, cores) in costs]  # fmt: skip
    return max(1.0, max(pairs, default=(0, 1.0))[1])


def replica_rate(cost: Cost) -> float:
    """Return events a second of one replica with its core fully used: 1,000,000 / microseconds an event."""
    return 1e6 / cost.total_us


def replicas_needed(rate: float, carries: float) -> int:
    """Return ceil(rate / what one carries), and one at least."""
    return max(1, math.ceil(rate / carries))


def even_partitions(replicas: int) -> int:
    """Return the least number of partitions, not below the replicas, that many numbers of replicas divide evenly.

    That is 1, 2, 3, 4, 6, 8, 12, 16, 18, 24, 30, 36, 48, 60, 72, 96, 120, and then multiples of 60.
    """
    small = next((number for number in _EVEN if number >= replicas), None)
    return small or 60 * math.ceil(replicas / 60)


def even_replicas(needed: int, partitions: int) -> int:
    """Return the least number of replicas, not below what is needed, that divides the partitions; all, if none does.

    With any other, the busiest replica has a partition more than the laziest, and decides. KEDA counts so with
    ensureEvenDistributionOfPartitions.
    """
    return next((number for number in range(needed, partitions) if partitions % number == 0), partitions)


def wait(rows: int, lane_rate: float) -> float:
    """Return how long rows should wait for others: rows / (rate of a partition), within 5 to 50 ms.

    Longer than it takes to fill the batch is of no use, and a late result is worse than a batch that is not full. Of
    one row nothing waits.
    """
    least, most = _WAITS
    if rows == 1:
        return least
    return round(min(most, max(least, rows / lane_rate)), 3)


def checkpoint(batch_seconds: float) -> float:
    """Return the pause between checkpoints: 100 ms, or the first of 0.2, 0.5, 1, 2, 5, 10 s that a batch fits in.

    A shorter one would be a transaction a batch.
    """
    return next((one for one in _CHECKPOINTS if one >= batch_seconds), _CHECKPOINTS[-1])


def cpu_request(share: float, cost: Cost) -> float:
    """Return the cores that a replica should be promised: (its events a second at the peak) x cost / head room.

    In steps of a tenth; a whole one from half a core on, and never more, since one thread can't use it.
    """
    cores = share * cost.total_us / 1e6 / HEAD_ROOM
    return 1.0 if cores > 0.5 else max(0.1, math.ceil(10 * cores) / 10)  # noqa: PLR2004 - half a core


def worker_memory(memory: Memory, lanes: int) -> int:
    """Return process + buffers + open events + work + interpreters, in bytes; an interpreter a lane unless shared."""
    return memory.process + memory.buffers + memory.open_events + memory.work + _interpreters(memory, lanes)


def usual_memory(memory: Memory, lanes: int, records: float) -> int:
    """Return process + events fetched ahead + the records of a checkpoint + interpreters, in bytes.

    What a worker takes while it has a backlog, and brokers that keep up; without a backlog there are no events ahead.

    Args:
        memory: of a worker.
        lanes: how many it has.
        records: that are on their way at once: those of a checkpoint.
    """
    return memory.process + memory.ahead + round(records * memory.record) + _interpreters(memory, lanes)


def _interpreters(memory: Memory, lanes: int) -> int:
    return memory.interpreter * (1 if memory.shared else lanes)


def lag_threshold(rate: float, share: float, drain: float) -> int:
    """Return KEDA's lagThreshold: drain x (what a replica can do - what it has to do anyway), in events.

    KEDA asks for lag / lagThreshold replicas (https://keda.sh/docs/latest/scalers/apache-kafka/), minReplicaCount at
    least. So many have this much to spare in the drain time, and a backlog is gone by its end, once they are there,
    for as long as partitions allow them.

    Args:
        rate: of a replica with its core fully used, in events a second.
        share: of the ordinary rate that each of minReplicaCount replicas has.
        drain: seconds.
    """
    return max(1, math.floor(drain * (rate - share)))


def cool_down(drain: float, load_seconds: float) -> float:
    """Return how long the autoscaler should look back before it takes replicas away: 2 x (start + load + drain).

    A replica that goes before the backlog has, comes back a start later. Within 300 s, which the manifests have, and
    3600, the most that Kubernetes takes.
    """
    least, most = _COOL_DOWNS
    return min(most, max(least, float(math.ceil(2 * (START + load_seconds + drain)))))


def _rounded_up(size: int) -> int:
    return _MEMORY_STEP * math.ceil(size / _MEMORY_STEP)
