"""A broker inside this process, for trying things out: librdkafka's mock cluster.

Real TCP and real consumer groups, but no transactional offsets, few admin calls, and about 5 MB kept a partition.
https://github.com/confluentinc/librdkafka/blob/master/src/rdkafka_mock.h
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from confluent_kafka import Producer

_WAIT: Final = 10.0
_ONLY_ERRORS: Final = 3


@contextmanager
def embedded_broker(topics: Collection[str]) -> Iterator[str]:
    """Run a broker with some topics, of 4 partitions each; gives host:port."""
    keeper = Producer({"bootstrap.servers": "embedded", "test.mock.num.brokers": 1, "log_level": _ONLY_ERRORS})
    for topic in topics:
        keeper.list_topics(topic, timeout=_WAIT)  # which makes it
    brokers = keeper.list_topics(timeout=_WAIT).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    keeper.close()
