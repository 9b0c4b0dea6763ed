"""The producing side: enriched records and dead letters, each to its topic and partition."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from consumer.broker import AbortedError, AbortKind
from consumer.deadletter.causes import Code, clipped
from consumer.deadletter.headers import encode, own_headers
from consumer.kafka.aside import close_producer
from consumer.kafka.errors import PURGED, REFUSED, explained, reason
from consumer.operate.logs import Seldom
from consumer.operate.pulse import Wait
from consumer.types import Cause, DeadLetter, Enriched, Event, Filtered, Headers, Result, Stage

_log = structlog.get_logger()

_ANY_PARTITION: Final = -1
# What a record costs in a batch beside key, value and headers: the batch's header (61 bytes) and the record's
# variable-length integers. https://kafka.apache.org/documentation/#recordbatch
_OVERHEAD: Final = 256
# librdkafka's own message.max.bytes, which holds where the topics' are not known.
_UNKNOWN_LIMIT: Final = 1_000_000
# Values smaller than the limit by so much are not measured with their keys.
_NEAR: Final = 64 * 1024
_HEADER_OVERHEAD: Final = 10
_QUEUE_WAIT: Final = 0.1
_METADATA: Final = 10.0


# A topic and a partition of it.
Place = tuple[str, int]


class Outputs(msgspec.Struct, frozen=True):
    """Where results go.

    Attributes:
        input: the topic that events come from; partition numbers are kept where a topic has as many.
        enriched: the topic for enriched records.
        dead: the topic for dead letters.
        model: name and short hash of the model, for dead letters.
        pipeline: name and short hash of the mapping, for dead letters.
        limit: the most bytes of a record that the enriched topic takes, if that is known.
        partitions: how many each of the topics had when it was last seen; kept up to date.
    """

    input: str
    enriched: str
    dead: str
    model: str
    pipeline: str
    limit: int | None
    partitions: dict[str, int]


class Outlet:
    """A producer with its two topics.

    Args:
        settings: of the producer.
        outputs: where results go.
        wait: is told of waits for room in the queue.
        careful: send each record in a batch of its own, to find out which one the broker refuses.
    """

    def __init__(self, settings: Mapping[str, Any], outputs: Outputs, wait: Wait, *, careful: bool = False) -> None:
        one_by_one = {"batch.num.messages": 1} if careful else {}
        self._outputs = outputs
        self._wait = wait
        self.careful = careful
        self._seldom = Seldom()
        self._limit = outputs.limit
        # Deliveries that failed since the last look: the first error, whether the broker refused a record, which.
        self._failed: KafkaError | None = None
        self._failed_topic: str | None = None
        self.refused: dict[tuple[int, int], KafkaError] = {}
        self.refusal = False
        self._keep_enriched = self._keep_dead = False
        self._left_behind = False
        # How many partitions each topic has, none while it is gone; whether all of them are there.
        self.partitions: dict[str, int] = {}
        self.counted = False
        # Topic -> a result that was written to it and has not been committed.
        self.written: dict[str, Result] = {}
        # Whether brokers were away at some time since it was made: all of them, or that of a record, for too long.
        self.cut_off = False
        self.producer = Producer(
            {**settings, **one_by_one, "on_delivery": self._delivery_failed, "error_cb": self._client_error}
        )

    def count_partitions(self) -> None:
        """Find out which topics have as many partitions as the input: there, an event's number is kept.

        A partition that a topic lacks would be accepted by ``produce`` and fail much later. One that is gone counts
        as it was: the others are written to meanwhile, where they always were. What is written to it fails, and all
        are counted anew before anything is written again.
        """
        names = (self._outputs.input, self._outputs.enriched, self._outputs.dead)
        self.partitions = {topic: self._partitions(topic) for topic in names}
        self.counted = all(self.partitions.values())
        counts = self._outputs.partitions
        counts |= {topic: count for topic, count in self.partitions.items() if count}
        inputs = counts.get(self._outputs.input)
        kept = (counts.get(self._outputs.enriched) == inputs, counts.get(self._outputs.dead) == inputs)
        if kept != (self._keep_enriched, self._keep_dead) and not all(kept):
            _log.warning(
                "partition numbers are not kept: keys are hashed (murmur2_random) instead", partitions=counts
            )
        self._keep_enriched, self._keep_dead = kept

    def write(self, results: Sequence[Result], refused: Mapping[tuple[int, int], KafkaError]) -> list[DeadLetter]:
        """Queue results.

        Args:
            results: in order.
            refused: (partition, offset) of events whose enriched record the broker has refused before, and why.

        Returns:
            What went to the dead letters instead: too large, or refused before.

        Raises:
            KafkaException: the client takes no more, ever.
            AbortedError: a dead letter can't be written.
        """
        instead: list[DeadLetter] = []
        topic, keep, produce = self._outputs.enriched, self._keep_enriched, self.producer.produce
        # Nothing is small where every record needs care.
        small = -1 if self.careful or refused else (self._limit or _UNKNOWN_LIMIT) - _NEAR
        for one in results:
            result = one if type(one) is Enriched else self._apart(one)
            if result is None:
                continue
            event, value = result.event, result.value
            try:
                if len(value) <= small and not event.headers():  # the way of nearly all records, kept short
                    produce(topic, value, event.key(), event.partition() if keep else _ANY_PARTITION)
                elif (letter := self._write_with_care(result, refused)) is not None:
                    instead.append(letter)
            except BufferError:
                self._send(topic, value, event, event.partition() if keep else _ANY_PARTITION, None)
            except KafkaException as error:
                if reason(error).code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise
                instead.append(self._write_dead(_too_large(result)))
        last = next((result for result in reversed(results) if type(result) is Enriched), None)
        if last is not None:
            self.written[topic] = last
        self.producer.poll(0)
        return instead

    def _apart(self, result: Result) -> Enriched | None:
        """Write what is not for the output topic; return what passes to it as it is."""
        if isinstance(result, DeadLetter):
            self._write_dead(result)
        elif isinstance(result, Filtered) and not result.dropped:
            self.written[self._outputs.enriched] = passed = Enriched(result.event, result.event.value() or b"")
            return passed
        return None

    @property
    def has_input(self) -> bool:
        """Whether the input topic was there when partitions were counted."""
        return bool(self.partitions.get(self._outputs.input))

    def fill(self, written: Mapping[str, Result], places: Sequence[Place]) -> None:
        """Write results again, to be aborted, and wait till the brokers have them, but for what they refuse.

        Args:
            written: one by topic.
            places: where each of them is to be.

        Raises:
            KafkaException: the brokers may not have them.
        """
        for topic, partition in places:
            if (result := written.get(topic)) is not None:
                value = result.value if type(result) is Enriched else result.event.value()
                try:
                    self.producer.produce(topic, value, result.event.key(), partition)
                except BufferError:  # large ones, to many partitions
                    self._flush()
                    self.producer.produce(topic, value, result.event.key(), partition)
        self._flush()

    def _flush(self) -> None:
        left = self.producer.flush(_METADATA)
        failed, _ = self.take_failure()
        if failed is not None and failed.code() not in REFUSED:
            raise KafkaException(failed)
        if left:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{left} records were not sent"))  # noqa: SLF001

    def _write_with_care(self, result: Enriched, refused: Mapping[tuple[int, int], KafkaError]) -> DeadLetter | None:
        """Write an enriched record that has headers, may be too large, or may have been refused before.

        Returns:
            What was written instead, if it was.
        """
        event = result.event
        if self._too_large(result):
            return self._write_dead(_too_large(result))
        if (why := refused.get((event.partition(), event.offset()))) is not None:
            return self._write_dead(_refused(result, why))
        where = event.partition() if self._keep_enriched else _ANY_PARTITION
        # Ours, from a replay or another onelane upstream, end here: the record is that of an event that never died.
        self._send(self._outputs.enriched, result.value, event, where, own_headers(event.headers()))
        return None

    @property
    def failure(self) -> KafkaError | None:
        """The first failure of a delivery since it was taken, if there was one."""
        return self._failed

    def take_failure(self) -> tuple[KafkaError | None, str | None]:
        """Return the first failure of a delivery since the last call, if there was one, and its topic."""
        failed, self._failed = self._failed, None
        return failed, self._failed_topic

    def serve(self) -> None:
        """Have the client tell what befell it."""
        if not self._left_behind:
            with suppress(KafkaException):
                self.producer.poll(0)

    def leave_behind(self) -> None:
        """Touch the producer no more: it is inside a call that does not return, and closing it would not either."""
        self._left_behind = True

    def close(self) -> None:
        """Let go of the producer, and of all that it has not sent."""
        if self._left_behind:
            return
        close_producer(self.producer)
        self._left_behind = True

    def _write_dead(self, letter: DeadLetter) -> DeadLetter:
        event = letter.event
        self.written[self._outputs.dead] = letter
        where = event.partition() if self._keep_dead else _ANY_PARTITION
        headers = encode(letter, self._outputs.model, self._outputs.pipeline)
        try:
            self._send(self._outputs.dead, event.value(), event, where, headers)
        except KafkaException as error:
            if reason(error).code() != KafkaError.MSG_SIZE_TOO_LARGE:
                raise
            raise AbortedError(
                f"the dead letter of {event.topic()}[{event.partition()}]@{event.offset()} is larger than "
                f"{self._outputs.dead} takes: raise its max.message.bytes",
                culprits=[event.partition()],
                kind=AbortKind.REFUSED,
            ) from error
        return letter

    def _send(self, topic: str, value: bytes | None, event: Event, where: int, headers: Headers | None) -> None:
        """Queue one record, waiting for room in the queue."""
        more: dict[str, Any] = {"headers": list(headers)} if headers else {}
        if self.careful:
            more["on_delivery"] = partial(self._careful_delivery, event)
        try:
            self.producer.produce(topic, value, event.key(), where, **more)
        except BufferError:
            self._send_with_patience(topic, value, event, where, more)

    def _send_with_patience(
        self, topic: str, value: bytes | None, event: Event, where: int, more: dict[str, Any]
    ) -> None:
        try:
            while True:
                self._wait.waits("room in the producer's queue")
                self.producer.poll(_QUEUE_WAIT)
                if self._failed is not None:
                    raise AbortedError(f"the queue is full, and records can't be delivered to {self._failed_topic}")
                with suppress(BufferError):
                    self.producer.produce(topic, value, event.key(), where, **more)
                    return
        finally:
            self._wait.answered()

    def _too_large(self, result: Enriched) -> bool:
        if self._limit is None:
            return False
        size = _OVERHEAD + len(result.value) + len(result.event.key() or b"")
        for name, value in result.event.headers() or ():
            size += _HEADER_OVERHEAD + len(name.encode()) + len(value or b"")
        return size > self._limit

    def _partitions(self, topic: str) -> int:
        """Return how many a topic has; none while it is gone."""
        return len(self.producer.list_topics(topic, timeout=_METADATA).topics[topic].partitions)

    def _delivery_failed(self, error: KafkaError | None, message: Message) -> None:
        """Note a failure; called for nothing else, and never raises, since flush would."""
        if error is None or error.code() in PURGED:
            return
        if self._failed is None:
            self._failed, self._failed_topic = error, message.topic()
            _log.warning("a record was not delivered", error=explained(error, message.topic()), code=error.name())
        if error.code() in REFUSED:
            self.refusal = True
        if error.code() == KafkaError._MSG_TIMED_OUT:  # noqa: SLF001
            self.cut_off = True

    def _careful_delivery(self, event: Event, error: KafkaError | None, message: Message) -> None:
        self._delivery_failed(error, message)
        if error is not None and error.code() in REFUSED:
            self.refused[event.partition(), event.offset()] = error

    def _client_error(self, error: KafkaError) -> None:
        """Tell of trouble that may pass; a fatal error is never passed here, but raised by the call that finds it."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self.cut_off = True
        if self._seldom(error.name()):
            _log.warning("trouble with the brokers", error=explained(error), code=error.name())


def _too_large(result: Enriched) -> DeadLetter:
    message = f"the enriched record of {len(result.value)} bytes is larger than the output topic takes"
    return DeadLetter(result.event, Cause(Stage.WRITE, Code.TOO_LARGE, message))


def _refused(result: Enriched, error: KafkaError) -> DeadLetter:
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return _too_large(result)
    return DeadLetter(result.event, Cause(Stage.WRITE, Code.REFUSED, clipped(f"the broker says: {error.str()}")))
