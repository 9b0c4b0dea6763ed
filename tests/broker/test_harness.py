"""The broker that the other tests rely on, and the helpers that read its topics."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from tests.support.jars import JarsError, program
from tests.support.kafka import BrokerError, KafkaBroker
from tests.support.topics import (
    NewRecord,
    admin_client,
    commit,
    committed,
    end_offsets,
    lag,
    open_transactions,
    produce,
    read_all,
    wait_until,
)

Unique = Callable[[str], str]


@pytest.fixture(scope="module")
def own_broker() -> Iterator[KafkaBroker]:
    """A broker for tests that stop it."""
    with KafkaBroker() as broker:
        yield broker


def in_transaction(broker: KafkaBroker, name: str, **settings: int) -> Producer:
    """A producer with an open transaction."""
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap,
            "transactional.id": name,
            "log_level": 0,
            **{key.replace("_", "."): value for key, value in settings.items()},
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    return producer


def test_round_trip_keeps_all_fields_of_a_record(kafka: KafkaBroker, unique: Unique) -> None:
    """What is produced is read back with its key, value, headers, partition and timestamp."""
    topic = unique("fields")
    kafka.create_topic(topic, partitions=3)
    headers = (("trace", b"abc"), ("none", None), ("trace", b"again"))
    written = NewRecord(key=b"k", value=b"v", partition=2, headers=headers, timestamp_ms=1_700_000_000_000)
    produce(kafka.bootstrap, topic, [written, NewRecord(value=None, partition=0)])

    tombstone, record = read_all(kafka.bootstrap, topic)

    assert (record.key, record.value, record.headers) == (b"k", b"v", headers)
    assert (record.topic, record.partition, record.offset) == (topic, 2, 0)
    assert record.timestamp_ms == 1_700_000_000_000
    assert (tombstone.partition, tombstone.key, tombstone.value) == (0, None, None)


def test_read_all_ends_behind_transaction_markers(kafka: KafkaBroker, unique: Unique) -> None:
    """Committed records are read, aborted ones are not, and markers at the end do not hold the reader up."""
    topic = unique("markers")
    kafka.create_topic(topic, partitions=2)
    producer = in_transaction(kafka, unique("writer"))
    producer.produce(topic, b"kept", partition=0)
    producer.commit_transaction(30)
    producer.begin_transaction()
    producer.produce(topic, b"dropped", partition=0)
    producer.flush(30)
    producer.abort_transaction(30)

    assert [record.value for record in read_all(kafka.bootstrap, topic)] == [b"kept"]
    both = read_all(kafka.bootstrap, topic, "read_uncommitted")
    assert [record.value for record in both] == [b"kept", b"dropped"]
    assert end_offsets(kafka.bootstrap, topic) == {0: 4, 1: 0}


def test_open_transactions_sees_an_open_one_only(kafka: KafkaBroker, unique: Unique) -> None:
    """A partition shows while a transaction that wrote to it is open, and no longer once it has ended."""
    topic = unique("open")
    kafka.create_topic(topic, partitions=3)
    producer = in_transaction(kafka, unique("writer"))
    assert open_transactions(kafka.bootstrap, topic) == set()
    producer.produce(topic, b"one", partition=1)
    producer.flush(30)
    assert open_transactions(kafka.bootstrap, topic) == {1}
    assert read_all(kafka.bootstrap, topic) == []
    producer.commit_transaction(30)
    assert open_transactions(kafka.bootstrap, topic) == set()

    producer.begin_transaction()
    producer.produce(topic, b"two", partition=2)
    producer.flush(30)
    assert open_transactions(kafka.bootstrap, topic) == {2}
    producer.abort_transaction(30)
    assert open_transactions(kafka.bootstrap, topic) == set()


def test_a_timed_out_transaction_is_aborted_soon(kafka: KafkaBroker, unique: Unique) -> None:
    """The broker looks for transactions whose time is over often enough for tests."""
    topic = unique("timed-out")
    kafka.create_topic(topic, partitions=1)
    producer = in_transaction(kafka, unique("slow"), transaction_timeout_ms=1000, message_timeout_ms=900)
    producer.produce(topic, b"late")
    producer.flush(30)

    wait_until(lambda: not open_transactions(kafka.bootstrap, topic), 10, "the transaction is still open")

    assert read_all(kafka.bootstrap, topic) == []


def test_committed_and_lag_follow_a_transaction(kafka: KafkaBroker, unique: Unique) -> None:
    """Offsets sent to a transaction count when it commits, and not before."""
    topic, group = unique("lag"), unique("group")
    kafka.create_topic(topic, partitions=2)
    produce(kafka.bootstrap, topic, [NewRecord(value=b"v", partition=at) for at in (0, 0, 0, 1)])
    assert committed(kafka.bootstrap, group, topic) == {0: None, 1: None}
    assert lag(kafka.bootstrap, group, topic) == 4

    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group})
    producer = in_transaction(kafka, unique("writer"))
    with consumer:
        offsets = [TopicPartition(topic, 0, 2)]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 30)
        assert committed(kafka.bootstrap, group, topic) == {0: None, 1: None}
        producer.commit_transaction(30)
    assert committed(kafka.bootstrap, group, topic) == {0: 2, 1: None}
    assert lag(kafka.bootstrap, group, topic) == 2


def test_read_all_says_what_is_missing(kafka: KafkaBroker, unique: Unique) -> None:
    """A reader that waits for more records than there are gives up with what it has and what it wanted."""
    topic = unique("short")
    kafka.create_topic(topic, partitions=1)
    produce(kafka.bootstrap, topic, [NewRecord(value=b"v")])

    with pytest.raises(TimeoutError, match=r"1 records \(wanted 2\)"):
        read_all(kafka.bootstrap, topic, until_count=2, timeout=0.5)


def test_read_all_waits_for_records_to_come(kafka: KafkaBroker, unique: Unique) -> None:
    """With a count, the reader goes on past the end of the topic until another writer has written enough."""
    topic = unique("growing")
    kafka.create_topic(topic, partitions=1)
    produce(kafka.bootstrap, topic, [NewRecord(value=b"first")])
    writer = threading.Timer(0.3, produce, (kafka.bootstrap, topic, [NewRecord(value=b"second")]))
    writer.start()

    records = read_all(kafka.bootstrap, topic, until_count=2)

    writer.join()
    assert [record.value for record in records] == [b"first", b"second"]


def test_produce_raises_when_the_broker_refuses(kafka: KafkaBroker, unique: Unique) -> None:
    """A record over the topic's limit, which can be changed while the topic is in use, is an error."""
    topic = unique("limit")
    kafka.create_topic(topic, partitions=1, max_message_bytes=50_000)
    produce(kafka.bootstrap, topic, [NewRecord(value=bytes(10_000))])
    kafka.set_topic_config(topic, max_message_bytes=5_000)

    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        produce(kafka.bootstrap, topic, [NewRecord(value=bytes(10_000))])


