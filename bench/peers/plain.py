"""confluent-kafka, an event at a time, as its own examples have it.

Its repository's `examples/consumer.py`: poll, process, `store_offsets` with `enable.auto.offset.store` off, which
commits in the background what was stored, and `close()` "to commit final offsets"; and the README's "Basic Producer
example": `poll(0)`, `produce()` with a delivery callback that reports, `flush()` in the end. Confluent's guide to the
client has the flag that ends the loop.

Promise: "Explicitly storing offsets after processing gives at-least once semantics." That what was stored has been
delivered too is nothing that these examples wait for.
"""

import signal
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from bench.peers.call import Call, read_call, say_ready
from bench.peers.job import Job


def delivered(error: KafkaError | None, message: Message) -> None:
    """Report a failure."""
    if error is not None:
        print(f"{message.topic()}: {error}", file=sys.stderr)


class Loop:
    """The basic poll loop."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._job = Job(call.job)
        self._running = True

    def shutdown(self) -> None:
        """Have the loop end."""
        self._running = False

    def run(self) -> None:
        """Poll, enrich, produce, store the offset."""
        producer = Producer({"bootstrap.servers": self._call.bootstrap})
        consumer = Consumer(
            {
                "bootstrap.servers": self._call.bootstrap,
                "group.id": self._call.group,
                "auto.offset.reset": "earliest",
                "enable.auto.offset.store": False,
            }
        )
        try:
            consumer.subscribe([self._call.source])
            say_ready()
            while self._running:
                message = consumer.poll(timeout=1.0)
                if message is None:
                    continue
                if message.error():
                    raise KafkaException(message.error())
                record = self._job.one(message.value() or b"")
                while True:
                    try:
                        producer.produce(self._call.target, record, message.key(), on_delivery=delivered)
                    except BufferError:  # the queue is full: serve callbacks until it is not
                        producer.poll(0.1)
                    else:
                        break
                producer.poll(0)
                consumer.store_offsets(message)
        finally:
            producer.flush()
            consumer.close()


def main() -> None:
    """Run until SIGTERM."""
    loop = Loop(read_call(__doc__, no_exactly_once="transactions are batches: see batched.py"))
    signal.signal(signal.SIGTERM, lambda *_: loop.shutdown())
    loop.run()


if __name__ == "__main__":
    main()
