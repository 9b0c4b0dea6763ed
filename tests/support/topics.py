"""What tests do with topics: write, read to the end, and ask where things stand.

Everything waits on conditions and has a limit; nothing sleeps for a fixed time. Each call makes a client of
its own, so a broker may be restarted between calls.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

Isolation = Literal["read_committed", "read_uncommitted"]
Headers = tuple[tuple[str, bytes | None], ...]

T = TypeVar("T")

POLL_INTERVAL = 0.02
REQUEST_TIMEOUT = 15.0

_NO_COORDINATOR_YET = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """A record to write; without a partition, the key chooses it as Java's clients do."""

    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as it lies in its topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


def wait_until(condition: Callable[[], T], timeout: float, message: str | Callable[[], str]) -> T:
    """The first true answer of `condition`; after `timeout` seconds a TimeoutError, with `message` made then."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            told = message if isinstance(message, str) else message()
            raise TimeoutError(f"{told} (waited {timeout:g} s)")
        time.sleep(POLL_INTERVAL)


def admin_client(bootstrap: str) -> AdminClient:
    """An admin client that reconnects fast and keeps quiet about brokers that tests stop.

    Hold it in a with statement until the answers are there: one that is dropped fails its open calls.
    """
    return AdminClient(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
        }
    )


def produce(bootstrap: str, topic: str, records: Iterable[NewRecord], timeout: float = 30) -> None:
    """Write the records and wait till the broker has them all; raises KafkaException if any was refused."""
    failures: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)

    settings = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "partitioner": "murmur2_random"}
    # How large a record may be is for the topic to say.
    producer = Producer({**settings, "message.max.bytes": 4_000_000, "linger.ms": 1, "log_level": 0})
    _partitions(producer, topic)
    for record in records:
        _enqueue(producer, topic, record, on_delivery)
    undelivered = producer.flush(timeout)
    if failures:
        raise KafkaException(failures[0])
    if undelivered:
        raise TimeoutError(f"{undelivered} records for '{topic}' were not delivered in {timeout:g} s")


def _enqueue(
    producer: Producer,
    topic: str,
    record: NewRecord,
    on_delivery: Callable[[KafkaError | None, Message], None],
) -> None:
    """Queue one record, making room in the queue first where it is full."""
    while True:
        try:
            producer.produce(
                topic,
                value=record.value,
                key=record.key,
                partition=-1 if record.partition is None else record.partition,
                headers=list(record.headers),
                timestamp=record.timestamp_ms or 0,  # 0 is librdkafka's "now"
                on_delivery=on_delivery,
            )
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def read_all(
    bootstrap: str,
    topic: str,
    isolation: Isolation = "read_committed",
    until_count: int | None = None,
    timeout: float = 30,
) -> list[Record]:
    """Every record of the topic, sorted by partition and offset.

    Reads until each partition is at its end, which for `read_committed` is the last stable offset. With
    `until_count` it goes on until there are at least that many as well, and still reads to the end after
    that, so that duplicates show. Raises TimeoutError that says how far it came.
    """
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "read-all",  # required, and never joined: partitions are assigned by hand
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "isolation.level": isolation,
        "fetch.wait.max.ms": 20,  # an empty partition tells its end only when its fetch returns
        "log_level": 0,
    }
    with Consumer(settings) as consumer:
        partitions = {at.partition for at in _partitions(consumer, topic)}
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        records = _read_to_end(consumer, partitions, until_count or 0, timeout)
    return sorted(records, key=lambda record: (record.partition, record.offset))


def count_all(bootstrap: str, topic: str, timeout: float = 120) -> int:
    """How many records a read_committed reader finds in the topic, however many there are."""
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "count-all",  # required, and never joined: partitions are assigned by hand
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "log_level": 0,
    }
    deadline = time.monotonic() + timeout
    with Consumer(settings) as consumer:
        waiting = {at.partition for at in _partitions(consumer, topic)}
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in waiting])
        count = 0
        while waiting:
            assert time.monotonic() < deadline, (
                f"{count} records so far, partitions {sorted(waiting)} not at their end"
            )
            for message in consumer.consume(10_000, 0.2):
                if message.error() is None:
                    count += 1
                else:
                    waiting.discard(_known(message.partition()))
    return count


def _read_to_end(consumer: Consumer, partitions: set[int], count: int, timeout: float) -> list[Record]:
    """Read until all partitions report their end at the same time and `count` records are there.

    The end that the client reports is right behind transaction markers too, which a comparison of record
    offsets with end offsets is not: a marker takes an offset and is never handed out.
    """
    records: list[Record] = []
    at_end: set[int] = set()
    deadline = time.monotonic() + timeout
    while at_end != partitions or len(records) < count:
        message = consumer.poll(max(0.0, deadline - time.monotonic()))
        if message is None:
            raise TimeoutError(
                f"{len(records)} records (wanted {count}), partitions {sorted(partitions - at_end)} not at "
                f"their end after {timeout:g} s"
            )
        error = message.error()
        if error is None:
            record = _record(message)
            records.append(record)
            at_end.discard(record.partition)
        elif error.code() == KafkaError._PARTITION_EOF:
            at_end.add(_known(message.partition()))
        else:
            raise KafkaException(error)
    return records


def _record(message: Message) -> Record:
    """The record in a client's message."""
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        topic=_known(message.topic()),
        partition=_known(message.partition()),
        offset=_known(message.offset()),
        key=message.key(),
        value=message.value(),
        headers=tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs),
        timestamp_ms=message.timestamp()[1],
    )


