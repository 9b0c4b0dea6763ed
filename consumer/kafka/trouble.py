"""What a consumer says is wrong: told once in a while, and looked at again until it is over."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumer.kafka.errors import DENIED, GONE, explained, reason
from consumer.kafka.settings import outside_a_group
from consumer.operate.logs import Seldom
from consumer.operate.pulse import Wait

_log = structlog.get_logger()

_ASK: Final = 1.0
_SEE: Final = 2.0
# How often to see whether the topic is there: a client that reads all there is notices after minutes that it is not.
_ROUND: Final = 15.0
# A fetch at the end of a topic answers after so long, in milliseconds.
_AT_ONCE: Final = 50


class Trouble:
    """The trouble of a consumer with brokers, topic and permissions.

    The client tells when no broker answers any more, and when a topic can't be read, but not when that is over.

    Args:
        settings: of the consumer.
        topic: what it reads.
        wait: is told what is waited for.
    """

    def __init__(self, settings: Mapping[str, Any], topic: str, wait: Wait) -> None:
        self._settings = settings
        self._topic = topic
        self._wait = wait
        self._seldom = Seldom()
        self.last_words = "no answer"
        # Since when no broker answers, or the topic can't be read; None where nothing is amiss.
        self._silent_since: float | None = None
        self._unread_since: float | None = None
        self._see_at = 0.0
        self._round_at = time.monotonic() + _ROUND

    def from_client(self, error: KafkaError) -> None:
        """Take what the client says by itself."""
        self.last_words = explained(error)
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self._silent_since is None:  # noqa: SLF001
            self._silent_since, self._see_at = time.monotonic(), 0.0
        if self._seldom(error.name()):
            _log.warning("trouble with the brokers", error=explained(error), code=error.name())

    def from_message(self, message: Message, error: KafkaError) -> None:
        """Take what came instead of an event."""
        topic = message.topic()
        self.last_words = explained(error, topic)
        if self._seldom(error.name()):
            where = {"topic": topic, "partition": message.partition()}
            _log.warning("error from the broker", **where, error=self.last_words, code=error.name())
        if topic == self._topic and error.code() in GONE | DENIED.keys():
            self._unread()

    def look(self, consumer: Consumer) -> None:
        """See whether it is over, if it is time to."""
        if self._silent_since is None and self._unread_since is None:
            if time.monotonic() >= self._round_at:
                self._round_at = time.monotonic() + _ROUND
                self._see_whether_there(consumer)
            return
        if time.monotonic() < self._see_at:
            return
        if self._silent_since is not None:
            self._see_whether_back(consumer, self._silent_since)
        elif self._unread_since is not None and self._is_readable():
            self.over()
        self._see_at = time.monotonic() + _SEE

    def over(self) -> None:
        """The topic can be read: an event came, or would."""
        if self._unread_since is not None:
            _log.info("the topic can be read", topic=self._topic, after_seconds=_age(self._unread_since))
            self._unread_since = None
            self._wait.has(self._lacking)

    @property
    def _lacking(self) -> str:
        return f"reading {self._topic}"

    def _unread(self) -> None:
        if self._unread_since is None:
            self._unread_since = time.monotonic()
            self._see_at = self._unread_since + _SEE
            self._wait.lacks(self._lacking)

    def _see_whether_there(self, consumer: Consumer) -> None:
        with suppress(KafkaException):  # no answer: the client tells of that by itself
            error = consumer.list_topics(self._topic, timeout=_ASK).topics[self._topic].error
            if error is not None and error.code() in GONE:
                _log.warning("the topic is gone", topic=self._topic, error=error.str())
                self._unread()

    def _see_whether_back(self, consumer: Consumer, since: float) -> None:
        try:
            consumer.list_topics(self._topic, timeout=_ASK)
        except KafkaException as error:
            self._wait.waits("a broker")
            if self._seldom("no broker"):
                _log.warning("no broker answers", seconds=_age(since), error=reason(error).str())
        else:
            self._silent_since = None
            self._wait.answered()
            _log.info("the brokers answer", after_seconds=_age(since))

    def _is_readable(self) -> bool:
        """Ask with a client of its own: our own consumer tells of a refused fetch once, and of no empty one."""
        settings = {**outside_a_group(self._settings), "enable.partition.eof": True, "fetch.wait.max.ms": _AT_ONCE}
        asking = Consumer({**settings, "error_cb": lambda _: None})
        try:
            asking.assign([TopicPartition(self._topic, 0, OFFSET_END)])
            message = asking.poll(_ASK)
            error = None if message is None else message.error()
            at_end = error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001
            return message is not None and (error is None or at_end)
        finally:
            asking.close()


def _age(since: float) -> float:
    return round(time.monotonic() - since, 1)
