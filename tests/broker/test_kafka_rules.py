"""DESIGN.md's rules of Kafka, those that a broker in this process shows; scenarios and unit tests have the others."""

import threading
import time

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from consumer.broker import AbortedError
from consumer.exits import FatalBrokerError
from consumer.kafka import membership
from consumer.types import Enriched, Event
from tests.support.fixtures import OpenStream
from tests.support.inprocess import Seen, open_broker, poll_until, run_worker
from tests.support.kafka import KafkaBroker
from tests.support.stream import KEYS, Protocol, Stream, key, record, value
from tests.support.topics import NewRecord, committed, lag, produce, read_all, wait_until


def test_rule_1_a_commit_that_times_out_is_called_again(kafka: KafkaBroker, open_stream: OpenStream) -> None:
    """A broker frozen for longer than a call may take costs time: each result still comes once."""
    patient = {"transaction.timeout.ms": 60_000, "socket.timeout.ms": 10_000, "session.timeout.ms": 45_000}
    stream = open_stream({"kafka": patient})
    broker, seen = open_broker(stream.pipeline), Seen()
    broker.join(seen)
    stream.feed(range(50))
    events = poll_until(broker, lambda found: len(found) == 50)
    broker.write([Enriched(event, event.value() or b"") for event in events])
    thaw = threading.Timer(12.0, kafka.thaw)
    kafka.freeze()
    thaw.start()
    try:
        broker.checkpoint(_after(seen, events))
    finally:
        thaw.join()
    broker.close()
    assert len(read_all(stream.bootstrap, stream.output)) == 50
    assert sum(offset or 0 for offset in committed(stream.bootstrap, stream.name, stream.input).values()) == 50


def _after(seen: Seen, events: list[Event]) -> dict[int, int]:
    positions = dict(seen.positions)
    for event in events:
        positions[event.partition()] = event.offset() + 1
    return positions


@pytest.mark.parametrize(("start", "first"), [("earliest", 0), ("latest", 30)])
def test_rule_6_where_to_begin_is_committed_at_assignment(open_stream: OpenStream, start: str, first: int) -> None:
    """A member that dies before its first checkpoint does not make its successor skip what came meanwhile."""
    stream = open_stream({"input": {"start": start}}, partitions=1)
    stream.feed(range(30))
    broker, seen = open_broker(stream.pipeline), Seen()
    broker.join(seen)
    poll_until(broker, lambda _: bool(seen.positions))
    assert seen.positions == {0: first}
    assert committed(stream.bootstrap, stream.name, stream.input) == {0: first}
    broker.close()
    stream.feed(range(30, 40))
    successor, seen = open_broker(stream.pipeline, "two"), Seen()
    successor.join(seen)
    events = poll_until(successor, lambda found: len(found) == 40 - first)
    successor.close()
    assert [event.offset() for event in events] == list(range(first, 40))


def test_rule_6_start_error_refuses_a_group_that_never_committed(open_stream: OpenStream) -> None:
    """With input.start: error, a partition without a committed offset ends the worker, and is named."""
    stream = open_stream({"input": {"start": "error"}}, partitions=1)
    broker = open_broker(stream.pipeline)
    broker.join(Seen())
    with pytest.raises(FatalBrokerError, match=f"{stream.input} partition 0.*input.start is error"):
        poll_until(broker, lambda _: False)
    broker.close()


def test_rule_8_an_exception_in_a_callback_loses_no_event(open_stream: OpenStream) -> None:
    """What a callback raises comes out of poll after the call, and what was read is read again."""
    stream = open_stream(partitions=1)
    stream.feed(range(20))
    broker = open_broker(stream.pipeline)
    broker.join(Seen(failing=KeyError("in a callback")))
    with pytest.raises(KeyError, match="in a callback"):
        poll_until(broker, lambda _: False)
    broker.rewind()
    events = poll_until(broker, lambda found: len(found) == 20)
    broker.close()
    assert [event.offset() for event in events] == list(range(20))


def test_rule_9_a_lone_event_is_handed_over_at_once(open_stream: OpenStream) -> None:
    """A poll that may wait for seconds returns with the first event."""
    stream = open_stream(partitions=1)
    broker, seen = open_broker(stream.pipeline), Seen()
    broker.join(seen)
    poll_until(broker, lambda _: bool(seen.positions))
    feeder = threading.Timer(0.5, stream.feed, [[7]])
    feeder.start()
    until = time.monotonic() + 20
    events = broker.poll(until, 1000)
    while not events:
        events = broker.poll(until, 1000)
    left = until - time.monotonic()
    feeder.join()
    broker.close()
    assert len(events) == 1
    assert left > 10


