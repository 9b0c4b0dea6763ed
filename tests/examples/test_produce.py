"""examples/produce.py, on a real broker."""

import subprocess
import sys
from collections.abc import Callable

import orjson
import pytest

from tests.support.examples import EXAMPLES, values
from tests.support.kafka import KafkaBroker
from tests.support.topics import Record, read_all


@pytest.fixture
def produced(kafka: KafkaBroker, unique: Callable[[str], str]) -> Callable[..., list[Record]]:
    """Runs produce.py, and returns what is then in the topic."""

    def run(events: str, *options: str) -> list[Record]:
        topic = unique("produced")
        kafka.create_topic(topic, 1)
        command = [sys.executable, str(EXAMPLES / "produce.py"), str(EXAMPLES / events), "--topic", topic, *options]
        done = subprocess.run(
            [*command, "--bootstrap-servers", kafka.bootstrap],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        records = read_all(kafka.bootstrap, topic)
        assert done.stdout == f"{len(records)} of {len(records)} events are in {topic}\n"
        return records

    return run


def test_lines_are_events_and_a_nested_field_is_the_key(produced: Callable[..., list[Record]]) -> None:
    """As text, in the order of the file; an event without the field has no key."""
    records = produced("payments/events.jsonl.gz", "--key", "merchant.id")
    assert [record.value for record in records] == values("payments")
    for record in records:
        identifier = orjson.loads(record.value or b"")["merchant"].get("id")
        assert record.key == (None if identifier is None else str(identifier).encode())


def test_values_of_one_size_are_cut_from_a_file_of_bytes(produced: Callable[..., list[Record]]) -> None:
    """Without a key."""
    records = produced("image/images.bin.gz", "--bytes", "64")
    assert [(record.key, record.value) for record in records] == [(None, value) for value in values("image", 64)]
