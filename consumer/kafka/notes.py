"""The notes of what was replayed: offset metadata of a consumer group that nobody joins."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, TypeVar

from confluent_kafka import TopicPartition

from consumer.deadletter.replay import Memory, MemoryFullError
from consumer.exits import FatalBrokerError, RefusedError
from consumer.kafka.aside import Aside
from consumer.kafka.errors import CALL, Patience, WornOutError
from consumer.kafka.offsets import ask_committed
from consumer.kafka.topics import TopicReader, said_plainly
from consumer.operate.pulse import Pulse

T = TypeVar("T")

_PATIENCE: Final = 60.0


class ReplayNotes:
    """What was replayed, as kept by the group of the replay.

    Args:
        reader: whose consumer has the group's name.
        topic: the dead-letter topic.
        group: told to people.
    """

    def __init__(self, reader: TopicReader, topic: str, group: str) -> None:
        self._consumer = reader.consumer
        self._topic = topic
        self._group = group

    def read(self, partitions: Collection[int]) -> dict[int, Memory]:
        """Return what was replayed, once no transaction is pending on it.

        Raises:
            RefusedError: something else has committed to the group.
        """
        with said_plainly("what was replayed can't be told"):
            places = within_a_minute(lambda: self._ask(partitions), "what was replayed")
        return self._memories(places)

    def _memories(self, places: Iterable[TopicPartition]) -> dict[int, Memory]:
        memories = {}
        for place in places:
            try:
                memories[place.partition] = Memory(place.metadata)
            except ValueError:
                raise RefusedError(
                    f"group {self._group}: the offset of {self._topic}[{place.partition}] was committed by something "
                    "else; --restart forgets it"
                ) from None
        return memories

    def glance(self, partitions: Collection[int]) -> dict[int, Memory]:
        """Return what was replayed, asked for once: for who can do without it.

        Raises:
            FatalBrokerError: the brokers don't tell, or not this client.
            RefusedError: something else has committed to the group.
        """
        with said_plainly("what was replayed can't be told"):
            return self._memories(self._ask(partitions))

    def offsets(self, positions: Mapping[int, int], memories: Mapping[int, Memory]) -> list[TopicPartition]:
        """Return offsets to commit, with what was replayed in their metadata.

        Raises:
            RefusedError: it is too much.
        """
        try:
            return [
                TopicPartition(self._topic, partition, offset, memories[partition].text())
                for partition, offset in positions.items()
            ]
        except MemoryFullError:
            raise RefusedError(
                f"group {self._group} can't remember more of what was replayed with different filters; replay with "
                "fewer of them, or forget it with --restart"
            ) from None

    def metadata(self) -> Any:  # noqa: ANN401 - an opaque object of librdkafka
        """Return what a transaction needs to commit offsets."""
        return self._consumer.consumer_group_metadata()

    def _ask(self, partitions: Collection[int]) -> list[TopicPartition]:
        wanted = [TopicPartition(self._topic, partition) for partition in partitions]
        return ask_committed(self._consumer, wanted, CALL)


def within_a_minute(call: Callable[[], T], what: str, aside: Aside | None = None) -> T:
    """Return what a call gives at its first success; a replay may die any time, and need not wait for ever.

    Args:
        call: it.
        what: its name.
        aside: where it is made if it may never return.

    Raises:
        KafkaException: the first error that does not pass.
        FatalBrokerError: the brokers have not answered for a minute, or a call made aside has not returned.
    """
    try:
        return Patience(Pulse(_PATIENCE)).until_done(call, what, _PATIENCE, aside)
    except WornOutError as error:
        raise FatalBrokerError(
            f"{what}: the brokers do not answer; the same command goes on where this one ends"
        ) from error
