"""What librdkafka's errors ask for: the same call again, an abort, or the end.

https://github.com/confluentinc/librdkafka/blob/master/INTRODUCTION.md, "Transactional producer" and "Error handling".
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException

from consumer.kafka.aside import Aside, StuckError
from consumer.kafka.words import plain
from consumer.operate.pulse import Wait

T = TypeVar("T")

# After how many seconds without an answer a consumer is polled before it is asked again (rule 22 of DESIGN.md); one
# question may take longer.
UNPOLLED: Final = 10.0
# Seconds that one call may take; a frozen broker makes calls take far longer, which the watchdog is for.
CALL: Final = 10.0
_PAUSE: Final = 0.2
_LOUD_AFTER: Final = 10.0

_log = structlog.get_logger()

# Errors of a consumer which say that the group went on without this member, or that the client died of what the group
# said: what to do about it follows from the next poll, which tells.
REBALANCED: Final = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError._ASSIGNMENT_LOST,  # noqa: SLF001 - librdkafka's local codes are written so
        KafkaError._FATAL,  # noqa: SLF001
        KafkaError._STATE,  # noqa: SLF001
    }
)

# The broker took a look at the record and refused it: it would again.
REFUSED: Final = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE, KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG}
)

# What a worker lacks a permission for, and which; somebody may grant it any time.
DENIED: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "Read on the input topic, Write and Describe on the other two",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "Read on the group",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "Write and Describe on the transactional id",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "IdempotentWrite on the cluster",
}

# Another producer with the same transactional id has begun, or the coordinator has ended this one's transaction.
FENCED: Final = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)

# The topic is not there, or this client may not know it: until somebody makes it or grants it.
GONE: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)

# Ours: what an abort throws away.
PURGED: Final = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})  # noqa: SLF001


def reason(error: KafkaException) -> KafkaError:
    """Return the error inside an exception."""
    found = error.args[0]
    if not isinstance(found, KafkaError):
        raise TypeError(f"an exception of Kafka without an error: {error!r}") from error
    return found


def is_fatal(error: KafkaError) -> bool:
    """Return whether a client is dead for good; a message, and each call after the first one, has the code alone."""
    return bool(error.fatal()) or error.code() == KafkaError._FATAL  # noqa: SLF001 - librdkafka's local codes


class WornOutError(KafkaException):
    """A call has been made again for so long that the client itself may be what does not work."""


class LeftBehindError(WornOutError):
    """A call did not return: its client is still inside it, and must not be touched any more."""


class Patience:
    """Calls again for as long as an error is one that passes.

    Args:
        wait: is told what is waited for.
        pause: waits between two tries.
    """

    def __init__(self, wait: Wait, pause: Callable[[float], None] = time.sleep) -> None:
        self.wait = wait
        self._pause = pause

    def until_done(
        self, call: Callable[[], T], what: str, limit: float = float("inf"), aside: Aside | None = None
    ) -> T:
        """Return what a call gives at its first success; after a commit that timed out nothing else is legal.

        Says since when it waits, and what permission is missing, if that is it.

        Args:
            call: it.
            what: its name.
            limit: seconds after which it is not made again.
            aside: where it is made if it may never return.

        Raises:
            KafkaException: the first error of another kind.
            WornOutError: it was called again for ``limit`` seconds.
            LeftBehindError: it was made aside, and has not returned.
        """
        waiting = Waiting(what, self.wait)
        while True:
            try:
                answer = call() if aside is None else aside.run(call, waiting.tell)
            except StuckError as error:
                raise LeftBehindError(KafkaError(KafkaError._TIMED_OUT, str(error))) from error  # noqa: SLF001
            except KafkaException as error:
                why = reason(error)
                if not _again(why):
                    waiting.over()
                    raise
                waiting.tell(explained(why))
                if waiting.seconds > limit:
                    raise WornOutError(why) from error
                self._pause(_PAUSE)
            else:
                # Also what one before it has waited for until it was given up.
                self.wait.answered()
                return answer


class Waiting:
    """Tells of a wait that is on purpose: at once, and each ten seconds or so."""

    def __init__(self, what: str, wait: Wait) -> None:
        self._what = what
        self._wait = wait
        self._began = self._said = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def tell(self, error: str) -> None:
        """Tell of one more try, and why."""
        now = time.monotonic()
        if now - self._said > _LOUD_AFTER or self._said == self._began:
            self._said = now
            seconds = round(now - self._began, 1)
            _log.warning("waiting for the broker", call=self._what, seconds=seconds, error=error)
        self._wait.waits(self._what)

    def over(self) -> None:
        """It ended, if in another way than was hoped for."""
        if self._said != self._began:
            self._wait.answered()


def explained(error: KafkaError, topic: str | None = None) -> str:
    """Return an error's text, with the topic and the permission that it is about."""
    if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
        return "no broker can be reached"  # of whom the client counts its first addresses twice
    where = f"topic {topic}: " if topic else ""
    denied = DENIED.get(error.code())
    if error.code() == KafkaError._FATAL:  # noqa: SLF001 - what a client died of is in its words alone
        denied = next((needs for code, needs in DENIED.items() if KafkaError(code).str() in error.str()), None)
    return f"{where}{plain(error.str())}" + (f" (grant {denied})" if denied else "")


def _again(error: KafkaError) -> bool:
    if error.fatal() or error.txn_requires_abort():
        return False
    return bool(error.retriable()) or error.code() in _TRANSPORT or error.code() in DENIED


# Not marked retriable outside transactions, though nothing is wrong but the way to the broker.
_TRANSPORT: Final = frozenset(
    {
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._WAIT_COORD,  # noqa: SLF001
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
    }
)
