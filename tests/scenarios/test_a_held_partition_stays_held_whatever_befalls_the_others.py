"""Each way to be held meets an abort, and a rebalance that takes the partition away and brings it back.

A worker that goes back to what is committed does so in all of its partitions, also in those of which it reads no
more: the others go on, the held ones stay where they are and are told as held for what they were held for, and each
goes on once that is mended. Each of these troubles alone was lived through hundreds of times before two of them met.
`PROTOCOL=consumer` has them meet in a KIP-848 group.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import orjson
from confluent_kafka import Consumer, TopicPartition

from consumer.kafka.registry import RegisteringRegistry
from consumer.records.envelope import prefix
from consumer.records.schemas import Schema
from tests.support.apicurio import Apicurio
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.formats import FRAME, schema_of
from tests.support.scrape import scrape, status, total
from tests.support.stream import Protocol, key, value
from tests.support.topics import NewRecord, admin_client, commit, committed, produce, read_all, wait_until
from tests.support.verify import event_id, wait_until_caught_up

# Partitions, each with what it is held for; two are not.
FREE, GUARDED, REFUSED, GONE, UNREAD, OTHER = range(6)
HELD: Final[Mapping[int, str]] = {GUARDED: "guard", REFUSED: "refused", GONE: "offset_gone", UNREAD: "registry"}
PROTOCOL: Final[Protocol] = "consumer" if os.environ.get("PROTOCOL") == "consumer" else "classic"
# Where retention has come to, in the partition of which nothing is read yet.
KEPT: Final = 5
IN_A_ROW: Final = 5
STAND: Final = {GUARDED: IN_A_ROW, REFUSED: 0, GONE: 0, UNREAD: 0}
# What the dead-letter topic takes while it refuses: no event as long.
SMALL: Final = 4_000
# Long enough for others to go on in between.
RETRY: Final = {"RETRY_SECONDS": "4"}


class Work:
    """A worker with its events: JSON of two schemas, each with an id of its own."""

    def __init__(self, open_stream: OpenStream, start_worker: StartWorker, registry: Apicurio) -> None:
        changes = {
            "input": {"format": "json_schema"},
            "registry": {"url": registry.url},
            "dead_letters": {"stop_after": {"in_a_row": IN_A_ROW}},
        }
        self.stream = open_stream(changes, partitions=6, protocol=PROTOCOL)
        self._start_worker = start_worker
        edge = RegisteringRegistry({"url": registry.url})
        tree = orjson.loads(schema_of("json_schema").text)
        later = Schema("JSON", orjson.dumps({**tree, "title": "Later"}).decode())
        subject = f"{self.stream.input}-value"
        self._versions = [edge.claim(subject, schema) for schema in (schema_of("json_schema"), later)]
        edge.close()
        self.count = 0

    def start(self) -> None:
        """Start it where retention was faster than the group, and at work elsewhere."""
        self.feed(GONE)
        place = TopicPartition(self.stream.input, GONE, KEPT)
        with admin_client(self.stream.bootstrap) as admin:
            assert admin.delete_records([place])[place].result().low_watermark == KEPT
        self.commit_gone(0)
        self.feed(FREE)
        module = "tests.support.soon_retried"
        self.worker = self._start_worker(self.stream, "one", module=module, environment=RETRY)

    def start_again(self) -> None:
        """Start the next one, which releases what somebody has looked at."""
        assert self.worker.stop() == 0
        self.commit_gone(KEPT)
        self.worker = self._start_worker(self.stream, "two", arguments=["--release"])

    def commit_gone(self, offset: int) -> None:
        """Have the group committed to an offset that is gone, or to the first one that is not."""
        commit(self.stream.bootstrap, self.stream.name, TopicPartition(self.stream.input, GONE, offset))

    def feed(self, partition: int, count: int = 10, *, version: int = 0, keyed: bool = True, **extra: object) -> None:
        """Write some events to a partition."""
        ids = range(self.count, self.count + count)
        self.count += count
        lead = prefix(self._versions[version])
        records = [
            NewRecord(key=key(one) if keyed else None, value=lead + value(one, **extra), partition=partition)
            for one in ids
        ]
        produce(self.stream.bootstrap, self.stream.input, records)

    def wait_until_first_schema_is_told(self) -> None:
        """Wait for it, and until it is seen that an offset is gone."""
        self.wait_until_held({GONE: "offset_gone"})
        wait_until(lambda: self.offsets()[FREE] == 10, 30, lambda: f"it reads nothing:\n{self.worker.tail()}")

    def trouble(self) -> None:
        """Have the others held."""
        self.stream.broker.set_topic_config(self.stream.dead, max_message_bytes=SMALL)
        self.feed(UNREAD, version=1)
        self.feed(GUARDED, 2 * IN_A_ROW, weekend="no")
        self.feed(REFUSED, 1, weekend="no", padding="x" * SMALL)

    def refuse(self) -> None:
        """Have a record of a partition that is not held refused: an abort, and a dead letter."""
        self.stream.broker.set_topic_config(self.stream.output, cleanup_policy="compact")
        self.feed(FREE, 1, keyed=False)

    def mend(self) -> None:
        """Have all topics take everything."""
        self.stream.broker.set_topic_config(self.stream.output, cleanup_policy="delete")
        self.stream.broker.set_topic_config(self.stream.dead, max_message_bytes=2_000_000)

    @contextmanager
    def another_member(self) -> Iterator[set[int]]:
        """Have a consumer of no onelane in the group, with the partitions that it is given."""
        classic: dict[str, object] = {"partition.assignment.strategy": "cooperative-sticky"}
        how = classic if PROTOCOL == "classic" else {"group.protocol": "consumer"}
        settings = {"bootstrap.servers": self.stream.bootstrap, "group.id": self.stream.name, **how}
        with Consumer({**settings, "enable.auto.commit": False}) as consumer:
            consumer.subscribe([self.stream.input])
            wait_until(lambda: consumer.poll(0.05) or consumer.assignment(), 30, "another member is given nothing")
            yield {place.partition for place in consumer.assignment()}

    def held(self) -> dict[int, str]:
        """What its probes say."""
        return {one["partition"]: one["kind"] for one in status(self.worker.http)["held"]}

    def wait_until_held(self, those: Mapping[int, str]) -> None:
        """Wait until its probes say so."""
        wait_until(lambda: self.held() == those, 60, lambda: f"held are {self.held()}:\n{self.worker.tail()}")

    def aborts(self) -> float:
        """How many there were."""
        return total(scrape(self.worker.http), "onelane_aborts_total")

    def offsets(self) -> dict[int, int | None]:
        """What is committed."""
        return committed(self.stream.bootstrap, self.stream.name, self.stream.input)

    def assert_others_go_on(self, held: Mapping[int, str]) -> None:
        """What is free is served, what is held stands where it stood, and at least those are told."""
        before = self.offsets()
        for partition in (FREE, OTHER):
            self.feed(partition)
        wait_until(
            lambda: all((self.offsets()[p] or 0) >= (before[p] or 0) + 10 for p in (FREE, OTHER)),
            60,
            lambda: f"the others stand at {self.offsets()}:\n{self.worker.tail()}",
        )
        wait_until(
            lambda: self.held().items() >= held.items(),
            60,
            lambda: f"held are {self.held()}:\n{self.worker.tail()}",
        )
        found = self.offsets()
        assert {partition: found[partition] for partition in HELD} == STAND

    def assert_each_once(self) -> None:
        """All that was not deleted is enriched or a dead letter."""
        wait_until_caught_up(self.stream)
        assert self.worker.stop() == 0
        topics = (self.stream.output, self.stream.dead)
        results = [record.value or b"" for topic in topics for record in read_all(self.stream.bootstrap, topic)]
        assert sorted(event_id(result[FRAME:]) for result in results) == list(range(KEPT, self.count))


def test_a_held_partition_stays_held_whatever_befalls_the_others(
    open_stream: OpenStream, start_worker: StartWorker, registry: Apicurio
) -> None:
    """All ways at once, in one worker."""
    work = Work(open_stream, start_worker, registry)
    work.start()
    work.wait_until_first_schema_is_told()
    with registry.frozen():
        work.trouble()
        work.wait_until_held(HELD)
        work.assert_others_go_on(HELD)  # also to have the pause after an abort begin anew
        aborts = work.aborts()
        work.refuse()
        work.assert_others_go_on(HELD)
        assert work.aborts() > aborts
        with work.another_member() as taken:
            assert taken
            work.wait_until_held({partition: why for partition, why in HELD.items() if partition not in taken})
        # What is refused needs three tries for it where it was taken away: so long it is not waited for.
        work.assert_others_go_on({partition: why for partition, why in HELD.items() if partition != REFUSED})
    work.mend()
    work.wait_until_held({GUARDED: "guard", GONE: "offset_gone"})
    work.start_again()
    work.assert_each_once()
