"""Where a replay writes to: back into the input topic, or straight through the pipeline."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from consumer.broker import AbortedError
from consumer.deadletter.letter import Letter, revive
from consumer.exits import FatalBrokerError
from consumer.kafka.aside import close_producer
from consumer.kafka.checks import Topics
from consumer.kafka.connect import Outlets
from consumer.kafka.errors import PURGED, REFUSED, explained
from consumer.kafka.outlet import Outlet
from consumer.kafka.settings import client_settings
from consumer.kafka.topics import replay_name
from consumer.operate.pulse import Pulse
from consumer.pipeline.spec import Pipeline
from consumer.types import DeadLetter, Enriched, Event, Filtered, Result, outcome

# What becomes of dead letters; those that are dead again are counted by their cause.
PUBLISHED: Final = "published"
ENRICHED: Final = "enriched"

# One replay of a pipeline at a time: a second one fences the first.
_INSTANCE: Final = "one"
_ANY_PARTITION: Final = -1
# librdkafka's "now".
_NOW: Final = 0
_QUEUE_WAIT: Final = 0.1
_CALL: Final = 10.0
_PATIENCE: Final = 60.0
_AGES: Final = ("retention.ms", "message.timestamp.before.max.ms")


class Failure(NamedTuple):
    """Why records were not taken, and whether the target has learned what to do otherwise next time."""

    why: str
    learned: bool


class Target(Protocol):
    """Takes dead letters that are replayed; inside a transaction that the replay begins and ends."""

    @property
    def producer(self) -> Producer:
        """Its producer, once it is open."""
        ...

    def open(self) -> None:
        """Make a producer, in place of an earlier one."""
        ...

    def rehearse(self, letters: Sequence[Letter]) -> Counter[str]:
        """Return what would become of dead letters, and write nothing."""
        ...

    def write(self, letters: Sequence[Letter]) -> Counter[str]:
        """Write them; return what became of them."""
        ...

    def failed(self) -> Failure:
        """Return why records were not taken; empty where that is not known.

        Raises:
            FatalBrokerError: they never will be.
        """
        ...

    def close(self) -> None:
        """Let go of the producer."""
        ...


def _transactional(spec: Pipeline) -> Pipeline:
    """Return the pipeline under the replay's name, whose outputs are in transactions however the worker delivers."""
    return msgspec.structs.replace(spec, name=replay_name(spec), delivery="exactly_once")


class InputTarget:
    """Puts events back into the input topic: same partition, key, value, headers and timestamp, counted as replayed.

    Args:
        spec: the pipeline.
        topics: as they are.
    """

    def __init__(self, spec: Pipeline, topics: Topics) -> None:
        self._topic = spec.input.topic
        self._partitions = topics.partitions[self._topic]
        limit = topics.limits.get(self._topic)
        settings = client_settings(_transactional(spec), _INSTANCE, (limit, limit) if limit else None)
        self._settings = settings.producer | {"log_level": 0, "on_delivery": self._delivered}
        self._young = time.time() * 1000 - _longest_age(settings.admin, self._topic) / 2
        self._failed: KafkaError | None = None

    @property
    def producer(self) -> Producer:
        """Its producer."""
        return self._producer

    def open(self) -> None:
        """Make a producer."""
        self._failed = None
        self._producer = Producer(self._settings)

    def rehearse(self, letters: Sequence[Letter]) -> Counter[str]:
        """Say that all would go there."""
        return Counter({PUBLISHED: len(letters)})

    def write(self, letters: Sequence[Letter]) -> Counter[str]:
        """Queue events, each for its partition of old."""
        for letter in letters:
            self._send(letter)
        return self.rehearse(letters)

    def failed(self) -> Failure:
        """Return why events were not taken.

        Raises:
            FatalBrokerError: the topic refuses one; no other try would do better.
        """
        if self._failed is not None and self._failed.code() in REFUSED:
            raise FatalBrokerError(f"{self._topic} does not take the events back: {explained(self._failed)}")
        return Failure(explained(self._failed) if self._failed is not None else "", learned=False)

    def close(self) -> None:
        """Let go of the producer."""
        close_producer(self._producer)

    def _send(self, letter: Letter) -> None:
        event = revive(letter)
        where = event.partition() if event.partition() < self._partitions else _ANY_PARTITION
        # An event that is nearly too old for the topic would be deleted before it is read.
        kind, moment = event.timestamp()
        when = moment if kind and moment > self._young else _NOW
        more: dict[str, Any] = {"headers": event.headers(), "timestamp": when}
        while True:
            try:
                self._producer.produce(self._topic, event.value(), event.key(), where, **more)
            except BufferError:
                self._producer.poll(_QUEUE_WAIT)
                if self._failed is not None:
                    raise AbortedError("the queue is full") from None
            else:
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        del message
        if error is not None and error.code() not in PURGED and self._failed is None:
            self._failed = error


