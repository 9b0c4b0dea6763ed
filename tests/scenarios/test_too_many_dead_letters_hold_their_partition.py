"""Events that can't be enriched come in a row on one partition: it is held, and stays so, until somebody mends it.

arroyo drops records past its dead-letter limit; here the offset stays where it is. A pause that is forgotten when its
partition moves lets another run of dead letters through at each takeover; here it is committed beside the offset.
"""

import json
from collections.abc import Mapping

import pytest

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Protocol, Stream, record
from tests.support.topics import NewRecord, committed, produce, read_all, wait_until
from tests.support.verify import event_ids, verify

STOP: Mapping[str, object] = {"dead_letters": {"stop_after": {"in_a_row": 20}}}
BAD = range(1000, 1100)


def feed(stream: Stream, good: range) -> None:
    """Write good events to partitions 0 and 1, and bad ones, too far away, to partition 2."""
    produce(stream.bootstrap, stream.input, [record(number, partition=number % 2) for number in good])
    records: list[NewRecord] = [record(number, partition=2, distance=99_999.0) for number in BAD]
    produce(stream.bootstrap, stream.input, records)


def offsets(stream: Stream) -> dict[int, int | None]:
    """Return what is committed."""
    return committed(stream.bootstrap, stream.name, stream.input)


@pytest.mark.parametrize(
    ("protocol", "delivery"),
    [("classic", "exactly_once"), ("consumer", "exactly_once"), ("classic", "at_least_once")],
)
def test_too_many_dead_letters_hold_their_partition_where_arroyo_drops_what_follows(
    open_stream: OpenStream, start_worker: StartWorker, protocol: Protocol, delivery: str
) -> None:
    """At exactly the limit, through a kill and a rebalance, until the mapping is mended; nothing is dropped."""
    stream = narrow(open_stream({**STOP, "delivery": delivery}, protocol=protocol))
    feed(stream, range(200))
    first = start_worker(stream, "first")
    held = first.wait_for("partition held")
    assert (held["partition"], held["offset"], held["cause"], held["level"]) == (2, 20, "OutOfRange", "error")
    wait_until(lambda: offsets(stream) == {0: 100, 1: 100, 2: 20}, 30, "the others do not go on")
    first.kill()

    second = start_worker(stream, "second")
    second.wait_for("partition held")
    third = start_worker(stream, "third")  # a rebalance: whoever has the partition now
    wait_until(lambda: second.lanes + third.lanes == 3 and third.lanes > 0, 30, "no partition has moved")
    feed(stream, range(200, 300))
    wait_until(lambda: offsets(stream) == {0: 150, 1: 150, 2: 20}, 30, "the others do not go on")
    third.stop()
    second.stop()
    assert sorted(event_ids(read_all(stream.bootstrap, stream.dead))) == list(BAD)[:20]

    narrow(stream, 100_000)  # mended
    mended = start_worker(stream, "mended")
    mended.wait_for("partition released")
    wait_until(lambda: offsets(stream)[2] == 200, 30, "the mended pipeline does not go on")
    mended.stop()
    outcome = verify(stream, [*range(300), *BAD])
    outcome.assert_none_missing()
    assert outcome.dead == list(BAD)[:20]


def narrow(stream: Stream, longest: int = 6000) -> Stream:
    """Have the mapping refuse flights that are longer."""
    spec = json.loads(stream.pipeline.read_text())
    distance = next(f for f in spec["model"]["inputs"]["features"] if f["field"] == "distance")
    distance["range"] = [0, longest]
    stream.pipeline.write_text(json.dumps(spec))
    return stream


def test_release_lets_another_run_of_dead_letters_through(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """`--release` is for events that are known to be bad: it goes on, and holds again at the limit."""
    stream = narrow(open_stream(STOP))
    feed(stream, range(10))
    first = start_worker(stream, "first")
    first.wait_for("partition held")
    wait_until(lambda: offsets(stream)[2] == 20, 30, "the hold is not committed")
    first.stop()
    releasing = start_worker(stream, "second", arguments=["--release"])
    releasing.wait_for("partition released")
    assert releasing.wait_for("partition held")["offset"] == 40
    wait_until(lambda: offsets(stream)[2] == 40, 30, "the hold is not committed")
    releasing.stop()
    verify(stream, [*range(10), *list(BAD)[:40]]).assert_each_once()


def test_when_held_exit_ends_the_process_with_6(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """Once the hold is committed; and again at once when it is started again, without another dead letter."""
    stream = narrow(open_stream({"dead_letters": {"stop_after": {"in_a_row": 20}, "when_held": "exit"}}))
    feed(stream, range(10))
    for instance in ("first", "second"):
        assert start_worker(stream, instance).wait(allowed=[6], within=60) == 6
        assert offsets(stream)[2] == 20
    assert len(read_all(stream.bootstrap, stream.dead)) == 20
