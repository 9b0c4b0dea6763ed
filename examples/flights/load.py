"""Produce the sample of flights to a topic, once or several times over.

The key is carrier and flight number, such as UA1545: the days of one flight stay in order, on one partition.
"""

import argparse
import gzip
import itertools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import KafkaError, Message, Producer

HERE = Path(__file__).parent
POLL_EVERY = 1000
FLUSH_SECONDS = 60


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Produce the sample of flights to a Kafka topic.")
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    parser.add_argument("--bootstrap-servers", default=servers, help="default: %(default)s")
    parser.add_argument("--topic", default="flights", help="default: %(default)s")
    parser.add_argument("--events", type=Path, default=HERE / "events.jsonl.gz", help="a file, .gz or plain")
    parser.add_argument("--limit", type=int, help="stop after so many events in all")
    parser.add_argument("--repeat", type=int, default=1, help="send the file so many times")
    return parser.parse_args()


def read_events(path: Path) -> list[bytes]:
    """Read one event a line."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()


def key_of(event: bytes) -> bytes:
    """Give the flight's name, such as UA1545."""
    fields = json.loads(event)
    return f"{fields['carrier']}{fields['flight']}".encode()


def records(events: list[bytes], repeat: int, limit: int | None) -> Iterator[tuple[bytes, bytes]]:
    """Give key and value of every record to send."""
    once = [(key_of(event), event) for event in events]
    every = itertools.chain.from_iterable(itertools.repeat(once, repeat))
    return itertools.islice(every, limit)


class Loader:
    """Sends records and remembers how many were refused."""

    def __init__(self, servers: str) -> None:
        self.failed = 0
        self.producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "linger.ms": 20,
                "compression.type": "lz4",
                # As Java's clients do it, so that keys land where any other producer would put them.
                "partitioner": "murmur2_random",
                "message.timeout.ms": FLUSH_SECONDS * 1000,
                "on_delivery": self.delivered,
            }
        )

    def delivered(self, error: KafkaError | None, _message: Message) -> None:
        """Note a failure; only the first is printed, as the rest mostly say the same."""
        if error is None:
            return
        self.failed += 1
        if self.failed == 1:
            print(f"not delivered: {error}", file=sys.stderr)

    def send(self, topic: str, key: bytes | None, value: bytes) -> None:
        """Queue one record, waiting while the queue is full."""
        while True:
            try:
                self.producer.produce(topic, key=key, value=value)
            except BufferError:
                self.producer.poll(1)
            else:
                return

    def finish(self) -> int:
        """Wait for the rest; give how many records did not arrive."""
        # Every record is answered by its own time-out, so a little longer is enough.
        return self.producer.flush(FLUSH_SECONDS + 5) + self.failed


def main() -> int:
    """Send the events; 0 when the broker has all of them, else 1."""
    arguments = parse_arguments()
    loader = Loader(arguments.bootstrap_servers)
    sent = 0
    for key, value in records(read_events(arguments.events), arguments.repeat, arguments.limit):
        loader.send(arguments.topic, key, value)
        sent += 1
        if sent % POLL_EVERY == 0:
            loader.producer.poll(0)
    lost = loader.finish()
    print(f"{sent - lost} of {sent} events are in {arguments.topic}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