class PipelineTarget:
    """Enriches events as the worker does, and writes what comes out where the worker would.

    Args:
        spec: the pipeline.
        topics: as they are.
        provenance: model and pipeline, as dead letters carry them.
        enrich: the pipeline's enricher.
    """

    def __init__(
        self,
        spec: Pipeline,
        topics: Topics,
        provenance: tuple[str, str],
        enrich: Callable[[Sequence[Event]], list[Result]],
    ) -> None:
        self._outlets = Outlets(_transactional(spec), _INSTANCE, provenance, topics, Pulse(_PATIENCE))
        self._enrich = enrich
        self._outlet: Outlet | None = None
        self._careful = False
        # (partition, offset) of events whose enriched record the broker refused, and why.
        self._refused: dict[tuple[int, int], KafkaError] = {}

    @property
    def producer(self) -> Producer:
        """Its producer."""
        return self._open_outlet.producer

    @property
    def _open_outlet(self) -> Outlet:
        if self._outlet is None:
            raise RuntimeError("not open")
        return self._outlet

    def open(self) -> None:
        """Make an outlet; a careful one where a record was refused, to find out which."""
        self._outlet = self._outlets(self._careful)
        self._outlet.count_partitions()

    def rehearse(self, letters: Sequence[Letter]) -> Counter[str]:
        """Enrich, and write nothing."""
        return _told(self._enrich(list(map(revive, letters))), [])

    def write(self, letters: Sequence[Letter]) -> Counter[str]:
        """Enrich and write."""
        results = self._enrich(list(map(revive, letters)))
        instead = self._open_outlet.write(results, self._refused)
        return _told(results, instead)

    def failed(self) -> Failure:
        """Take note of what was refused: its dead letter is written next time.

        Raises:
            FatalBrokerError: not even its dead letter is taken.
        """
        outlet = self._open_outlet
        failure, topic = outlet.take_failure()
        again = self._refused.keys() & outlet.refused.keys()
        if again:
            raise FatalBrokerError(f"dead letters are refused, of the events at (partition, offset) {sorted(again)}")
        learned = outlet.refusal and (not self._careful or bool(outlet.refused))
        self._refused |= outlet.refused
        self._careful = outlet.refusal
        return Failure(explained(failure, topic) if failure is not None else "", learned)

    def close(self) -> None:
        """Let go of the producer."""
        self._open_outlet.close()


def _told(results: Sequence[Result], instead: Sequence[DeadLetter]) -> Counter[str]:
    """Count results by what they are; those in ``instead`` turned out not to be writable, or be known as that."""
    dead = [result for result in results if type(result) is DeadLetter]
    told = Counter(str(letter.cause.code) for letter in [*dead, *instead])
    told.update(str(outcome(result)) for result in results if type(result) is Filtered)
    enriched = sum(type(result) is Enriched for result in results) - len(instead)
    return told + Counter({ENRICHED: enriched})


def _longest_age(admin: dict[str, Any], topic: str) -> float:
    """Return how old, in milliseconds, a record may be to stay in a topic; 0 where the brokers don't tell."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    client = AdminClient(admin | {"log_level": 0})  # kept: one that is dropped fails its open calls
    try:
        found = client.describe_configs([resource], request_timeout=_CALL)[resource].result(2 * _CALL)
        ages = [int(str(found[name].value)) for name in _AGES if name in found]
    except (KafkaException, TimeoutError):
        return 0.0
    return min((age for age in ages if age >= 0), default=float("inf"))
