"""Events into a topic and records out of others, for the demo: what a user's own clients would do."""

from collections.abc import Collection, Sequence
from typing import Any, Final, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from consumer.exits import FatalBrokerError
from consumer.kafka.errors import reason
from consumer.types import Event, Headers

_WAIT: Final = 10.0
_DELIVERY: Final = 30.0
# What goes wrong is told in errors; a client that finds no broker would log it twenty times a second.
_SILENT: Final = 0


def make_topics(bootstrap: str, topics: dict[str, dict[str, str]], partitions: int) -> None:
    """Make topics, with their settings.

    Raises:
        FatalBrokerError: no broker there, or it refuses.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": _SILENT})
    try:
        admin.list_topics(timeout=_WAIT)
        wanted = [NewTopic(name, partitions, config=config) for name, config in topics.items()]
        for made in admin.create_topics(wanted, request_timeout=_WAIT).values():
            made.result(2 * _WAIT)
    except (KafkaException, TimeoutError) as error:
        why = reason(error).str() if isinstance(error, KafkaException) else "no answer"
        raise FatalBrokerError(f"the topics can't be made at {bootstrap}: {why}") from None


class Feeder:
    """Produces events, and knows whether all of them arrived."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._failed: list[KafkaError] = []
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "log_level": _SILENT,
                "linger.ms": 1,
                "partitioner": "murmur2_random",
                "delivery.report.only.error": True,
                "on_delivery": self._delivery_failed,
            }
        )

    def send(self, value: bytes, key: bytes, headers: Headers = ()) -> None:
        """Queue an event."""
        while True:
            try:
                self._producer.produce(self._topic, value, key, headers=list(headers))
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def flush(self) -> None:
        """Wait until all events are on the broker.

        Raises:
            FatalBrokerError: some are not.
        """
        left = self._producer.flush(_DELIVERY)
        if left or self._failed:
            why = self._failed[0].str() if self._failed else f"{left} still queued after {_DELIVERY:.0f} s"
            raise FatalBrokerError(f"events can't be produced to {self._topic}: {why}")

    def _delivery_failed(self, error: KafkaError | None, message: Message) -> None:
        del message
        if error is not None:
            self._failed.append(error)


class Tap:
    """Reads topics from their beginning, as a read_committed consumer without a group of its own."""

    def __init__(self, bootstrap: str, topics: Collection[str]) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "log_level": _SILENT,
                "group.id": "onelane-demo-tap",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 5,
            }
        )
        places = [
            TopicPartition(topic, partition, OFFSET_BEGINNING)
            for topic in topics
            for partition in self._consumer.list_topics(topic, timeout=_WAIT).topics[topic].partitions
        ]
        self._consumer.assign(places)

    def read(self, seconds: float) -> Sequence[Event]:
        """Return records that are there, or that come within ``seconds``."""
        first = self._consumer.poll(seconds)
        messages: list[Any] = [] if first is None else [first, *self._consumer.consume(1000, 0)]
        return cast("list[Event]", [message for message in messages if message.error() is None])

    def close(self) -> None:
        """Let go of the consumer."""
        self._consumer.close()
