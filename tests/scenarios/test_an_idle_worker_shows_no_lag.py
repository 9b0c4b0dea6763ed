"""A group that has nothing to do shows lag 0, also where the input's last offset is a transaction marker.

A marker takes an offset that no event has. A worker that committed only offsets of events would show a lag of 1 a
partition for ever, and an autoscaler would never scale down.
"""

import pytest
from confluent_kafka import Producer

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Stream, key, value
from tests.support.verify import verify, wait_until_caught_up


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_lag_is_0_after_the_last_event(delivery: str, open_stream: OpenStream, start_worker: StartWorker) -> None:
    """All events enriched is all offsets committed."""
    stream = open_stream({"delivery": delivery})
    stream.feed(range(100))
    start_worker(stream)
    wait_until_caught_up(stream)
    verify(stream, range(100)).assert_exactly_once()


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_lag_is_0_behind_a_transaction_marker(
    delivery: str, open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """The committed offset moves past markers, and past an aborted transaction's records."""
    stream = open_stream({"delivery": delivery})
    start_worker(stream).wait_until_assigned(3)
    _feed_in_transactions(stream)
    wait_until_caught_up(stream, timeout=20)
    verify(stream, range(100)).assert_exactly_once()


def _feed_in_transactions(stream: Stream) -> None:
    """Write ids 0 to 99 in a transaction that is committed, and 100 to 199 in one that is aborted."""
    producer = Producer(
        {
            "bootstrap.servers": stream.bootstrap,
            "transactional.id": f"{stream.name}-feeder",
            "partitioner": "murmur2_random",
            "log_level": 0,
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in range(100):
        producer.produce(stream.input, value(number), key(number))
    producer.commit_transaction(30)
    producer.begin_transaction()
    for number in range(100, 200):
        producer.produce(stream.input, value(number), key(number))
    producer.flush(30)
    producer.abort_transaction(30)
