"""Replay: dead letters written again, and the note that they were, in one transaction.

A replay that is killed leaves a transaction behind that its successor aborts, by taking up the same transactional id,
before it reads the notes: nothing is lost, nothing comes twice.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
from confluent_kafka import KafkaException, TopicPartition

from consumer.broker import AbortedError
from consumer.deadletter.letter import Letter
from consumer.deadletter.reading import Outcome, Reading
from consumer.deadletter.replay import Memory
from consumer.deadletter.selection import Span
from consumer.exits import FatalBrokerError
from consumer.kafka.aside import Aside
from consumer.kafka.errors import CALL, explained, is_fatal, reason
from consumer.kafka.notes import ReplayNotes, within_a_minute
from consumer.kafka.targets import Failure, Target
from consumer.kafka.topics import said_plainly

_log = structlog.get_logger()

# Tries at one batch that teach nothing; one that finds a record which the broker refuses does.
_ATTEMPTS: Final = 5
_TAKEN_OVER: Final = "another replay of this pipeline has taken over"


class Replay:
    """Takes dead letters to a target, a batch a transaction.

    Args:
        notes: what was replayed.
        target: where they go to.
    """

    def __init__(self, notes: ReplayNotes, target: Target) -> None:
        self._notes = notes
        self._target = target
        # As last committed; where it is found otherwise, another replay has been at work.
        self._noted: dict[int, str] = {}
        self._aside = Aside()

    def open(self) -> None:
        """Take over from whichever replay was there before: what it left open is aborted, what it does fails."""
        with said_plainly("no transactions"):
            self._target.open()
            producer = self._target.producer
            self._call(lambda: producer.init_transactions(CALL), "init_transactions")

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
        self._call(lambda: producer.send_offsets_to_transaction(offsets, metadata, CALL), "send offsets")
        self._call(lambda: producer.commit_transaction(CALL), "commit transaction")
        return told

    def _undo(self, error: Exception) -> Failure:
        """Abort, and begin anew with another producer.

        Raises:
            FatalBrokerError: there is no going on; what is committed stays so.
        """
        why = reason(error) if isinstance(error, KafkaException) else None
        if why is not None and is_fatal(why):
            raise FatalBrokerError(
                f"{_TAKEN_OVER}, or a transaction took longer than transaction.timeout.ms: {explained(why)}"
            ) from error
        self._abort()
        failure = self._target.failed()
        self._target.close()
        self.open()
        if not self._is_as_noted():
            raise FatalBrokerError(_TAKEN_OVER) from error
        return failure if failure.why else Failure(explained(why) if why is not None else str(error), failure.learned)

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
            self._call(lambda: producer.abort_transaction(CALL), "abort transaction")
        except KafkaException as error:
            if not is_fatal(reason(error)):
                raise FatalBrokerError(f"what was written can't be undone: {explained(reason(error))}") from error

    def _call(self, call: Callable[[], None], what: str) -> None:
        within_a_minute(call, what, self._aside)
