"""The broker refuses one enriched record for a reason that nobody can know beforehand, and its whole batch with it.

Here the output topic is compacted, and some events have no key. The worker sends the records again one by one, finds
each culprit, and makes a dead letter of it alone; order is kept, and then it goes on as fast as before.
"""

import pytest

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import record, value
from tests.support.topics import NewRecord, produce, read_all
from tests.support.verify import verify, wait_until_caught_up


@pytest.mark.parametrize("culprits", [[50], [10, 40, 80]])
@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_record_that_the_broker_refuses_becomes_a_dead_letter(
    delivery: str, culprits: list[int], open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """A dead letter for each that says why; all others are enriched, and the partition is never stopped."""
    stream = open_stream({"delivery": delivery})
    stream.broker.set_topic_config(stream.output, cleanup_policy="compact")
    records = [record(number, partition=0) for number in range(100)]
    for number in culprits:
        records[number] = NewRecord(value=value(number), partition=0)
    produce(stream.bootstrap, stream.input, records)
    worker = start_worker(stream)
    wait_until_caught_up(stream)
    worker.stop()
    # One round to learn that there is a culprit, and at most one for each to learn which.
    assert 2 <= len(worker.logs("rewound to the last checkpoint")) <= 1 + len(culprits)
    assert not worker.logs("partition held")
    outcome = verify(stream, range(100))
    outcome.assert_none_missing()
    if delivery == "exactly_once":
        outcome.assert_each_once()
    assert sorted(outcome.dead) == culprits
    for letter in read_all(stream.bootstrap, stream.dead):
        headers = dict(letter.headers)
        assert headers["onelane.cause"] == b"Refused"
        assert headers["onelane.stage"] == b"write"


def test_other_partitions_that_are_busy_do_not_hide_it(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """What the others commit meanwhile is no sign that it is behind: the worker looks for it once, and finds it."""
    stream = open_stream({"batch": {"rows": 16}, "checkpoint": "1ms"}, partitions=12)
    stream.broker.set_topic_config(stream.output, cleanup_policy="compact")
    records = [record(number, partition=number % 12) for number in range(1200)]
    records[0] = NewRecord(value=value(0), partition=0)
    produce(stream.bootstrap, stream.input, records)
    worker = start_worker(stream)
    wait_until_caught_up(stream)
    worker.stop()
    assert len(worker.logs("the broker refused a record")) == 2
    outcome = verify(stream, range(1200))
    outcome.assert_each_once()
    assert outcome.dead == [0]
