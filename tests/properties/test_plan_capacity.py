"""What holds for every plan, whatever was measured."""

import math

from hypothesis import assume, given
from hypothesis import strategies as st

from consumer.plan.capacity import HEAD_ROOM, best_batch, even_partitions, even_replicas, recommend
from consumer.plan.measured import BatchCost, Measured
from consumer.plan.shape import Recommended
from tests.support.plans import LIMITS, abreast, asked, batch, measured

RATES = st.floats(0.01, 1e7)
COSTS = st.lists(st.tuples(st.floats(0.05, 1e6), st.floats(0.5, 500)), min_size=1, max_size=10)
FOUND = st.builds(
    lambda costs, cores, slower: measured(
        [batch(1 << power, *cost) for power, cost in enumerate(costs)],
        [abreast(1, 1), abreast(cores, 1, 10.0 * slower)],
        cores=cores,
    ),
    COSTS,
    st.integers(1, 64),
    st.floats(0.5, 3),
)
PARTITIONS = st.none() | st.integers(1, 200)


def recommended(rate: float, peak: float, found: Measured, partitions: int | None) -> Recommended:
    """Make a recommendation."""
    return recommend(asked(rate, peak, partitions), found, LIMITS)


@given(RATES, st.floats(1, 100), FOUND, PARTITIONS)
def test_replicas_stay_within_the_partitions_and_divide_them(
    rate: float, times: float, found: Measured, partitions: int | None
) -> None:
    """1 <= replicas <= replicas at the peak <= partitions, and each has as many partitions as the others."""
    made = recommended(rate, rate * times, found, partitions)
    assert 1 <= made.replicas <= made.replicas_at_peak <= made.partitions == made.max_replicas
    assert made.partitions % made.replicas == made.partitions % made.replicas_at_peak == 0
    assert partitions in (None, made.partitions)
    assert 0 < made.memory_request <= made.memory_limit


@given(RATES, st.floats(1, 10), FOUND)
def test_replicas_at_the_peak_carry_the_peak(rate: float, times: float, found: Measured) -> None:
    """With head room, where the partitions are not given."""
    assume(rate * times < 1e9)
    made = recommended(rate, rate * times, found, None)
    assert made.replicas_at_peak * made.replica_carries >= rate * times * (1 - 1e-9)
    assert made.replicas * made.replica_carries >= rate * (1 - 1e-9)
    assert made.replica_carries <= HEAD_ROOM * made.replica.rate * (1 + 1e-9)


@given(RATES, RATES, st.floats(0, 1e7), FOUND, PARTITIONS)
def test_more_never_takes_fewer_replicas(
    one: float, other: float, more: float, found: Measured, partitions: int | None
) -> None:
    """A higher rate below one peak takes as many replicas at least, and a higher peak as many partitions."""
    low, high = sorted((one, other))
    less, much = (recommended(rate, high, found, partitions) for rate in (low, high))
    assert less.partitions == much.partitions
    assert less.replicas <= much.replicas
    assert less.lag_threshold >= 1
    higher = recommended(high, high + more, found, partitions)
    assert higher.partitions >= much.partitions
    if partitions is not None:
        assert higher.replicas_at_peak >= much.replicas_at_peak


@given(st.floats(1, 1e6), st.floats(1, 20), FOUND, st.floats(0, 1e9))
def test_a_backlog_is_gone_in_the_drain_time(rate: float, times: float, found: Measured, lag: float) -> None:
    """With as many replicas as KEDA makes of the lag, the ordinary rate coming in meanwhile, if partitions allow."""
    drain = 60.0
    made = recommend(asked(rate, rate * times, drain=drain), found, LIMITS)
    assume(made.lag_threshold > 1)
    wanted = max(made.replicas, math.ceil(lag / made.lag_threshold))
    assume(wanted <= made.max_replicas)
    replicas = even_replicas(wanted, made.partitions)
    spare = replicas * made.replica.rate - rate
    assert spare > 0
    assert lag / spare <= drain * (1 + 1e-6)


@given(st.integers(1, 5000))
def test_partitions_are_enough_and_not_far_too_many(replicas: int) -> None:
    """At most half as many again, past the first few."""
    partitions = even_partitions(replicas)
    assert replicas <= partitions <= max(replicas + 2, 1.5 * replicas)


@given(COSTS, st.floats(0, 50))
def test_the_best_batch_is_as_good_as_any(costs: list[tuple[float, float]], kafka_us: float) -> None:
    """To 5 %, among those that may take so long."""
    batches: list[BatchCost] = [batch(1 << power, *cost) for power, cost in enumerate(costs)]
    best = best_batch(batches, 1.0, kafka_us)
    for one in batches:
        if one.median_seconds <= 1.0:
            assert best.total_us + kafka_us <= 1.05 * (one.total_us + kafka_us)
