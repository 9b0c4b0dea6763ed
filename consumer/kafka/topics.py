"""Reading a topic of a pipeline: read_committed, without a group, to its end as it was at the start."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumer.deadletter.selection import Span, Window
from consumer.exits import FatalBrokerError, PipelineError
from consumer.kafka.checks import Topics, check_topics, find_topics
from consumer.kafka.errors import explained, reason
from consumer.kafka.settings import client_settings, outside_a_group
from consumer.pipeline.spec import Pipeline
from consumer.types import Event

_CALL: Final = 30.0
_TURN: Final = 0.2
_MANY: Final = 500
# What goes wrong is told in errors.
_SILENT: Final[dict[str, Any]] = {"log_level": 0}
# What no waiting mends.
_FINAL: Final = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART})


def replay_name(spec: Pipeline) -> str:
    """Return the name under which replays of a pipeline keep their place: a consumer group, a transactional id."""
    return f"{spec.name}.replay"


def find_partitions(spec: Pipeline, *topics: str) -> dict[str, int]:
    """Reach a broker and return how many partitions topics have.

    Raises:
        PipelineError: librdkafka does not take a setting's value.
        FatalBrokerError: no broker.
        RefusedError: a topic is missing.
    """
    with said_plainly("the topics can't be looked at"):
        return find_topics(list(topics), client_settings(spec, "command", None).admin | _SILENT, lambda: False)


def look_at_topics(spec: Pipeline) -> Topics:
    """Look at the pipeline's topics as the worker does at its start.

    Raises:
        PipelineError: librdkafka does not take a setting's value.
        FatalBrokerError: no broker.
        RefusedError: the topics won't do.
    """
    with said_plainly("the topics can't be looked at"):
        return check_topics(spec, client_settings(spec, "command", None).admin | _SILENT, lambda: False)


@contextmanager
def said_plainly(what: str) -> Iterator[None]:
    """Tell a person what the client says.

    Raises:
        PipelineError: librdkafka does not take a setting's value.
        FatalBrokerError: anything else.
    """
    try:
        yield
    except KafkaException as error:
        why = reason(error)
        if why.code() in (KafkaError._INVALID_ARG, KafkaError._CONFLICT):  # noqa: SLF001 - librdkafka's local codes
            raise PipelineError(f"kafka: librdkafka refuses a setting: {why.str()}") from error
        raise FatalBrokerError(f"{what}: {explained(why)}") from error


class TopicReader:
    """Reads a topic of a pipeline; a context manager.

    Args:
        spec: the pipeline.
        topic: it.
        partitions: how many it has.
    """

    def __init__(self, spec: Pipeline, topic: str, partitions: int) -> None:
        self._topic = topic
        self._partitions = range(partitions)
        given = client_settings(spec, "command", None).consumer
        own = {
            "group.id": replay_name(spec),  # never joined
            "auto.offset.reset": "earliest",  # what retention takes meanwhile is gone
            "enable.partition.eof": True,
            "error_cb": self._client_error,
        }
        self._last_words = "no answer"
        with said_plainly("reading"):
            self.consumer = Consumer(outside_a_group(given) | _SILENT | own)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.consumer.close()

    def bounds(self) -> dict[int, Span]:
        """Return where each partition begins, and where it ends for a read_committed reader."""
        with said_plainly(f"the ends of {self._topic} can't be told"):
            return {
                partition: self.consumer.get_watermark_offsets(self._place(partition), timeout=_CALL)
                for partition in self._partitions
            }

    def spans(self, window: Window, bounds: Mapping[int, Span]) -> dict[int, Span]:
        """Return what a window means by offsets; the brokers tell which offset a time falls on.

        Raises:
            PipelineError: the topic has not the partitions that are meant.
        """
        if strange := sorted(window.partitions - bounds.keys()):
            raise PipelineError(f"--partition {strange[0]}: {self._topic} has partitions 0 to {max(bounds)}")
        return window.spans(bounds, self._at(window.since, bounds), self._at(window.until, bounds))

    def read(self, spans: Mapping[int, Span]) -> Iterator[Event]:
        """Return the records of each span, those of a partition in order.

        Raises:
            FatalBrokerError: the brokers do not answer for 30 seconds.
        """
        left = {partition: stop for partition, (start, stop) in spans.items() if start < stop}
        places = [self._place(partition, spans[partition][0]) for partition in left]
        self.consumer.assign(places)
        self.consumer.resume(places)  # a pause outlives an assignment
        silence = 0.0
        while left:
            began = time.monotonic()
            with said_plainly(f"{self._topic} can't be read"):
                messages = self.consumer.consume(_MANY, _TURN)
            silence += time.monotonic() - began
            for message in messages:
                if not self._trouble(message.error()):
                    silence = 0.0
                    yield from self._taken(message, left)
            if silence > _CALL:
                raise FatalBrokerError(f"{self._topic} can't be read: {self._last_words}")

    def _taken(self, message: Message, left: dict[int, int]) -> Iterator[Event]:
        """Return a message that is meant, and see whether its partition is through."""
        partition, offset = cast("int", message.partition()), cast("int", message.offset())
        stop = left.get(partition)
        if stop is None:
            return
        at_end = message.error() is not None
        if not at_end and offset < stop:
            yield cast("Event", message)
        if at_end or offset + 1 >= stop:
            del left[partition]
            self.consumer.pause([self._place(partition)])

    def _trouble(self, error: KafkaError | None) -> bool:
        """Return whether an error came instead of a record; the end of a partition is none, and told past markers."""
        if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's local code
            return False
        self._last_words = explained(error)
        if error.fatal() or error.code() in _FINAL:
            raise FatalBrokerError(f"{self._topic} can't be read: {explained(error)}")
        return True

    def _at(self, moment: int | None, bounds: Mapping[int, Span]) -> dict[int, int]:
        if moment is None:
            return {}
        with said_plainly("the offset of a time can't be told"):
            places = self.consumer.offsets_for_times(
                [self._place(partition, moment) for partition in bounds], timeout=_CALL
            )
        return {p.partition: p.offset if p.offset >= 0 else bounds[p.partition][1] for p in places}

    def _place(self, partition: int, offset: int = -1) -> TopicPartition:
        return TopicPartition(self._topic, partition, offset)

    def _client_error(self, error: KafkaError) -> None:
        self._last_words = explained(error)
