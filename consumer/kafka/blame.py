"""What a transaction failed of: what a call raised, and what deliveries told meanwhile."""

from collections.abc import Collection, Iterable
from typing import Final

import msgspec
from confluent_kafka import KafkaError, KafkaException

from consumer.broker import AbortedError, AbortKind
from consumer.kafka.errors import DENIED, GONE, WornOutError, explained, is_fatal, reason

_LACKING: Final = GONE | DENIED.keys()


class Blame(msgspec.Struct, frozen=True):
    """What a failure comes of.

    Attributes:
        why: in words.
        kind: of the abort.
        culprits: the partitions that are to blame, as far as they are known.
        barred: what can't be done until somebody makes a topic or grants it, if it is that.
        gone: the error after which the producer is of no use any more, if there was one.
    """

    why: str
    kind: AbortKind
    culprits: Collection[int]
    barred: str | None
    gone: KafkaException | None


def blame(
    failure: KafkaException | AbortedError, delivery: KafkaError | None, topic: str | None, written: Iterable[str]
) -> Blame:
    """Find out what a failure comes of.

    Args:
        failure: what was raised.
        delivery: the first failure of a delivery, if there was one.
        topic: that one's.
        written: the topics that were written to.
    """
    why, kind, barred, told = str(failure), AbortKind.OTHER, None, list[KafkaException]()
    if isinstance(failure, AbortedError):
        kind = failure.kind
    else:
        told.append(failure)
        why, barred = _barred_from(reason(failure), written)
    if delivery is not None:
        why = f"{explained(reason(told[0])) if told else why} ({explained(delivery, topic)})"
        kind, barred = AbortKind.UNDELIVERED, f"writing {topic}" if delivery.code() in GONE else barred
        told.append(KafkaException(delivery))
    if any(reason(one).code() in _LACKING for one in told):
        kind = AbortKind.UNDELIVERED
    culprits = failure.culprits if isinstance(failure, AbortedError) else ()
    return Blame(why, kind, culprits, barred, next(filter(useless, told), None))


def useless(error: KafkaException) -> bool:
    """Return whether nothing can be done with a producer any more."""
    return is_fatal(reason(error)) or isinstance(error, WornOutError)


def _barred_from(error: KafkaError, written: Iterable[str]) -> tuple[str, str | None]:
    """Return the error of a call in words, and what can't be done until somebody makes a topic or grants it, if so.

    Where a partition may not be added to a transaction, the client does not name its topic: it is one of those that
    were written to.
    """
    if error.code() not in GONE:
        return explained(error), None
    if "commit offsets" in error.str():
        return explained(error), "committing offsets"
    topics = " or ".join(sorted(written))
    return explained(error, topics), f"writing {topics}"