def _known(value: T | None) -> T:
    """A field that the client types as optional and that a message from a broker always has."""
    assert value is not None
    return value


def partition_ids(bootstrap: str, topic: str) -> set[int]:
    """The partitions of the topic; raises KafkaException when there is no such topic."""
    with admin_client(bootstrap) as admin:
        return {at.partition for at in _partitions(admin, topic)}


def _partitions(client: AdminClient | Consumer | Producer, topic: str) -> list[TopicPartition]:
    """The partitions of the topic, as the client wants them named.

    Asked first, it also saves half a second: a new producer or consumer that does not know its broker yet
    tries again only then.
    """
    metadata = client.list_topics(topic, timeout=REQUEST_TIMEOUT).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    return [TopicPartition(topic, partition) for partition in metadata.partitions]


def end_offsets(bootstrap: str, topic: str, isolation: Isolation = "read_committed") -> dict[int, int]:
    """Where each partition ends: its last stable offset, or for `read_uncommitted` its high watermark."""
    return _list_offsets(bootstrap, topic, OffsetSpec.latest(), isolation)  # type: ignore[no-untyped-call]


def _list_offsets(bootstrap: str, topic: str, spec: OffsetSpec, isolation: Isolation) -> dict[int, int]:
    """One offset of each partition of the topic, as the broker tells it."""
    with admin_client(bootstrap) as admin:
        asked = dict.fromkeys(_partitions(admin, topic), spec)
        level = IsolationLevel[isolation.upper()]
        answers = admin.list_offsets(asked, isolation_level=level, request_timeout=REQUEST_TIMEOUT)
        return {at.partition: answer.result().offset for at, answer in answers.items()}


def committed(bootstrap: str, group: str, topic: str) -> dict[int, int | None]:
    """The group's committed offset in each partition, None where it has none.

    Offsets that wait in an open transaction are not committed yet, and are not told.

    Asked by a consumer that never joins: librdkafka 2.16's admin client crashes, in rd_kafka_cgrp_op without a group,
    where the answer is that the coordinator is not there yet, as on a broker that has just started.
    """
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "enable.auto.commit": False,
        "isolation.level": "read_uncommitted",
        "log_level": 0,
    }
    with Consumer(settings) as consumer:
        wanted = _partitions(consumer, topic)
        found = wait_until(lambda: _committed(consumer, wanted), REQUEST_TIMEOUT, f"no coordinator of '{group}'")
    return {at.partition: at.offset if at.offset >= 0 else None for at in found}


def _committed(consumer: Consumer, wanted: list[TopicPartition]) -> list[TopicPartition]:
    """The committed offsets; nothing while the group's coordinator is on its way."""
    try:
        found = consumer.committed(wanted, timeout=REQUEST_TIMEOUT)
    except KafkaException as error:
        if error.args[0].code() in _NO_COORDINATOR_YET:
            return []
        raise
    for at in found:
        if at.error is not None:
            raise KafkaException(at.error)
    return found


def commit(bootstrap: str, group: str, place: TopicPartition) -> None:
    """Have a group without members committed to an offset.

    The admin client tells what is wrong with a partition beside it, and raises nothing: on a broker that has just
    started, that the group's coordinator is not there yet.
    """
    request = ConsumerGroupTopicPartitions(group, [place])
    with admin_client(bootstrap) as admin:
        wait_until(lambda: _is_committed(admin, request), REQUEST_TIMEOUT, f"no coordinator of '{group}'")


def _is_committed(admin: AdminClient, request: ConsumerGroupTopicPartitions) -> bool:
    answer = admin.alter_consumer_group_offsets([request], request_timeout=REQUEST_TIMEOUT)
    (at,) = answer[request.group_id].result().topic_partitions
    if at.error is not None and at.error.code() not in _NO_COORDINATOR_YET:
        raise KafkaException(at.error)
    return at.error is None


def members(bootstrap: str, group: str) -> int:
    """How many members of a group its coordinator knows."""
    with admin_client(bootstrap) as admin:
        answers = admin.describe_consumer_groups([group], request_timeout=REQUEST_TIMEOUT)
        return len(answers[group].result().members)


def lag(bootstrap: str, group: str, topic: str) -> int:
    """How many offsets lie between what the group committed and the last stable offsets, over all partitions.

    A partition without a commit counts from its first record. Transaction markers have offsets, so the lag
    stays above 0 behind an input that was itself written in transactions.
    """
    first = _list_offsets(bootstrap, topic, OffsetSpec.earliest(), "read_committed")  # type: ignore[no-untyped-call]
    ends = end_offsets(bootstrap, topic)
    done = committed(bootstrap, group, topic)
    starts = {partition: first[partition] if at is None else at for partition, at in done.items()}
    return sum(max(0, end - starts[partition]) for partition, end in ends.items())


def open_transactions(bootstrap: str, topic: str) -> set[int]:
    """The partitions in which a transaction that has written records is neither committed nor aborted.

    A transaction that has only announced a partition, or only sent consumer offsets, does not show.
    """
    # In this order a transaction that commits between the two questions can't be taken for an open one.
    high = end_offsets(bootstrap, topic, "read_uncommitted")
    stable = end_offsets(bootstrap, topic, "read_committed")
    return {partition for partition, end in high.items() if stable[partition] < end}
