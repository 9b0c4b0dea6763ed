"""Retention has deleted events that the group has not read: that is data loss, so nothing is skipped silently.

The partition stops and says so, its offset stays where it is, and the other partitions go on.
"""

from confluent_kafka import TopicPartition

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.probing import wait_until_shown
from tests.support.stream import Stream, record, value
from tests.support.topics import NewRecord, admin_client, committed, produce, read_all, wait_until
from tests.support.verify import event_ids, wait_until_caught_up


def test_a_committed_offset_that_is_gone_stops_its_partition_only(
    open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """One partition is stopped, two are served, before and after another abort."""
    stream = open_stream()
    _feed(stream, 0, 30)
    worker = start_worker(stream, "first")
    wait_until_caught_up(stream)
    worker.stop()
    _feed(stream, 30, 60)
    _delete_before(stream, partition=1, offset=15)
    worker = start_worker(stream, "second")
    line = worker.wait_for("partition held")
    assert (line["partition"], line["offset"]) == (1, 10)
    assert line["why"].startswith("its committed offset is gone from the broker")
    wait_until_shown(worker, "offset gone")
    stream.broker.set_topic_config(stream.output, cleanup_policy="compact")
    produce(stream.bootstrap, stream.input, [NewRecord(value=value(90), partition=0)])
    worker.wait_for("rewound to the last checkpoint")
    _feed(stream, 60, 90)
    served = {number for number in range(90) if number % 3 != 1}
    wait_until(lambda: served <= set(event_ids(read_all(stream.bootstrap, stream.output))), 20, "others stopped too")
    worker.stop()
    assert committed(stream.bootstrap, stream.name, stream.input)[1] == 10
    enriched = event_ids(read_all(stream.bootstrap, stream.output))
    assert sorted(enriched) == sorted(served | {number for number in range(30) if number % 3 == 1})


def _feed(stream: Stream, first: int, stop: int) -> None:
    """Write events to partitions in turn."""
    produce(stream.bootstrap, stream.input, [record(number, partition=number % 3) for number in range(first, stop)])


def _delete_before(stream: Stream, partition: int, offset: int) -> None:
    """Delete the records of a partition before an offset, as retention does."""
    place = TopicPartition(stream.input, partition, offset)
    with admin_client(stream.bootstrap) as admin:
        assert admin.delete_records([place])[place].result().low_watermark == offset
