"""What a scenario works on: topics and a group of its own, a pipeline file for them, and events to feed."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any, Literal, Self

from confluent_kafka import Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from ruamel.yaml import YAML

from tests.support.brokers import Brokers, Setting
from tests.support.topics import REQUEST_TIMEOUT, NewRecord, admin_client, produce

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights" / "pipeline.yaml"

Protocol = Literal["classic", "consumer"]

# A dead worker is missed after 2 s, and its transaction aborted after 3 s: as in real life, only sooner.
_SESSION: Mapping[Protocol, Mapping[str, object]] = {
    "classic": {"session.timeout.ms": 2000, "heartbeat.interval.ms": 500},
    "consumer": {"group.protocol": "consumer"},  # where the broker decides: see set_group_session
}
_TRANSACTION: Mapping[str, object] = {"transaction.timeout.ms": 3000}
_BATCH: Mapping[str, object] = {"time": "500ms"}

KEYS = 24
_FLIGHT: Mapping[str, object] = {
    "dep_delay": 4.0,
    "distance": 529.0,
    "sched_dep_time": 500,
    "sched_arr_time": 651,
    "weekend": True,
    "time_hour": "2013-11-23T10:00:00Z",
    "carrier": "US",
    "origin": "EWR",
    "dest": "CLT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Three topics, a group and the pipeline file that joins them."""

    broker: Brokers
    name: str
    pipeline: Path

    @property
    def bootstrap(self) -> str:
        """The brokers' address."""
        return self.broker.bootstrap

    @property
    def input(self) -> str:
        """The topic of events."""
        return f"{self.name}-in"

    @property
    def output(self) -> str:
        """The topic of enriched records."""
        return f"{self.name}-out"

    @property
    def dead(self) -> str:
        """The topic of dead letters."""
        return f"{self.name}-dead"

    def create_topics(self, partitions: int, **output: Setting) -> None:
        """Make the three topics; `output` are settings of the output topic."""
        self.broker.create_topic(self.input, partitions)
        self.broker.create_topic(self.output, partitions, **output)
        self.broker.create_topic(self.dead, partitions, max_message_bytes=2_000_000)

    def write_pipeline(self, changes: Mapping[str, object], protocol: Protocol = "classic") -> None:
        """Write the flights example's pipeline with this stream's topics, short times and `changes` merged in."""
        spec: dict[str, Any] = YAML(typ="safe", pure=True).load(EXAMPLE)
        spec["name"] = self.name
        for section, topic in (("input", self.input), ("output", self.output), ("dead_letters", self.dead)):
            spec[section]["topic"] = topic
        spec["model"]["path"] = str(EXAMPLE.parent / spec["model"]["path"])
        for tensor in ("carrier", "origin", "dest"):
            feature = spec["model"]["inputs"][tensor]
            feature["vocabulary"] = str(EXAMPLE.parent / feature["vocabulary"])
        spec["kafka"] = {"bootstrap.servers": self.bootstrap, **_SESSION[protocol], **_TRANSACTION}
        spec["batch"] |= _BATCH
        # JSON is YAML too.
        self.pipeline.write_text(json.dumps(_merged(spec, changes), indent=1))

    def set_group_session(self, seconds: float = 2) -> None:
        """Have the broker miss a dead member of a KIP-848 group after so long."""
        session = str(round(1000 * seconds))
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in (("consumer.session.timeout.ms", session), ("consumer.heartbeat.interval.ms", "500"))
        ]
        group = ConfigResource(ResourceType.GROUP, self.name, incremental_configs=entries)
        with admin_client(self.bootstrap) as admin:
            admin.incremental_alter_configs([group], request_timeout=REQUEST_TIMEOUT)[group].result()

    def feed(self, ids: Iterable[int]) -> None:
        """Write events with these ids, in order, and wait till the broker has them."""
        produce(self.bootstrap, self.input, [record(number) for number in ids])


def record(number: int, partition: int | None = None, **extra: object) -> NewRecord:
    """An event with an id; its key, and by that its partition, follow from the id."""
    return NewRecord(key=key(number), value=value(number, **extra), partition=partition)


def mixed(ids: Iterable[int]) -> list[NewRecord]:
    """Events with these ids, of which each with an id that ends in 0 has a wrong type in it."""
    return [record(number) if number % 10 else record(number, weekend="no") for number in ids]


def key(number: int) -> bytes:
    """The key of an event."""
    return b"key-%d" % (number % KEYS)


def value(number: int, **extra: object) -> bytes:
    """The value of an event that the flights model takes."""
    return json.dumps({"id": number, **_FLIGHT, **extra}).encode()


def _merged(spec: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with changes put into it, section by section."""
    merged = dict(spec)
    for name, change in changes.items():
        old = merged.get(name)
        merged[name] = _merged(old, change) if isinstance(old, dict) and isinstance(change, dict) else change
    return merged


class Feeder:
    """Writes events at a steady rate from a thread of its own, until the end of its with statement.

    Args:
        stream: whose input topic it writes to.
        rate: events a second, at most.
        backlog: events to write at once, at the beginning.
    """

    def __init__(self, stream: Stream, rate: int, backlog: int = 0) -> None:
        self._stream = stream
        self._rate = rate
        self._backlog = backlog
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="feeder")
        self._failures: list[object] = []
        self.count = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """Stop, wait till the broker has all events, and return how many there are: ids 0 to count - 1."""
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the feeder does not end"
        assert not self._failures, f"events could not be written: {self._failures[0]}"
        return self.count

    def _run(self) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self._stream.bootstrap,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 2,
                "log_level": 0,
                "on_delivery": lambda error, _: self._failures.append(error) if error else None,
                "delivery.report.only.error": True,
            }
        )
        began = time.monotonic()
        while not self._stopping.wait(0.01):
            due = self._backlog + int((time.monotonic() - began) * self._rate)
            for number in range(self.count, due):
                producer.produce(self._stream.input, value(number), key(number))
            self.count = max(self.count, due)
            producer.poll(0)
        if producer.flush(30):
            self._failures.append("flush timed out")
