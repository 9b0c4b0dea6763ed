"""Replay: dead letters written again, and the note that they were, in one transaction.

The note is the offset metadata of a consumer group that nobody joins (see ``consumer.deadletter.replay``). A replay
that is killed leaves a transaction behind that its successor aborts, by taking up the same transactional id, before
it reads the notes: nothing is lost, nothing comes twice.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from consumer.broker import AbortedError
from consumer.deadletter.letter import Letter
from consumer.deadletter.listing import Histogram
from consumer.deadletter.replay import Fate, Judge, Memory, MemoryFullError
from consumer.deadletter.selection import Span
from consumer.exits import FatalBrokerError, RefusedError
from consumer.kafka.errors import CALL, reason, until_done
from consumer.kafka.letters import LetterReader, said_plainly
from consumer.kafka.targets import Failure, Target
from consumer.types import Event

_log = structlog.get_logger()

# Tries at one batch that teach nothing; one that finds a record which the broker refuses does.
_ATTEMPTS: Final = 5
_PATIENCE: Final = 60.0
_TAKEN_OVER: Final = "another replay of this pipeline has taken over"


class Most(msgspec.Struct, frozen=True):
    """How many dead letters go into one transaction: up to so many, of so many bytes together."""

    rows: int
    bytes: int


class Outcome(msgspec.Struct):
    """What a replay did, or would do.

    Attributes:
        fates: how many records of the dead-letter topic are what.
        letters: those that are replayed.
        results: what became of those.
    """

    fates: Counter[Fate]
    letters: Histogram
    results: Counter[str]


class Notes:
    """What was replayed, as kept by the group of the replay.

    Args:
        reader: whose consumer has the group's name.
        topic: the dead-letter topic.
        group: told to people.
    """

    def __init__(self, reader: LetterReader, topic: str, group: str) -> None:
        self._consumer = reader.consumer
        self._topic = topic
        self._group = group

    def read(self, partitions: Iterable[int]) -> dict[int, Memory]:
        """Return what was replayed, once no transaction is pending on it.

        Raises:
            RefusedError: something else has committed to the group.
        """
        wanted = [TopicPartition(self._topic, partition) for partition in partitions]
        with said_plainly("what was replayed can't be told"):
            places = until_done(lambda: self._ask(wanted), "what was replayed", patience())
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

    def _ask(self, wanted: list[TopicPartition]) -> list[TopicPartition]:
        answer = self._consumer.committed(wanted, timeout=CALL)
        for place in answer:
            if place.error is not None:
                raise KafkaException(place.error)
        return answer


class Reading:
    """Sorts out what is to be replayed, a batch at a time.

    Args:
        records: of the dead-letter topic.
        spans: from where to where they are.
        judge: says what becomes of each.
        memories: what was replayed before.
        most: how much a batch holds.
        now: milliseconds since 1970, from which ages are told.
    """

    def __init__(
        self,
        records: Iterable[Event],
        spans: Mapping[int, Span],
        judge: Judge,
        memories: Mapping[int, Memory],
        *,
        most: Most,
        now: int,
    ) -> None:
        self._records = records
        self._spans = spans
        self.judge = judge
        self._memories = memories
        self._most = most
        self.outcome = Outcome(Counter(), Histogram(now), Counter())
        self._from = {partition: start for partition, (start, _) in spans.items()}
        self._at = dict(self._from)

    def batches(self) -> Iterator[list[Letter]]:
        """Return batches; the last one, which may be empty, comes when all is looked at."""
        letters: list[Letter] = []
        size = 0
        for record in self._records:
            fate, letter = self.judge.judge(record, self._memories[record.partition()])
            self.outcome.fates[fate] += 1
            self._at[record.partition()] = record.offset() + 1
            if fate is not Fate.REPLAY or letter is None:
                continue
            self.outcome.letters.add(letter)
            letters.append(letter)
            size += len(record)
            if len(letters) >= self._most.rows or size >= self._most.bytes:
                yield letters
                letters, size = [], 0
        self._at = {partition: stop for partition, (_, stop) in self._spans.items()}
        yield letters

    def take_looked_at(self) -> dict[int, Span]:
        """Return what was looked at since the last call."""
        spans = {partition: (self._from[partition], at) for partition, at in self._at.items()}
        moved = {partition: span for partition, span in spans.items() if span[0] < span[1]}
        self._from = dict(self._at)
        return moved


class Replay:
    """Takes dead letters to a target, a batch a transaction.

    Args:
        notes: what was replayed.
        target: where they go to.
    """

    def __init__(self, notes: Notes, target: Target) -> None:
        self._notes = notes
        self._target = target
        # As last committed; where it is found otherwise, another replay has been at work.
        self._noted: dict[int, str] = {}

    def open(self) -> None:
        """Take over from whichever replay was there before: what it left open is aborted, what it does fails."""
        with said_plainly("no transactions"):
            self._target.open()
            producer = self._target.producer
            until_done(lambda: producer.init_transactions(CALL), "init_transactions", patience())

    def forget(self, bounds: Mapping[int, Span]) -> None:
        """Forget what was replayed."""
        self._commit([], {partition: low for partition, (low, _) in bounds.items()}, dict.fromkeys(bounds, Memory()))

    def rehearse(self, reading: Reading) -> Outcome:
        """Say what would be done."""
        for letters in reading.batches():
            reading.outcome.results.update(self._target.rehearse(letters))
        return reading.outcome

    def run(self, reading: Reading, memories: Mapping[int, Memory], bounds: Mapping[int, Span]) -> Outcome:
        """Do it."""
        self._noted = {partition: memory.text() for partition, memory in memories.items()}
        for letters in reading.batches():
            spans = reading.take_looked_at()
            for partition, span in spans.items():
                memories[partition].note(reading.judge.selection, span, bounds[partition][0])
            ends = {partition: stop for partition, (_, stop) in spans.items()}
            reading.outcome.results.update(self._commit(letters, ends, memories))
            self._noted |= {partition: memories[partition].text() for partition in ends}
        self._target.close()
        return reading.outcome

    def _commit(
        self, letters: Sequence[Letter], positions: Mapping[int, int], memories: Mapping[int, Memory]
    ) -> Counter[str]:
        """Write dead letters and the note that they are written, both or neither."""
        offsets = self._notes.offsets(positions, memories)
        failures = 0
        while True:
            try:
                return self._try(letters, offsets)
            except (KafkaException, AbortedError) as error:
                failure = self._undo(error)
                failures += not failure.learned
                if failures >= _ATTEMPTS:
                    raise FatalBrokerError(f"dead letters can't be replayed: {failure.why}") from error
                _log.warning("a transaction is tried again", error=failure.why)

    def _try(self, letters: Sequence[Letter], offsets: list[TopicPartition]) -> Counter[str]:
        producer, metadata = self._target.producer, self._notes.metadata()
        producer.begin_transaction()
        told = self._target.write(letters)
        until_done(lambda: producer.send_offsets_to_transaction(offsets, metadata, CALL), "send offsets", patience())
        until_done(lambda: producer.commit_transaction(CALL), "commit transaction", patience())
        return told

    def _undo(self, error: Exception) -> Failure:
        """Abort, and begin anew with another producer.

        Raises:
            FatalBrokerError: there is no going on; what is committed stays so.
        """
        why = reason(error) if isinstance(error, KafkaException) else None
        if why is not None and _dead(why):
            raise FatalBrokerError(
                f"{_TAKEN_OVER}, or a transaction took longer than transaction.timeout.ms: {why.str()}"
            ) from error
        self._abort()
        failure = self._target.failed()
        self._target.close()
        self.open()
        if not self._is_as_noted():
            raise FatalBrokerError(_TAKEN_OVER) from error
        return failure if failure.why else Failure(why.str() if why is not None else str(error), failure.learned)

    def _is_as_noted(self) -> bool:
        """Return whether no other replay was at work between the abort and the new producer."""
        if not self._noted:
            return True
        return {
            partition: memory.text() for partition, memory in self._notes.read(self._noted).items()
        } == self._noted

    def _abort(self) -> None:
        """Abort; where the producer dies of it, as after a record that was refused, the next one's start does it."""
        producer = self._target.producer
        try:
            until_done(lambda: producer.abort_transaction(CALL), "abort transaction", patience())
        except KafkaException as error:
            if not _dead(reason(error)):
                raise FatalBrokerError(f"what was written can't be undone: {reason(error).str()}") from error


def _dead(error: KafkaError) -> bool:
    return error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001 - librdkafka's local code


def patience() -> Callable[[float], None]:
    """Return a pause that ends a replay when the brokers have not answered for a minute: it may die at any time.

    Raises:
        FatalBrokerError: from the pause.
    """
    deadline = time.monotonic() + _PATIENCE

    def pause(seconds: float) -> None:
        if time.monotonic() > deadline:
            raise FatalBrokerError(
                f"the brokers have not answered for {_PATIENCE:.0f} s; the same command goes on where this one ends"
            )
        time.sleep(seconds)

    return pause
