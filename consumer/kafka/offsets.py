"""Committed offsets: asked for, by a member or by one who is none, and as the client gives them."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from consumer.kafka.errors import CALL, Patience, WornOutError
from consumer.kafka.settings import outside_a_group
from consumer.types import Notes, Positions

_log = structlog.get_logger()

# How long offsets may be pending that nothing is under way for any more, in seconds; less than a call takes.
_PENDING: Final = 1.0


def ask_committed(consumer: Consumer, wanted: list[TopicPartition], seconds: float) -> list[TopicPartition]:
    """Return committed offsets; one that can't be told is an error, not one that was never committed.

    Raises:
        KafkaException: that error.
    """
    answer = consumer.committed(wanted, timeout=seconds)
    for place in answer:
        if place.error is not None:
            raise KafkaException(place.error)
    return answer


def committed_by_anyone(
    settings: Mapping[str, Any], wanted: list[TopicPartition], patience: Patience, limit: float
) -> Positions:
    """Return committed offsets after all that this worker's producers did was ended, whoever has the partitions.

    Asked by clients of their own, since the member may have died. An offset that is pending all the same waits for a
    marker that no broker is going to write: it counts as not committed.

    Args:
        settings: of the member.
        wanted: which.
        patience: waits for brokers.
        limit: seconds after which it is given up.

    Raises:
        WornOutError: it was given up.
    """

    def ask(isolation: str, limit: float) -> Positions:
        own = {"isolation.level": isolation, "error_cb": lambda _: None}
        asking = Consumer({**outside_a_group(settings), **own})
        try:
            question = partial(ask_committed, asking, wanted, CALL)
            return as_offsets(patience.until_done(question, "committed offsets", limit))
        finally:
            asking.close()

    before = ask("read_uncommitted", limit)
    try:
        return ask("read_committed", _PENDING)
    except WornOutError:
        _log.warning("offsets are pending for ever", partitions=sorted(before))
        return before


def as_offsets(places: Iterable[TopicPartition]) -> dict[int, int]:
    """Return offsets by partition."""
    return {place.partition: place.offset for place in places}


def as_notes(places: Iterable[TopicPartition]) -> Notes:
    """Return what was committed beside offsets, by partition, where there is anything."""
    return {place.partition: place.metadata for place in places if place.metadata}
