"""The arithmetic of a plan, formula by formula."""

import msgspec
import pytest

from consumer.exits import RefusedError
from consumer.plan.capacity import (
    best_batch,
    between,
    checkpoint,
    contention,
    cool_down,
    cpu_request,
    even_partitions,
    even_replicas,
    lag_threshold,
    predict,
    recommend,
    replicas_needed,
    wait,
)
from consumer.plan.shape import Cost
from tests.support.plans import LIMITS, MEMORY, WANTED, abreast, asked, batch, measured


def test_the_best_batch_is_the_smallest_of_those_as_cheap() -> None:
    """5 % more an event is as good; what comes to each event whatever its batch makes more of them so."""
    batches = [batch(1, 40.0), batch(16, 10.8), batch(256, 10.0)]
    assert best_batch(batches, 1.0, kafka_us=0.0).rows == 256
    assert best_batch(batches, 1.0, kafka_us=10.0).rows == 16
    assert best_batch([batch(1, 10.0, 2.0), batch(2, 9.0, 20.0)], 1.0, kafka_us=0.0).rows == 1


def test_a_batch_that_takes_too_long_is_not_the_best() -> None:
    """batch.time decides; where even one row takes longer, it is one row."""
    batches = [batch(1, 700_000.0), batch(2, 500_000.0)]
    assert best_batch(batches, 0.8, kafka_us=4.0).rows == 1
    assert best_batch(batches, 0.1, kafka_us=4.0).rows == 1
    assert best_batch(batches, 1.1, kafka_us=4.0).rows == 2


def test_without_a_batch_there_is_no_plan() -> None:
    """And the message says what helps."""
    with pytest.raises(RefusedError, match="--seconds"):
        best_batch([], 1.0, kafka_us=4.0)


def test_sizes_between_those_measured_are_on_a_line_over_the_logarithm() -> None:
    """Beyond the ends, the ends."""
    batches = [batch(4, 20.0), batch(16, 10.0)]
    assert between(batches, 8).model_us == pytest.approx(15.0)
    assert between(batches, 1) == batches[0]
    assert between(batches, 500) == batches[1]
    assert between(batches, 16) == batches[1]


def test_a_full_node_costs_what_neighbours_take() -> None:
    """Processor time of a replica a core by that of one alone, of the largest batch that both were measured with."""
    alone, full = abreast(1, 1, 10.0, rows=64), abreast(4, 1, 13.0, rows=64)
    small = [abreast(1, 1, 10.0), abreast(4, 1, 30.0)]
    assert contention([*small, alone, full], cores=4) == pytest.approx(1.3)
    assert contention(small, cores=4) == pytest.approx(3.0)
    assert contention([alone, abreast(4, 1, 9.0, rows=64)], cores=4) == 1.0
    assert contention([alone, abreast(8, 1, 20.0, rows=64), abreast(4, 4, 20.0, rows=64)], cores=4) == 1.0
    assert contention([], cores=4) == 1.0


def test_a_model_that_waits_is_not_slowed_down() -> None:
    """What little processor time it takes says nothing of neighbours."""
    waiting = [msgspec.structs.replace(abreast(count, 1, 100.0 * count), median_seconds=0.7) for count in (1, 2)]
    assert contention(waiting, cores=2) == 1.0


def test_replicas_are_rounded_up() -> None:
    """And there is one at least."""
    assert [replicas_needed(rate, 100.0) for rate in (0.1, 100.0, 100.1, 250.0)] == [1, 1, 2, 3]


def test_partitions_are_numbers_with_many_divisors() -> None:
    """From a list, and past its end multiples of 60."""
    assert [even_partitions(count) for count in (1, 5, 6, 7, 13, 100, 121, 200)] == [1, 6, 6, 8, 16, 120, 180, 240]


def test_replicas_divide_the_partitions() -> None:
    """KEDA's own example: of 10 partitions 1, 2, 5 or 10 replicas."""
    assert [even_replicas(needed, 10) for needed in (1, 2, 3, 5, 6, 10, 11)] == [1, 2, 5, 5, 10, 10, 10]


def test_rows_wait_as_long_as_a_batch_takes_to_fill() -> None:
    """Within 5 and 50 ms, and not at all for one row."""
    assert wait(100, 5000.0) == pytest.approx(0.02)
    assert wait(1000, 10.0) == pytest.approx(0.05)
    assert wait(4, 1e6) == pytest.approx(0.005)
    assert wait(1, 1.0) == pytest.approx(0.005)


