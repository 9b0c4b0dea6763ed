"""The brokers that are held to the contract, each with a world of topics around it."""

import io
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson

from consumer.broker import Broker
from consumer.deadletter.headers import FIELDS, PREFIX
from consumer.files import FileBroker
from consumer.kafka.connect import connect
from consumer.operate.pulse import Pulse
from consumer.pipeline.spec import Pipeline
from consumer.sources import Lines
from consumer.types import DeadLetter, Enriched
from tests.support.kafka import KafkaBroker
from tests.support.memory import Clock, MemoryBroker, Topics
from tests.support.pipelines import GOOD, changed, loaded
from tests.support.topics import NewRecord, produce, read_all

Values = Mapping[int, Sequence[bytes]]


class World(ABC):
    """Topics, and brokers on them.

    Attributes:
        partitions: how many there are.
        ends: whether the input is finite.
        keeps: whether positions outlive a broker, and what was written can be undone.
    """

    partitions: int
    ends = False
    keeps = True

    @abstractmethod
    def fill(self, values: Values) -> None:
        """Append events to partitions."""

    @abstractmethod
    def open(self) -> Broker:
        """Make a broker that has not joined."""

    @abstractmethod
    def enriched(self) -> dict[int, list[bytes]]:
        """Return what a reader sees of the enriched records, by partition."""

    @abstractmethod
    def dead(self) -> list[tuple[int, str, bytes]]:
        """Return offset, cause and value of each dead letter, as far as the place they went to keeps them."""

    def now(self) -> float:
        """Return the time that `until` is measured by."""
        return time.monotonic()


class FileWorld(World):
    """Three files; nothing in them can be undone, and nothing outlives a run."""

    partitions = 1
    ends = True
    keeps = False

    def __init__(self) -> None:
        self._events = b""
        self._enriched = io.BytesIO()
        self._dead = io.BytesIO()

    def fill(self, values: Values) -> None:
        """Append lines."""
        self._events += b"".join(value + b"\n" for value in values[0])

    def open(self) -> Broker:
        """Read from the first line."""
        return FileBroker(Lines(io.BytesIO(self._events)), self._enriched, self._dead)

    def enriched(self) -> dict[int, list[bytes]]:
        """Return the lines."""
        return {0: self._enriched.getvalue().splitlines()}

    def dead(self) -> list[tuple[int, str, bytes]]:
        """Return what the lines say."""
        lines = [orjson.loads(line) for line in self._dead.getvalue().splitlines()]
        return [(line["line"] - 1, line["cause"], line["text"].encode()) for line in lines]


class MemoryWorld(World):
    """The tests' own broker."""

    partitions = 3

    def __init__(self) -> None:
        self._topics = Topics()
        self._clock = Clock()

    def fill(self, values: Values) -> None:
        """Append events."""
        for partition, some in values.items():
            self._topics.add(partition, some)

    def open(self) -> Broker:
        """Make a member that gets all partitions."""
        broker = MemoryBroker(self._topics, self._clock)
        broker.assign(*range(self.partitions))
        return broker

    def enriched(self) -> dict[int, list[bytes]]:
        """Return what is durable."""
        return {
            partition: [result.value for result in self._topics.results[partition] if isinstance(result, Enriched)]
            for partition in range(self.partitions)
        }

    def dead(self) -> list[tuple[int, str, bytes]]:
        """Return what is durable."""
        return [
            (result.event.offset(), result.cause.code, result.event.value() or b"")
            for results in self._topics.results.values()
            for result in results
            if isinstance(result, DeadLetter)
        ]

    def now(self) -> float:
        """Return the time that stands still."""
        return self._clock()


class KafkaWorld(World):
    """A real broker, with topics of its own."""

    partitions = 3

    def __init__(self, kafka: KafkaBroker, unique: Callable[[str], str], folder: Path, delivery: str) -> None:
        self.bootstrap = kafka.bootstrap
        self.transactional = delivery == "exactly_once"
        self.input, self.output, self.letters = unique("in"), unique("out"), unique("dead")
        for topic in (self.input, self.output):
            kafka.create_topic(topic, partitions=self.partitions)
        kafka.create_topic(self.letters, partitions=self.partitions, max_message_bytes=2_000_000)
        self._spec = self._pipeline(folder, unique("group"), delivery)
        self._opened = 0

    def _pipeline(self, folder: Path, name: str, delivery: str) -> Pipeline:
        text = changed("name: small", f"name: {name}\ndelivery: {delivery}")
        for old, new in (("in", self.input), ("out", self.output), ("dead", self.letters)):
            text = text.replace(f"topic: {old}}}", f"topic: {new}}}").replace(f"topic: {old},", f"topic: {new},")
        assert text != GOOD
        return loaded(folder, changed("localhost:9092", self.bootstrap, text)).spec

    def fill(self, values: Values) -> None:
        """Append events, with their value as key and a header."""
        records = [
            NewRecord(value=value, key=b"key", partition=partition, headers=(("trace", value),))
            for partition, some in values.items()
            for value in some
        ]
        produce(self.bootstrap, self.input, records)

    def open(self) -> Broker:
        """Connect a worker's broker, each under another instance's name."""
        self._opened += 1
        return connect(self._spec, f"i{self._opened}", ("model@1", "small@2"), Pulse(60), lambda: False).broker

    def enriched(self) -> dict[int, list[bytes]]:
        """Return what a read_committed reader sees."""
        found: dict[int, list[bytes]] = {partition: [] for partition in range(self.partitions)}
        for record in read_all(self.bootstrap, self.output):
            found[record.partition].append(record.value or b"")
        return found

    def dead(self) -> list[tuple[int, str, bytes]]:
        """Return what a read_committed reader sees; each has all headers, and the event's own first."""
        found = []
        for record in read_all(self.bootstrap, self.letters):
            names = [name for name, _ in record.headers]
            assert names == ["trace", *(PREFIX + name for name in FIELDS if name not in ("field", "replays"))]
            assert record.key == b"key"
            ours = {name.removeprefix(PREFIX): (value or b"").decode() for name, value in record.headers}
            assert (ours["topic"], ours["partition"]) == (self.input, str(record.partition))
            assert (ours["model"], ours["pipeline"]) == ("model@1", "small@2")
            found.append((int(ours["offset"]), ours["cause"], record.value or b""))
        return found
