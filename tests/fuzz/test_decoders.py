"""The decoders, fed with broken events for FUZZ_SECONDS (60): mutations of real ones, through the whole of enriching.

The seed is printed when it fails; FUZZ_SEED repeats it.
"""

import os
import random
import secrets
import time

import orjson

from consumer.deadletter.causes import Code
from consumer.types import DeadLetter, Enriched, PlainEvent, Result
from tests.properties.test_decoding import read_by_others
from tests.support.flights import flight_values, flights_enricher

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("FUZZ_SEED", "0")) or secrets.randbits(32)
ROWS = 32

# What decoders stumble over, put in anywhere.
PIECES = [
    *(b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\xaf", b"\\ud800", b"\\u0000", b'\\"', b"\\"),
    *(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e400",
        b"-1e400",
        b"9" * 400,
        b"9223372036854775808",
        b"-0",
        b"01",
        b"1e-400",
    ),
    *(b"null", b"true", b'""', b"[]", b"{}", b"[", b"{", b"]", b"}", b",", b":", b'"', b"'", b"//", b"\n", b" "),
    *(b"[" * 300, b'{"a":' * 300, b'"delay":{},', b'"dep_delay":"x",', b'"dep_delay":null,', b'"carrier":1.0,'),
]


def broken(chance: random.Random, value: bytes) -> bytes:
    """Change an event in one to four places."""
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(value) + 1)
        match chance.randrange(5):
            case 0:
                value = value[:place] + chance.choice(PIECES) + value[place:]
            case 1:
                value = value[:place] + chance.choice(PIECES) + value[place + chance.randint(1, 8) :]
            case 2:
                value = value[:place] + bytes([chance.randrange(256)]) + value[place + 1 :]
            case 3:
                value = value[:place]
            case _:
                other = chance.choice(flight_values())
                value = value[:place] + other[chance.randrange(len(other)) :]
    return value


def test_no_value_harms_its_neighbours_or_the_worker() -> None:
    """Each event is enriched as it would be alone, or is a dead letter of a known cause, in order; never an error."""
    chance, enricher, alone = random.Random(SEED), flights_enricher(), flights_enricher()  # noqa: S311
    deadline, tried, dead = time.monotonic() + SECONDS, 0, 0
    while time.monotonic() < deadline:
        values = [broken(chance, chance.choice(flight_values())) for _ in range(ROWS)]
        values[chance.randrange(ROWS)] = chance.choice(flight_values())
        events = [PlainEvent(value, offset=place) for place, value in enumerate(values)]
        results = enricher.enrich(events)
        assert [result.event for result in results] == events, f"FUZZ_SEED={SEED}"
        (single,) = alone.enrich([events[chance.randrange(ROWS)]])
        assert single == results[single.event.offset()], f"FUZZ_SEED={SEED}"
        for value, result in zip(values, results, strict=True):
            check(value, result)
            dead += isinstance(result, DeadLetter)
        tried += ROWS
    assert 0.05 < dead / tried < 0.999, f"{dead} of {tried}: the mutations say nothing"


def check(value: bytes, result: Result) -> None:
    """An enriched record is JSON to every reader, and holds the event; a dead letter says why."""
    if isinstance(result, DeadLetter):
        assert result.cause.code in set(Code), (SEED, value)
        assert result.event.value() == value, (SEED, value)
        return
    assert isinstance(result, Enriched)
    written, event = read_by_others(result.value), read_by_others(value)
    assert isinstance(written, dict), (SEED, value)
    assert isinstance(event, dict), (SEED, value)
    delay = written.pop("delay")
    assert written == event, (SEED, value)
    assert isinstance(delay["late"], bool), (SEED, value)
    assert orjson.loads(orjson.dumps(delay["minutes"])) == delay["minutes"], (SEED, value)