def test_rule_10_a_partition_that_was_held_is_read_again_once_it_is_assigned_anew(open_stream: OpenStream) -> None:
    """A hold lasts until the partition goes: a pause that outlived it would starve the partition for ever."""
    stream = open_stream(partitions=2)
    first, seen = open_broker(stream.pipeline), Seen()
    first.join(seen)
    poll_until(first, lambda _: len(seen.positions) == 2)
    for partition in (0, 1):
        first.hold(partition)
    second, other = open_broker(stream.pipeline, "two"), Seen()
    second.join(other)
    deadline = time.monotonic() + 30
    while not other.positions and time.monotonic() < deadline:
        first.poll(time.monotonic() + 0.05, 100)
        second.poll(time.monotonic() + 0.05, 100)
    (moved,) = other.positions
    second.close()
    seen.positions.clear()
    poll_until(first, lambda _: moved in seen.positions)
    produce(stream.bootstrap, stream.input, [record(number, partition=number % 2) for number in range(20)])
    events = poll_until(first, lambda found: len(found) == 10)
    first.close()
    assert {event.partition() for event in events} == {moved}


def test_rule_12_offsets_pending_in_a_transaction_are_waited_for(open_stream: OpenStream) -> None:
    """A taker waits for the transaction that its predecessor left open, and begins where that ended."""
    stream = open_stream(partitions=1)
    stream.feed(range(20))
    consumer = Consumer({"bootstrap.servers": stream.bootstrap, "group.id": stream.name})
    producer = Producer({"bootstrap.servers": stream.bootstrap, "transactional.id": stream.name})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(stream.output, b"{}")
    offsets = [TopicPartition(stream.input, 0, 15)]
    producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
    producer.flush()
    broker, seen = open_broker(stream.pipeline), Seen()
    broker.join(seen)
    commit = threading.Timer(3.0, producer.commit_transaction)
    commit.start()
    poll_until(broker, lambda _: bool(seen.positions))
    commit.join()
    broker.close()
    consumer.close()
    assert seen.positions == {0: 15}


@pytest.mark.parametrize("partitions", [2, 7])
def test_rule_14_keys_are_hashed_where_the_output_has_another_number_of_partitions(
    open_stream: OpenStream, kafka: KafkaBroker, partitions: int
) -> None:
    """Each key keeps to one partition of the output topic, the one that Java clients would take."""
    stream = open_stream(partitions=4)
    kafka.delete_topic(stream.output)
    kafka.create_topic(stream.output, partitions)
    stream.feed(range(300))
    run_worker(stream.pipeline, lambda: lag(stream.bootstrap, stream.name, stream.input) == 0)
    records = read_all(stream.bootstrap, stream.output, until_count=300)
    assert len(records) == 300
    places = {name: {one.partition for one in records if one.key == name} for name in map(key, range(KEYS))}
    assert all(len(found) == 1 for found in places.values())
    probe = Stream(broker=kafka, name=f"{stream.name}-java", pipeline=stream.pipeline)
    kafka.create_topic(probe.input, partitions)
    produce(probe.bootstrap, probe.input, [NewRecord(key=name, value=value(0)) for name in places])
    java = {one.key: {one.partition} for one in read_all(probe.bootstrap, probe.input, until_count=KEYS)}
    assert places == java


def test_a_late_output_partition_count_is_seen_at_the_next_assignment(open_stream: OpenStream) -> None:
    """The counts are compared when partitions come, not only at the start."""
    stream = open_stream(partitions=1)
    broker, seen = open_broker(stream.pipeline), Seen()
    broker.join(seen)
    poll_until(broker, lambda _: bool(seen.positions))
    wait_until(lambda: broker._outlet._keep_enriched, 5, "the counts were not compared")
    broker.close()


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_marker_left_behind_by_a_predecessor_is_no_lag(open_stream: OpenStream, delivery: str) -> None:
    """A worker that takes over a partition with nothing but a transaction marker left commits past it."""
    stream = open_stream({"delivery": delivery}, partitions=1)
    producer = Producer({"bootstrap.servers": stream.bootstrap, "transactional.id": stream.name})
    producer.init_transactions()
    producer.begin_transaction()
    for number in range(5):
        producer.produce(stream.input, value(number), partition=0)
    producer.commit_transaction()
    consumer = Consumer({"bootstrap.servers": stream.bootstrap, "group.id": stream.name})
    consumer.commit(offsets=[TopicPartition(stream.input, 0, 5)], asynchronous=False)
    consumer.close()
    run_worker(stream.pipeline, lambda: committed(stream.bootstrap, stream.name, stream.input) == {0: 6})
    assert read_all(stream.bootstrap, stream.output) == []


