"""The broker refuses one enriched record for a reason that nobody can know beforehand, and its whole batch with it.

Here the output topic is compacted, and one event has no key. The worker sends the records again one by one, finds
the culprit, and makes a dead letter of it alone; order is kept, and then it goes on as fast as before.
"""

import pytest

from tests.scenarios.conftest import OpenStream, StartWorker
from tests.support.stream import record, value
from tests.support.topics import NewRecord, produce, read_all
from tests.support.verify import verify, wait_until_caught_up


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_record_that_the_broker_refuses_becomes_a_dead_letter(
    delivery: str, open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """One dead letter that says why; all others are enriched."""
    stream = open_stream({"delivery": delivery})
    stream.broker.set_topic_config(stream.output, cleanup_policy="compact")
    records = [record(number, partition=0) for number in range(100)]
    records[50] = NewRecord(value=value(50), partition=0)
    produce(stream.bootstrap, stream.input, records)
    worker = start_worker(stream)
    wait_until_caught_up(stream)
    worker.stop()
    assert len(worker.logs("rewound to the last checkpoint")) == 2
    outcome = verify(stream, range(100))
    assert not outcome.missing
    if delivery == "exactly_once":
        outcome.assert_each_once()
    assert outcome.dead == [50]
    (letter,) = read_all(stream.bootstrap, stream.dead)
    headers = dict(letter.headers)
    assert headers["onelane.cause"] == b"Refused"
    assert headers["onelane.stage"] == b"write"
