"""What the check of the peers finds."""

import orjson

from bench.environments import PEERS
from bench.peers.check import WAYS, judged
from tests.support.topics import Record

EXPECTED: dict[int, tuple[bytes, object]] = {
    number: (b"k%d" % number, {"event_id": number, "delay": {"minutes": 1.0}}) for number in range(3)
}


def record(number: int, key: bytes | None, minutes: float = 1.0) -> Record:
    """Return a record as a peer could have written it."""
    value = orjson.dumps({"event_id": number, "delay": {"minutes": minutes}})
    return Record(topic="t", partition=0, offset=0, key=key, value=value, headers=(), timestamp_ms=0)


def test_each_fault_is_counted_as_what_it_is() -> None:
    """Missing, doubled, wrong, and under another key."""
    found = judged([record(0, b"k0"), record(0, b"k0"), record(1, None, 2.0)], EXPECTED)
    assert (found.complete, found.missing, found.doubled, found.wrong, found.moved) == (2, 1, 1, 1, 1)
    assert found.example == ".delay.minutes: 2.0 for 1.0"


def test_a_whole_output_has_no_fault() -> None:
    """In any order."""
    found = judged([record(number, b"k%d" % number) for number in (2, 0, 1)], EXPECTED)
    assert (found.complete, found.missing, found.doubled, found.wrong, found.moved) == (3, 0, 0, 0, 0)


def test_every_peer_is_checked_and_has_an_environment() -> None:
    """None is forgotten."""
    assert {way.peer for way in WAYS.values()} == set(PEERS)
