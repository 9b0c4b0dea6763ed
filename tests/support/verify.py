"""The verifier: what became of events, by their ids, as a read_committed reader sees it."""

import json
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread
from types import TracebackType
from typing import Self, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from tests.support.stream import Stream
from tests.support.topics import Isolation, Record, lag, open_transactions, partition_ids, read_all, wait_until

# What was written before a moment may reach a reader so much later, in seconds; a worker takes longer to start.
ON_THE_WAY = 0.5

_NOT_YET = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError._NOENT,  # no leaders found, in the words of an admin client
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
    }
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of events.

    Attributes:
        missing: ids that are neither enriched nor dead letters.
        duplicates: id -> how often it is there, where that is more than once.
        strangers: ids that are there and never were an event's.
        disorder: keys whose events are not in the order in which they were written.
        dead: ids of dead letters, in order of partition and offset.
    """

    missing: list[int]
    duplicates: dict[int, int]
    strangers: list[int]
    disorder: list[bytes]
    dead: list[int]

    def assert_exactly_once(self) -> None:
        """Each event is enriched, once, in order."""
        self.assert_each_enriched()
        self.assert_each_once()

    def assert_each_enriched(self) -> None:
        """Each event is enriched, however often, and no other is."""
        self.assert_none_missing()
        assert not self.dead, f"{len(self.dead)} dead letters: {self.dead[:10]}"

    def assert_none_missing(self) -> None:
        """Each event is enriched or a dead letter, however often, and no other is."""
        assert not self.missing, f"{len(self.missing)} events missing: {self.missing[:10]}"
        assert not self.strangers, f"{len(self.strangers)} that never were events: {self.strangers[:10]}"

    def assert_each_once(self) -> None:
        """Each event is enriched or a dead letter, once, in order."""
        self.assert_none_missing()
        assert not self.duplicates, f"{len(self.duplicates)} doubled: {dict(list(self.duplicates.items())[:10])}"
        assert not self.disorder, f"order is lost for {len(self.disorder)} keys: {self.disorder[:5]!r}"


def verify(stream: Stream, ids: Iterable[int]) -> Outcome:
    """Look for the events with these ids in the output and dead-letter topics.

    An event counts as doubled where it came out more often than it went in. An idempotent producer, as those that
    feed workers are, was seen to double a batch of its own in the input while leaders moved.
    """
    enriched = read_all(stream.bootstrap, stream.output)
    dead = read_all(stream.bootstrap, stream.dead)
    seen = Counter(event_ids([*enriched, *dead]))
    again = {number: count for number, count in seen.items() if count > 1}
    given = Counter(event_ids(read_all(stream.bootstrap, stream.input))) if again else Counter[int]()
    given_again = {number for number, count in given.items() if count > 1}
    wanted = set(ids)
    return Outcome(
        missing=sorted(number for number in wanted if seen[number] < given.get(number, 1)),
        duplicates={number: count for number, count in again.items() if count > given[number]},
        strangers=sorted(seen.keys() - wanted),
        disorder=[*_disorder(enriched, given_again), *_disorder(dead, given_again)],
        dead=event_ids(dead),
    )


def event_ids(records: Iterable[Record]) -> list[int]:
    """The ids of events, enriched or dead."""
    return [event_id(record.value or b"") for record in records]


def event_id(value: bytes) -> int:
    """The id of an event, enriched or not."""
    return int(json.loads(value)["id"])


def wait_until_caught_up(stream: Stream, timeout: float = 60) -> None:
    """Wait till the group's lag is 0, and till no transaction hides results from readers.

    Markers of a committed transaction are written one by one, and the open transaction of a dead worker hides the
    results of its successor until it times out: lag 0 can come first.
    """
    wait_until(lambda: _is_caught_up(stream), timeout, f"the group {stream.name} has not caught up")
    for topic in (stream.output, stream.dead):
        wait_until(partial(_all_visible, stream.bootstrap, topic), timeout, f"a transaction on {topic} stays open")


def _is_caught_up(stream: Stream) -> bool:
    return asked(lambda: lag(stream.bootstrap, stream.name, stream.input)) == 0


def asked(question: Callable[[], T]) -> T | None:
    """The answer; None where brokers that have just started, or changed their roles, have none yet: ask again."""
    try:
        return question()
    except KafkaException as error:
        if error.args[0].code() in _NOT_YET:
            return None
        raise


def _all_visible(bootstrap: str, topic: str) -> bool:
    return asked(lambda: open_transactions(bootstrap, topic)) == set()


def _disorder(records: Sequence[Record], given_again: Collection[int]) -> list[bytes]:
    """The keys whose ids go down; a repeated id, which is a duplicate already, is no disorder.

    Args:
        records: in the order of their partitions.
        given_again: ids that went in more than once, and so in no order.
    """
    last: dict[bytes, int] = defaultdict(lambda: -1)
    bad: dict[bytes, None] = {}
    for record, number in zip(records, event_ids(records), strict=True):
        key = record.key or b""
        if number in given_again:
            continue
        if number < last[key]:
            bad[key] = None
        last[key] = max(last[key], number)
    return list(bad)


class Reader:
    """Reads a topic as a consumer does, from a thread, and notes when each partition gave records.

    Args:
        bootstrap: the broker.
        topic: what it reads.
        isolation: whether it waits for transactions to end.
    """

    def __init__(self, bootstrap: str, topic: str, isolation: Isolation) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._isolation = isolation
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="reader")
        self._arrivals: dict[int, list[float]] = {part: [] for part in partition_ids(bootstrap, topic)}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(30)

    def wait_after(self, moment: float, timeout: float) -> float:
        """Wait till every partition gives records again after a moment at which writing ended.

        Returns:
            The longest silence of a partition, in seconds.
        """
        return max(end - start for start, end in self._silences_after(moment, timeout))

    def resumed_after(self, moment: float, timeout: float) -> float:
        """Wait as above; how long after the moment the last of the partitions gave records again, in seconds."""
        return max(end - moment for _, end in self._silences_after(moment, timeout))

    def note(self, message: Message) -> None:
        """Note a record; a reader that wants to know more looks into it here."""
        self._arrivals[message.partition() or 0].append(time.monotonic())

    def _silences_after(self, moment: float, timeout: float) -> list[tuple[float, float]]:
        return wait_until(
            lambda: self._silences(moment), timeout, f"a {self._isolation} reader of {self._topic} sees nothing"
        )

    def _silences(self, moment: float) -> list[tuple[float, float]]:
        """From when till when each partition was silent; empty where one has not gone on yet."""
        silences = []
        for arrivals in self._arrivals.values():
            place = bisect_right(arrivals, moment + ON_THE_WAY)
            if place == len(arrivals):
                return []
            silences.append((arrivals[place - 1] if place else moment, arrivals[place]))
        return silences

    def _run(self) -> None:
        settings = {
            "bootstrap.servers": self._bootstrap,
            "group.id": "reader",  # required, and never joined
            "enable.auto.commit": False,
            "isolation.level": self._isolation,
            "fetch.wait.max.ms": 50,
            "log_level": 0,
        }
        with Consumer(settings) as consumer:
            consumer.assign([TopicPartition(self._topic, part, OFFSET_BEGINNING) for part in self._arrivals])
            while not self._stopping.is_set():
                for message in consumer.consume(500, 0.05):
                    if message.error() is None:
                        self.note(message)


class CommittedReader(Reader):
    """A reader that sees nothing of a transaction before it is committed.

    Args:
        bootstrap: the broker.
        topic: what it reads.
    """

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(bootstrap, topic, "read_committed")
