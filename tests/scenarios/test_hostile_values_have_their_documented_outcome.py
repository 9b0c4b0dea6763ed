"""What nobody wants to find in a topic: each value has an outcome, told in docs/guarantees.md, and harms no other."""

from pathlib import Path

import orjson
import pytest

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import value
from tests.support.topics import NewRecord, produce, read_all
from tests.support.verify import wait_until_caught_up

GUARANTEES = Path(__file__).parents[2] / "docs" / "guarantees.md"
ENRICHED = "enriched"

GOOD = value(1)
DELAY = b'"dep_delay": 4.0'


def changed(old: bytes, new: bytes) -> bytes:
    """Return a good event with a part of it replaced."""
    assert old in GOOD
    return GOOD.replace(old, new)


def wider(piece: bytes) -> bytes:
    """Return a good event with one more field."""
    return GOOD[:-1] + b", " + piece + b"}"


# 1,048,576 bytes, of which a topic takes 12 more unless it says otherwise, and a record has some around it.
MEGABYTE = wider(b'"blob": "' + b"x" * ((1 << 20) - len(wider(b'"blob": ""'))) + b'"')

# Name, as in the docs -> value, outcome.
CASES: dict[str, tuple[bytes | None, str]] = {
    "a tombstone": (None, "NoValue"),
    "an empty value": (b"", "NoValue"),
    "1 MB in a field that nobody reads": (MEGABYTE, ENRICHED),
    "nested 250 deep where nobody reads": (wider(b'"deep": ' + b"[" * 249 + b"]" * 249), ENRICHED),
    "nested 1,000 deep": (wider(b'"deep": ' + b"[" * 1000 + b"]" * 1000), "TooDeep"),
    "invalid UTF-8": (wider(b'"name": "\xff"'), "NotUtf8"),
    "a lone surrogate": (wider(b'"name": "\\ud800"'), "Malformed"),
    "a duplicate key": (changed(DELAY, b'"dep_delay": 9.0, ' + DELAY), ENRICHED),
    "a duplicate key of a wrong type": (
        changed(b'"dep_delay": 4.0', b'"dep_delay": "x", "dep_delay": 4.0'),
        "WrongType",
    ),
    "NaN": (changed(DELAY, b'"dep_delay": NaN'), "Malformed"),
    "Infinity where nobody reads": (wider(b'"other": Infinity'), "Malformed"),
    "1e400": (changed(DELAY, b'"dep_delay": 1e400'), "OutOfRange"),
    "1e400 where nobody reads": (wider(b'"other": 1e400'), ENRICHED),
    "2^63 as a number": (changed(b'"distance": 529.0', b'"distance": 9223372036854775808'), ENRICHED),
    "2^63 where nobody reads": (wider(b'"other": 9223372036854775808'), ENRICHED),
    "null where there is no `missing`": (changed(b'"distance": 529.0', b'"distance": null'), "Missing"),
    "a number as text": (changed(DELAY, b'"dep_delay": "4.0"'), "WrongType"),
    "the output field": (wider(b'"delay": {}'), "FieldExists"),
    "an array": (b"[" + GOOD + b"]", "WrongType"),
    "a byte-order mark": (b"\xef\xbb\xbf" + GOOD, "Malformed"),
    "not JSON": (b"dep_delay=4.0", "Malformed"),
    "two objects": (GOOD + GOOD, "Malformed"),
}


def test_hostile_values_have_their_documented_outcome(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """All in one partition, each between two good events, which are enriched as ever; bytes are kept."""
    stream = open_stream({"batch": {"rows": 16}}, partitions=1)
    for topic in (stream.input, stream.output):
        stream.broker.set_topic_config(topic, max_message_bytes=2_000_000)
    records = [NewRecord(value=value(1000), key=b"k")]
    for number, (data, _) in enumerate(CASES.values()):
        records += [NewRecord(value=data, key=b"%d" % number), NewRecord(value=value(1001 + number), key=b"k")]
    produce(stream.bootstrap, stream.input, records)
    worker = start_worker(stream, "one")
    wait_until_caught_up(stream)
    assert worker.stop() == 0
    dead = {record.key: record for record in read_all(stream.bootstrap, stream.dead)}
    enriched = {record.key: record for record in read_all(stream.bootstrap, stream.output)}
    for number, (name, (data, outcome)) in enumerate(CASES.items()):
        key = b"%d" % number
        if outcome == ENRICHED:
            assert data is not None
            assert (enriched[key].value or b"").startswith(data[:-1] + b',"delay":'), name
        else:
            assert dict(dead[key].headers)["onelane.cause"] == outcome.encode(), name
            assert dead[key].value == data, name
    good = [record for record in read_all(stream.bootstrap, stream.output) if record.key == b"k"]
    assert [orjson.loads(record.value or b"")["id"] for record in good] == list(range(1000, 1001 + len(CASES)))


def test_1_mb_is_too_large_for_a_topic_as_brokers_make_it(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """A dead letter with all of its bytes; its neighbours are enriched."""
    stream = open_stream(partitions=1)
    stream.broker.set_topic_config(stream.input, max_message_bytes=2_000_000)
    assert len(MEGABYTE) == 1_048_576
    produce(stream.bootstrap, stream.input, [NewRecord(value=one, partition=0) for one in (GOOD, MEGABYTE, GOOD)])
    worker = start_worker(stream)
    wait_until_caught_up(stream)
    assert worker.stop() == 0
    (letter,) = read_all(stream.bootstrap, stream.dead)
    assert dict(letter.headers)["onelane.cause"] == b"TooLarge"
    assert letter.value == MEGABYTE
    assert len(read_all(stream.bootstrap, stream.output)) == 2


@pytest.mark.parametrize("name", CASES)
def test_the_docs_tell_of_each(name: str) -> None:
    """In the table of docs/guarantees.md, with its outcome."""
    outcome = CASES[name][1]
    line = next(line for line in GUARANTEES.read_text().splitlines() if line.startswith(f"| {name} |"))
    assert outcome in line