def test_a_batch_fits_between_two_checkpoints() -> None:
    """100 ms at least, 10 s at most."""
    assert [checkpoint(seconds) for seconds in (0.001, 0.1, 0.15, 0.7, 60.0)] == [0.1, 0.1, 0.2, 1.0, 10.0]


def test_a_replica_asks_for_what_it_needs() -> None:
    """In tenths of a core, and for a whole one from half on."""
    cost = Cost(model_us=10.0, codec_us=5.0, kafka_us=5.0)
    assert cpu_request(100.0, cost) == pytest.approx(0.1)
    assert cpu_request(10_000.0, cost) == pytest.approx(0.3)
    assert cpu_request(18_000.0, cost) == pytest.approx(1.0)
    assert cpu_request(1e6, cost) == pytest.approx(1.0)


def test_the_lag_threshold_is_what_a_replica_has_to_spare() -> None:
    """In the drain time; where nothing is to spare, one event."""
    assert lag_threshold(rate=1000.0, share=700.0, drain=60.0) == 18_000
    assert lag_threshold(rate=1000.0, share=2000.0, drain=60.0) == 1


def test_the_autoscaler_looks_back_for_two_drains_and_starts() -> None:
    """Five minutes at least, an hour at most."""
    assert cool_down(60.0, 1.0) == 300.0
    assert cool_down(300.0, 5.0) == 700.0
    assert cool_down(86_400.0, 5.0) == 3600.0


def test_one_worker_is_predicted_by_what_an_event_costs() -> None:
    """1,000,000 / (10 + 2 + 4) events a second; an interpreter for each of its partitions, or one for all."""
    found = measured()
    told = predict(WANTED, found, rows=256, lanes=6, pause=0.1)
    assert told.rate == pytest.approx(62_500.0)
    assert told.memory == (80 + 400 + 300 + 16 + 6) << 20
    assert told.usual_memory == ((80 + 60 + 6) << 20) + 6_250_000
    assert predict(WANTED, found, rows=10_000, lanes=6, pause=0.1).usual_memory > told.usual_memory
    shared = msgspec.structs.replace(found, memory=msgspec.structs.replace(MEMORY, shared=True))
    alone = predict(WANTED, shared, rows=256, lanes=6, pause=0.1)
    assert alone.memory == (80 + 400 + 300 + 16 + 1) << 20
    assert alone.usual_memory == ((80 + 60 + 1) << 20) + 6_250_000


def test_neighbours_slow_all_of_an_event_down() -> None:
    """Model, codec and Kafka alike."""
    full = measured([batch(1, 10.0)], [abreast(1, 1, 10.0), abreast(2, 1, 15.0)])
    assert predict(WANTED, full, rows=1, lanes=1, pause=0.1).cost == Cost(model_us=15.0, codec_us=3.0, kafka_us=6.0)


def test_a_whole_recommendation() -> None:
    """60,000/s at the peak with 43,750/s of each replica: two of them, four partitions, one on an ordinary day."""
    made = recommend(WANTED, measured(), LIMITS)
    assert (made.rows, made.replicas, made.replicas_at_peak, made.partitions) == (256, 1, 2, 4)
    assert made.replica_carries == pytest.approx(0.7 * 62_500)
    assert made.machine_carries == pytest.approx(2 * 0.7 * 62_500)
    assert made.partitions_carry == pytest.approx(4 * 0.7 * 62_500)
    assert made.lag_threshold == 60 * (62_500 - 20_000)
    assert (made.wait, made.rows_at_rate) == (0.05, 250.0)
    assert made.utilisation == pytest.approx(20_000 * 16.0 / 1e6, rel=0.01)
    assert (made.memory_request, made.memory_limit) == (192 << 20, 832 << 20)
    assert (made.cpu_request, made.cpu_limit) == (1.0, 1.0)


def test_given_partitions_stay() -> None:
    """And replicas do not exceed them, whatever the rate."""
    made = recommend(asked(1e6, partitions=6), measured(), LIMITS)
    assert (made.partitions, made.replicas, made.replicas_at_peak, made.max_replicas) == (6, 6, 6, 6)
    assert made.lag_threshold == 1
    assert made.utilisation > 1
