"""A filter on the real broker: events pass as they are or are dropped, exactly once, in order, and are counted."""

import json

import pytest

from tests.support.alike import assert_same
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.scrape import scrape, total
from tests.support.stream import key, value
from tests.support.topics import Headers, NewRecord, produce, read_all
from tests.support.verify import wait_until_caught_up

COUNT = 300
HEADERS: Headers = (("camera", b"7"),)


@pytest.mark.parametrize("otherwise", ["pass", "drop"])
def test_events_that_are_not_for_the_model_keep_their_place(
    otherwise: str, open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """Each id once, in the order of its key; the others with their own bytes, key and headers, or not at all."""
    stream = open_stream({"when": "far == true", "otherwise": otherwise})
    worker = start_worker(stream)
    events = {number: value(number, far=number % 3 == 0) for number in range(COUNT)}
    records = [NewRecord(key=key(number), value=event, headers=HEADERS) for number, event in events.items()]
    produce(stream.bootstrap, stream.input, records)
    wait_until_caught_up(stream)
    found = read_all(stream.bootstrap, stream.output)
    ids = [json.loads(record.value or b"")["id"] for record in found]
    wanted = [number for number in events if otherwise == "pass" or number % 3 == 0]
    assert_same(ids, wanted)
    for name in {key(number) for number in wanted}:
        assert [number for number in ids if key(number) == name] == [n for n in wanted if key(n) == name]
    for number, record in zip(ids, found, strict=True):
        assert (record.key, record.headers) == (key(number), HEADERS)
        assert (record.value == events[number]) == (number % 3 != 0)
    assert not read_all(stream.bootstrap, stream.dead)
    counted = scrape(worker.http)
    outcomes = {"pass": "passed", "drop": "dropped"}
    assert total(counted, "onelane_filtered_total", outcome=outcomes[otherwise]) == COUNT * 2 / 3
    assert total(counted, "onelane_enriched_total") == COUNT / 3
    assert total(counted, "onelane_events_total") == COUNT
    worker.stop()
