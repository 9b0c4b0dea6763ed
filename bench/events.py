"""The events of the comparison, as many as are asked for, the same ones each time."""

import gzip
import itertools
from collections.abc import Iterator

import numpy as np
import orjson

from bench.peers.job import FLIGHTS

Keyed = tuple[bytes, bytes]

SEED = 11
TOKENS, WORDS, USERS = 64, 1000, 997


def events(job: str, count: int) -> Iterator[Keyed]:
    """Return key and value of each event.

    Flights are the example's, over and over, with an `event_id` at their front that counts them; the key is carrier
    and number. Tokens are drawn; their key is the user, and `id` counts them.
    """
    return itertools.islice(texts() if job == "attention" else flights(), count)


def flights() -> Iterator[Keyed]:
    """Return flights without end."""
    with gzip.open(FLIGHTS / "events.jsonl.gz") as file:
        lines = [line.rstrip(b"\n") for line in file]
    fields = [orjson.loads(line) for line in lines]
    keys = [f"{event['carrier']}{event['flight']}".encode() for event in fields]
    for number in itertools.count():
        place = number % len(lines)
        yield keys[place], b'{"event_id":%d,%b' % (number, lines[place][1:])


def texts() -> Iterator[Keyed]:
    """Return token lists without end."""
    random = np.random.default_rng(SEED)
    start = np.datetime64("2026-01-01T00:00:00")
    for number in itertools.count():
        user = f"u{random.integers(USERS)}"
        event = {
            "id": number,
            "tokens": random.integers(0, WORDS, TOKENS).tolist(),
            "user": user,
            "ts": f"{start + number}Z",
        }
        yield user.encode(), orjson.dumps(event)
