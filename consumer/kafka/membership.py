"""A consumer's place in its group, from the first join on, through successors of a consumer that died."""

import struct
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaError, TopicPartition

from consumer.broker import AbortedError, AbortKind
from consumer.exits import FatalBrokerError
from consumer.kafka.trouble import Trouble
from consumer.operate.pulse import Wait

_log = structlog.get_logger()

# How long a member that was never in the group tries to join it, in seconds; one that was waits for ever.
FIRST_JOIN: Final = 30.0
_FOR_EVER: Final = float("inf")
# Between two consumers of which the group throws out the first, in seconds.
_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 5.0
# A consumer that was taken in and died twice within so long would go on so for ever.
_DIES_AGAIN: Final = 60.0
_MEMBERSHIP: Final = "membership in the group"
# What rd_kafka_consumer_group_metadata_write() writes: these words, the generation, the group, the member.
_MAGIC: Final = b"CGMDv2:"
_GENERATION: Final = struct.Struct("=i")

Callbacks = Mapping[str, Callable[[Consumer, list[TopicPartition]], None]]


class Membership:
    """A consumer, and whether the group has it.

    Args:
        settings: of the consumer.
        topic: what it subscribes to.
        wait: is told what is waited for.
    """

    def __init__(self, settings: Mapping[str, Any], topic: str, wait: Wait) -> None:
        self._settings = settings
        self._topic = topic
        self._wait = wait
        self.trouble = Trouble(settings, topic, wait)
        self.consumer = self._make()
        # Until when the group may take to take this member in; None where it has.
        self._until: float | None = None
        # What a consumer died of that is yet to be replaced; when one was, last.
        self.death: KafkaError | None = None
        self._replaced_at = float("-inf")
        self._pause = _PAUSE

    def join(self, callbacks: Callbacks) -> None:
        """Subscribe."""
        self._callbacks = callbacks
        self._until = time.monotonic() + FIRST_JOIN
        self.consumer.subscribe([self._topic], **callbacks)

    def taken_in(self) -> bool:
        """Return whether the group has taken this member in since the last call.

        Raises:
            FatalBrokerError: it never has, for too long.
        """
        if self._until is None:
            return False
        if self._is_member():
            self._until = None
            self._wait.has(_MEMBERSHIP)
            return True
        if time.monotonic() > self._until:
            raise FatalBrokerError(f"never joined the group within {FIRST_JOIN:.0f} s: {self.trouble.last_words}")
        return False

    def dropped(self) -> None:
        """Note that the group has dropped this member, which joins again by itself."""
        if self._until is None:
            self._until = _FOR_EVER
            self._wait.lacks(_MEMBERSHIP)

    def replace(self, death: KafkaError, lose: Callable[[], None]) -> None:
        """Join with another consumer: one of a KIP-848 group dies where the group's permission is taken away.

        Args:
            death: what the last one died of.
            lose: lets go of its partitions.

        Raises:
            FatalBrokerError: it was never in the group, or one before it died so a short time ago.
        """
        now = time.monotonic()
        first = self._until is not None and self._until < _FOR_EVER
        again = self._until is None and now - self._replaced_at < _DIES_AGAIN
        if first or again:
            raise FatalBrokerError(f"the consumer can't go on: {death.str()}")
        if self._until is None:
            _log.warning("the consumer is replaced", error=self.trouble.last_words)
            self._pause = _PAUSE
        self.dropped()
        lose()  # also what came in the very poll in which it died, before it was known to be taken in
        self.death, self._replaced_at = None, now
        self.consumer.close()
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self.consumer = self._make()
        self.consumer.subscribe([self._topic], **self._callbacks)

    def metadata(self, *, member: bool) -> bytes:
        """Return what a transaction needs to commit offsets for this member's generation.

        Args:
            member: only as one; what is to be aborted anyway needs no generation.

        Raises:
            AbortedError: the group has dropped this member; without its id nobody would check the generation.
        """
        if member and not self._is_member():
            raise AbortedError("the group has dropped this member", kind=AbortKind.LOST)
        return bytes(self.consumer.consumer_group_metadata())

    def _make(self) -> Consumer:
        return Consumer({**self._settings, "error_cb": self.trouble.from_client})

    def _is_member(self) -> bool:
        """Return whether the group has given it a generation (KIP-848: an epoch).

        A spare member of a KIP-848 group is told of no assignment, and its id is its own from the beginning.

        Raises:
            FatalBrokerError: the client writes the generation in another way than is known here.
        """
        metadata = self.consumer.consumer_group_metadata()
        if not isinstance(metadata, bytes) or not metadata.startswith(_MAGIC):
            raise FatalBrokerError("this confluent-kafka writes a group's metadata in another way than 2.16 does")
        return bool(self.consumer.memberid()) and int(_GENERATION.unpack_from(metadata, len(_MAGIC))[0]) > 0
