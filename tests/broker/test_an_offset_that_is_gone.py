"""What the client does where a rebalance meets an offset that is gone, on a real broker (rule 19 of DESIGN.md)."""

import time
from contextlib import closing

from confluent_kafka import Consumer, TopicPartition

from consumer.kafka.broker import KafkaBroker
from tests.support.fixtures import OpenStream
from tests.support.inprocess import Seen, open_broker, poll_until
from tests.support.stream import Stream, record
from tests.support.topics import admin_client, commit, produce, wait_until


class Stopped(Seen):
    """Also notes which partitions can't be read on."""

    def __init__(self) -> None:
        super().__init__()
        self.why: dict[int, str] = {}

    def stopped(self, partition: int, why: str) -> None:
        """Note it."""
        self.why[partition] = why


def begin(stream: Stream) -> tuple[KafkaBroker, Stopped]:
    """Have a member with three partitions, of which the first one's offset is gone, as it is told next."""
    produce(stream.bootstrap, stream.input, [record(number, partition=0) for number in range(10)])
    place = TopicPartition(stream.input, 0, 5)
    with admin_client(stream.bootstrap) as admin:
        assert admin.delete_records([place])[place].result().low_watermark == 5
    commit(stream.bootstrap, stream.name, TopicPartition(stream.input, 0, 0))
    broker, seen = open_broker(stream.pipeline), Stopped()
    broker.join(seen)
    while not seen.positions:
        broker.poll(time.monotonic() + 0.02, 1)
    assert seen.positions == {0: 0, 1: 0, 2: 0}
    return broker, seen


def another(stream: Stream) -> Consumer:
    """Another client of the group."""
    return Consumer(
        {
            "bootstrap.servers": stream.bootstrap,
            "group.id": stream.name,
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
        }
    )


def test_rule_19_going_back_to_what_is_committed_answers_no_rebalance(open_stream: OpenStream) -> None:
    """Before its callback, partitions are ours: whoever gets them reads what we have not committed yet."""
    stream = open_stream()
    broker, seen = begin(stream)
    told = list[bool]()
    with closing(broker), another(stream) as other:
        poll_until(broker, lambda _: bool(seen.why))
        other.subscribe([stream.input], on_assign=lambda _, places: told.append(bool(places)))
        wait_until(lambda: other.poll(0.05) or told, 30, "the group does not rebalance")
        broker.rewind()
        poll_for(other, 2.0)
        assert (told, seen.gone) == ([False], [])
        wait_until(lambda: broker.poll(0.0, 1) or other.poll(0.05) or any(told), 30, "nothing is handed over")
        assert len(seen.gone) == 1


def test_rule_19_an_offset_that_is_gone_is_told_also_where_a_rebalance_comes_first(open_stream: OpenStream) -> None:
    """The client discards what it has fetched for that, and fetches it again; the word, which it says once, stays."""
    stream = open_stream()
    broker, seen = begin(stream)
    told = list[bool]()
    with closing(broker), another(stream) as other:
        other.subscribe([stream.output], on_assign=lambda _, places: told.append(bool(places)))
        wait_until(lambda: other.poll(0.05) or told, 30, "the group does not rebalance")
        poll_for(other, 1.0)
        assert not seen.why
        poll_until(broker, lambda _: bool(seen.why))
        assert seen.why.keys() == {0}


def poll_for(consumer: Consumer, seconds: float) -> None:
    """Have a consumer do what it is to do for a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        consumer.poll(0.05)