def test_a_rewind_does_not_skip_what_is_to_be_read_again(open_stream: OpenStream) -> None:
    """After a seek the client has no position that could be committed in place of the lane's own."""
    stream = open_stream(partitions=1)
    stream.feed(range(20))
    broker, seen = open_broker(stream.pipeline), Seen()
    broker.join(seen)
    poll_until(broker, lambda found: len(found) == 20)
    assert broker.positions() == {0: 20}
    assert broker.rewind() == ({0: 0}, {})
    assert broker.positions() == {}
    assert [event.offset() for event in poll_until(broker, lambda found: len(found) == 20)] == list(range(20))
    broker.close()


def test_a_member_that_the_group_never_takes_ends_with_the_reason(
    open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session time-out that the broker does not allow, for example, would be refused for ever."""
    monkeypatch.setattr(membership, "FIRST_JOIN", 1.5)
    stream = open_stream({"kafka": {"session.timeout.ms": 900}}, partitions=1)
    broker = open_broker(stream.pipeline)
    broker.join(Seen())
    with pytest.raises(FatalBrokerError, match=r"never joined the group within 2 s: .*session timeout"):
        poll_until(broker, lambda _: False)
    broker.close()


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_spare_member_without_partitions_has_joined(
    open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch, protocol: Protocol
) -> None:
    """It waits as long as it takes."""
    monkeypatch.setattr(membership, "FIRST_JOIN", 4.0)
    stream = open_stream(partitions=1, protocol=protocol)
    first, seen = open_broker(stream.pipeline), Seen()
    first.join(seen)
    poll_until(first, lambda _: bool(seen.positions))
    spare, other = open_broker(stream.pipeline, "two"), Seen()
    spare.join(other)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        first.poll(time.monotonic() + 0.05, 10)
        spare.poll(time.monotonic() + 0.05, 10)
    assert len(seen.positions | other.positions) == 1
    spare.close()
    first.close()


@pytest.mark.parametrize("frozen_in", ["commit", "abort"])
def test_rule_1_a_producer_that_does_not_get_through_is_replaced(
    kafka: KafkaBroker, open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch, frozen_in: str
) -> None:
    """A new one ends what the old one had open, and the committed offsets tell how: each result still comes once.

    A client was seen that never found its coordinator again after a broker had stood still: it would wait for ever.
    """
    monkeypatch.setattr("consumer.kafka.delivery._WORN_OUT", 1.0)
    patient = {"transaction.timeout.ms": 60_000, "socket.timeout.ms": 10_000, "session.timeout.ms": 45_000}
    stream = open_stream({"kafka": patient})
    broker, seen = open_broker(stream.pipeline), Seen()
    broker.join(seen)
    stream.feed(range(50))
    events = poll_until(broker, lambda found: len(found) == 50)
    results = [Enriched(event, event.value() or b"") for event in events]
    broker.write(results)
    broker._outlet.producer.flush(10)  # an abort of what never reached the broker needs no broker
    old, close = broker._outlet, broker._outlet.close

    def thaw_and_close() -> None:
        kafka.thaw()  # not before: a call that ignores its time-out might get through after all
        close()

    monkeypatch.setattr(old, "close", thaw_and_close)
    thaw = threading.Timer(60.0, kafka.thaw)
    kafka.freeze()
    thaw.start()
    try:
        if frozen_in == "abort":
            monkeypatch.setattr(broker, "_finish", _abortable)
        with pytest.raises(AbortedError):
            broker.checkpoint(_after(seen, events))
    finally:
        thaw.cancel()
        kafka.thaw()
    monkeypatch.undo()
    assert broker._outlet is not old
    positions, _ = broker.rewind()
    again = [result for result in results if result.event.offset() >= positions[result.event.partition()]]
    broker.write(again)
    broker.checkpoint(_after(seen, events))
    broker.close()
    assert len(read_all(stream.bootstrap, stream.output)) == 50
    assert sum(offset or 0 for offset in committed(stream.bootstrap, stream.name, stream.input).values()) == 50


def _abortable(_: object) -> bool:
    raise KafkaException(KafkaError(KafkaError.INVALID_TXN_STATE, "abort it", txn_requires_abort=True))
