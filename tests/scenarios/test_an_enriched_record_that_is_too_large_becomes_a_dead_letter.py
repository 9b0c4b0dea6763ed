"""An enriched record that the output topic does not take becomes a dead letter; its neighbours are enriched.

Whether the worker knows the limit from its start, or the broker lowers it while the worker runs and refuses a whole
batch: exactly the records that are too large fall out, in order, and the partition goes on.
"""

import json

import pytest

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Stream, record
from tests.support.topics import produce, read_all
from tests.support.verify import verify, wait_until_caught_up

LIMIT = 4000
PADDING = "x" * LIMIT


def test_a_record_above_the_known_limit_becomes_a_dead_letter(
    open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """The limit is read at the start, and nothing is aborted."""
    stream = open_stream()
    stream.broker.set_topic_config(stream.output, max_message_bytes=LIMIT)
    _feed(stream, large={50, 51, 90})
    worker = start_worker(stream)
    _assert_dead(stream, [50, 51, 90])
    worker.stop()
    assert not worker.logs("rewound to the last checkpoint")


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
@pytest.mark.parametrize("large", [{50}, set(range(20, 80, 3))], ids=["one", "twenty"])
def test_a_limit_that_is_lowered_meanwhile_costs_only_what_is_too_large(
    delivery: str, large: set[int], open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """The broker refuses a batch, and the worker finds out for which records."""
    stream = open_stream({"delivery": delivery})
    worker = start_worker(stream)
    worker.wait_until_assigned(3)
    stream.broker.set_topic_config(stream.output, max_message_bytes=LIMIT)
    _feed(stream, large=large)
    _assert_dead(stream, sorted(large), delivery)
    assert len(worker.logs("rewound to the last checkpoint")) == 1
    stream.feed(range(100, 200))
    wait_until_caught_up(stream)
    worker.stop()
    assert not worker.logs("partition held")


def _feed(stream: Stream, large: set[int]) -> None:
    """Write ids 0 to 99, some of them with padding, to one partition."""
    records = [record(number, partition=0, padding=PADDING if number in large else "") for number in range(100)]
    produce(stream.bootstrap, stream.input, records)


def _assert_dead(stream: Stream, ids: list[int], delivery: str = "exactly_once") -> None:
    """Wait for the end; just these ids are dead letters, with their cause, and the rest is enriched."""
    wait_until_caught_up(stream)
    outcome = verify(stream, range(100))
    outcome.assert_none_missing()
    if delivery == "exactly_once":
        outcome.assert_each_once()
    assert sorted(set(outcome.dead)) == ids
    for letter in read_all(stream.bootstrap, stream.dead):
        assert dict(letter.headers)["onelane.cause"] == b"TooLarge"
        assert json.loads(letter.value or b"")["padding"] == PADDING
