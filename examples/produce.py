"""Produce an example's events to a topic: JSON lines, or with --bytes values of one size, one after the other.

python examples/produce.py examples/payments/events.jsonl.gz --topic payments --key merchant.id
python examples/produce.py examples/image/images.bin.gz --topic digits-raw --bytes 64
"""

import argparse
import gzip
import json
import os
import sys
from pathlib import Path

from flights.load import Loader

POLL_EVERY = 1000


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Produce an example's events to a Kafka topic.")
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    parser.add_argument("events", type=Path, help="a file, .gz or plain")
    parser.add_argument("--bootstrap-servers", default=servers, help="default: %(default)s")
    parser.add_argument("--topic", required=True)
    parser.add_argument(
        "--key", help="the field whose value is the key, such as merchant.id; without it there is none"
    )
    parser.add_argument("--bytes", type=int, help="the size of each value, where they are no JSON lines")
    return parser.parse_args()


def read_values(path: Path, size: int | None) -> list[bytes]:
    """Read one event a line, or so many bytes each."""
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    if size is None:
        return data.splitlines()
    return [data[start : start + size] for start in range(0, len(data), size)]


def key_of(value: bytes, field: str | None) -> bytes | None:
    """Give a field's value as text; no key where the event has no such field."""
    if field is None:
        return None
    part = json.loads(value)
    for name in field.split("."):
        part = part.get(name) if isinstance(part, dict) else None
    return None if part is None else str(part).encode()


def main() -> int:
    """Send the events; 0 when the broker has all of them, else 1."""
    arguments = parse_arguments()
    loader = Loader(arguments.bootstrap_servers)
    values = read_values(arguments.events, arguments.bytes)
    for sent, value in enumerate(values, start=1):
        loader.send(arguments.topic, key_of(value, arguments.key), value)
        if sent % POLL_EVERY == 0:
            loader.producer.poll(0)
    lost = loader.finish()
    print(f"{len(values) - lost} of {len(values)} events are in {arguments.topic}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
