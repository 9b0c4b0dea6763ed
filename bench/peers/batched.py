"""confluent-kafka, in batches: what a good engineer writes by hand who knows Kafka.

at_least_once: confluent-kafka's documentation, "Synchronous commits" and "Delivery guarantees": offsets are committed
after `flush()` has returned 0 and no delivery callback told of a failure. exactly_once: its example
`eos_transactions.py`, with the whole group's offsets and one transaction each 100 ms.

Promise: nothing lost, at least or exactly once. A failed delivery or an aborted transaction ends the process: the
next one reads again from what was committed.
"""

import signal
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from bench.peers.call import CHECKPOINT, Call, read_call, say_ready
from bench.peers.job import ROWS, Job

_FULL_AT = 0.05
_STARTING = 30.0


class Outlet:
    """Where records go: a producer, the offsets that go with them, and what failed.

    Args:
        call: as the script was called.
    """

    def __init__(self, call: Call, consumer: Consumer) -> None:
        self._call = call
        self._consumer = consumer
        self._producer = Producer(
            {
                "bootstrap.servers": call.bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
                "on_delivery": self._delivered,
            }
            | ({"transactional.id": call.group} if call.exactly_once else {})
        )
        self._failure: KafkaError | None = None
        self._ends: dict[int, int] = {}
        self._since = 0.0
        if call.exactly_once:
            self._producer.init_transactions(_STARTING)

    def write(self, messages: list[Message], records: list[bytes]) -> None:
        """Produce records, in the place of their events."""
        if self._call.exactly_once and not self._since:
            self._producer.begin_transaction()
        self._since = self._since or time.monotonic()
        for message, record in zip(messages, records, strict=True):
            self._producer.produce(self._call.target, record, message.key())
            self._ends[message.partition() or 0] = (message.offset() or 0) + 1
        self._producer.poll(0)

    def checkpoint_if_due(self) -> None:
        """Make durable what was written, each 100 ms."""
        if self._since and time.monotonic() - self._since >= CHECKPOINT:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Make durable what was written, and then, or with it, the offsets."""
        if not self._ends:
            return
        offsets = [TopicPartition(self._call.source, *end) for end in self._ends.items()]
        if self._call.exactly_once:
            self._producer.send_offsets_to_transaction(offsets, self._consumer.consumer_group_metadata())
            self._producer.commit_transaction()
        else:
            if self._producer.flush():
                raise RuntimeError("not all records were delivered")
            if self._failure is not None:
                raise KafkaException(self._failure)
            self._consumer.commit(offsets=offsets, asynchronous=False)
        self._ends.clear()
        self._since = 0.0

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._failure = self._failure or error


class Loop:
    """Consume, enrich, write, checkpoint."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._job = Job(call.job)
        self._running = True

    def shutdown(self) -> None:
        """Have the loop end."""
        self._running = False

    def run(self) -> None:
        """Run until told to end; what was taken in is made durable before."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._call.bootstrap,
                "group.id": self._call.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        outlet = Outlet(self._call, consumer)
        consumer.subscribe([self._call.source], on_revoke=lambda *_: outlet.checkpoint())
        say_ready()
        try:
            while self._running:
                messages = consumer.consume(ROWS, _FULL_AT)
                if messages:
                    failed = next((message.error() for message in messages if message.error()), None)
                    if failed is not None:
                        raise KafkaException(failed)
                    outlet.write(messages, self._job.many([message.value() or b"" for message in messages]))
                outlet.checkpoint_if_due()
            outlet.checkpoint()
        finally:
            consumer.close()


def main() -> None:
    """Run until SIGTERM."""
    loop = Loop(read_call(__doc__))
    signal.signal(signal.SIGTERM, lambda *_: loop.shutdown())
    loop.run()


if __name__ == "__main__":
    main()
