"""The events of the comparison are the same each time, and each can be told from all others."""

from itertools import islice

import orjson
import pytest

from bench.events import events, flights
from bench.peers.job import JOBS


@pytest.mark.parametrize("job", JOBS)
def test_events_are_the_same_each_time(job: str) -> None:
    """Also where fewer are asked for."""
    assert list(events(job, 50)) == list(events(job, 80))[:50]


def test_flights_are_counted_beyond_their_file() -> None:
    """`event_id` stands first, and the rest is the file's event."""
    keyed = list(islice(flights(), 5_300))
    assert [orjson.loads(value)["event_id"] for _, value in keyed] == list(range(5_300))
    assert keyed[0][1].startswith(b'{"event_id":0,"id":')
    first, again = orjson.loads(keyed[0][1]), orjson.loads(keyed[5_219][1])
    assert first | {"event_id": 5_219} == again
    assert keyed[0][0] == keyed[5_219][0] == f"{first['carrier']}{first['flight']}".encode()


def test_texts_are_tokens_of_a_user() -> None:
    """64 of them; the key is the user."""
    key, value = next(events("attention", 1))
    event = orjson.loads(value)
    assert event.keys() == {"id", "tokens", "user", "ts"}
    assert len(event["tokens"]) == 64
    assert key == event["user"].encode()