def test_a_topic_that_is_not_there_is_an_error(kafka: KafkaBroker, unique: Unique) -> None:
    """Topics are never made by asking for them, and a deleted one is gone at once."""
    topic = unique("gone")
    kafka.create_topic(topic, partitions=1)
    kafka.delete_topic(topic)

    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC_OR_PART"):
        produce(kafka.bootstrap, topic, [NewRecord(value=b"v")])
    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC_OR_PART"):
        read_all(kafka.bootstrap, topic)


def test_kafkas_own_tools_run(kafka: KafkaBroker, unique: Unique) -> None:
    """A program of Kafka's jars answers about a topic, and its failure is in what it returns."""
    topic = unique("tool")
    kafka.create_topic(topic, partitions=1)
    produce(kafka.bootstrap, topic, [NewRecord(value=b"v")])

    done = kafka.tool("GetOffsetShell", "--bootstrap-server", kafka.bootstrap, "--topic", topic)

    assert (done.returncode, done.stdout.strip()) == (0, f"{topic}:0:1")
    assert kafka.tool("GetOffsetShell", "--no-such-option").returncode != 0


def test_a_frozen_broker_answers_only_when_thawed(own_broker: KafkaBroker, unique: Unique) -> None:
    """A frozen broker keeps its process and answers nothing; thawed, it has all it had."""
    topic = unique("frozen")
    own_broker.create_topic(topic, partitions=1)
    produce(own_broker.bootstrap, topic, [NewRecord(value=b"v")])
    own_broker.freeze()
    try:
        assert psutil.Process(own_broker.pid).status() == psutil.STATUS_STOPPED
        with admin_client(own_broker.bootstrap) as admin, pytest.raises(KafkaException):
            admin.list_topics(timeout=0.5)
    finally:
        own_broker.thaw()

    assert [record.value for record in read_all(own_broker.bootstrap, topic)] == [b"v"]


def test_a_group_is_committed_also_where_its_coordinator_is_on_its_way(
    own_broker: KafkaBroker, unique: Unique
) -> None:
    """A broker that has just started says so beside the partition, and the admin client raises nothing."""
    topic, group = unique("early"), unique("group")
    own_broker.create_topic(topic, partitions=1)
    own_broker.restart()
    commit(own_broker.bootstrap, group, TopicPartition(topic, 0, 1))
    assert committed(own_broker.bootstrap, group, topic) == {0: 1}


def test_a_restart_keeps_address_and_data(own_broker: KafkaBroker, unique: Unique) -> None:
    """After an orderly restart and after a kill the same topics are at the same address."""
    topic = unique("kept")
    own_broker.create_topic(topic, partitions=2)
    address = own_broker.bootstrap
    produce(address, topic, [NewRecord(value=b"1", partition=0)])
    first = own_broker.pid
    own_broker.restart()
    produce(address, topic, [NewRecord(value=b"2", partition=1)])
    own_broker.kill()
    own_broker.restart()

    assert own_broker.bootstrap == address
    assert own_broker.pid != first
    assert [record.value for record in read_all(address, topic)] == [b"1", b"2"]


def test_settings_that_kafka_refuses_are_told() -> None:
    """A broker with an impossible setting raises with its name, and leaves nothing behind."""
    broker = KafkaBroker(settings={"log.cleaner.dedupe.buffer.size": "much"})

    with pytest.raises(BrokerError, match=r"log\.cleaner\.dedupe\.buffer\.size"), broker:
        pass

    with pytest.raises(BrokerError, match="not started"):
        _ = broker.folder


def test_a_broker_that_dies_at_start_says_why(kafka: KafkaBroker) -> None:
    """A broker whose port is taken raises with its last words, long before the time limit."""
    taken = int(kafka.bootstrap.rpartition(":")[2])

    with pytest.raises(BrokerError, match="Address already in use"), KafkaBroker(port=taken):
        pass


def test_a_missing_program_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Java, the error names the package to install."""
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(JarsError, match="default-jre-headless"):
        program("java")


def test_a_killed_broker_is_known_to_have_ended(own_broker: KafkaBroker) -> None:
    """No signal goes to the id of a process that has ended: asking for it raises, until the restart."""
    own_broker.kill()
    try:
        with pytest.raises(BrokerError, match="ended with status -9"):
            own_broker.freeze()
    finally:
        own_broker.restart()


def test_the_broker_for_people_runs_until_it_is_interrupted(tmp_path: Path) -> None:
    """`python -m tests.support.kafka` prints its address, serves, and takes its folder with it."""
    command = [sys.executable, "-u", "-m", "tests.support.kafka", "--port", "0", "--topic", "flights"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        bootstrap = process.stdout.readline().split()[3].rstrip(";")
        produce(bootstrap, "flights", [NewRecord(value=b"v")])
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert list(tmp_path.iterdir()) == []
