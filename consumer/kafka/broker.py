"""The two ways to Kafka: exactly once, in transactions; at least once, flushed and then committed."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException

from consumer.broker import AbortedError, Assignment
from consumer.exits import FatalBrokerError
from consumer.kafka.errors import CALL, REBALANCED, reason, until_done
from consumer.kafka.group import Group
from consumer.kafka.outlet import Outlet
from consumer.types import DeadLetter, Event, Positions, Result

_log = structlog.get_logger()

# Fenced again so soon, the other side is alive: two instances with one name would fence each other for ever.
_FENCED_AGAIN: Final = 60.0
_FLUSH: Final = 1.0

_NOT_REWOUND: Final = "what was undone has not been rewound yet"


def _dead(error: KafkaError) -> bool:
    """Return whether a producer is dead for good; calls after the first one say so by the code alone."""
    return bool(error.fatal()) or error.code() == KafkaError._FATAL  # noqa: SLF001


@contextmanager
def _final(what: str) -> Iterator[None]:
    """Take an error of the client that nothing here can mend for what it is: the end of this worker."""
    try:
        yield
    except KafkaException as error:
        raise FatalBrokerError(f"{what} failed: {reason(error).str()}") from error


class KafkaBroker(ABC):
    """What both ways share: the group, the outlet, and what is committed.

    Args:
        group: not joined yet.
        make_outlet: makes an outlet; true asks for a careful one.
    """

    def __init__(self, group: Group, make_outlet: Callable[[bool], Outlet]) -> None:
        self._group = group
        self._make_outlet = make_outlet
        self._outlet = make_outlet(False)  # noqa: FBT003 - a callback's argument
        self._committed: dict[int, int] = {}
        # (partition, offset) of events whose enriched record the broker refused, and why.
        self._refused: dict[tuple[int, int], KafkaError] = {}
        self._renewed_at = float("-inf")
        self._written = False
        # Between an abort and the rewind, the lanes' positions are past results that were thrown away.
        self._undone = False

    def join(self, assignment: Assignment) -> None:
        """Join the group."""
        self._assignment = assignment
        self._group.join(self)

    def poll(self, until: float, limit: int) -> Sequence[Event]:
        """Return events; see ``consumer.broker.Broker``."""
        with _final("reading"):
            events = self._group.poll(until, limit)
            if self._group.came:
                until_done(self._outlet.count_partitions, "partition counts")
        return events

    def positions(self) -> Positions:
        """Return how far each partition has been read."""
        with _final("positions"):
            return self._group.positions()

    def write(self, results: Sequence[Result]) -> Sequence[DeadLetter]:
        """Send results; see ``consumer.broker.Broker``."""
        if self._undone:
            raise AbortedError(_NOT_REWOUND)
        try:
            self._begin()
            return self._outlet.write(results, self._refused)
        except KafkaException as error:
            raise self._undo(reason(error)) from error
        except AbortedError as aborted:
            raise self._undo(None, aborted) from aborted

    def checkpoint(self, positions: Positions) -> None:
        """Make what was written durable with the positions; see ``consumer.broker.Broker``."""
        if self._undone:  # a second rebalance in the poll in which the first one failed
            raise AbortedError(_NOT_REWOUND)
        changed = {p: offset for p, offset in positions.items() if self._committed.get(p) != offset}
        if self._written:
            try:
                done = self._finish(changed)
            except KafkaException as error:
                raise self._undo(reason(error)) from error
            except AbortedError as aborted:
                raise self._undo(None, aborted) from aborted
            self._written = False
        else:
            done = bool(changed) and self._commit_alone(changed)
        if not done:
            return
        self._committed.update(changed)
        self._refused = {
            (p, offset): why for (p, offset), why in self._refused.items() if offset >= self._committed.get(p, 0)
        }
        if self._outlet.careful:  # what was refused is behind us
            self._replace(careful=False)

    def rewind(self) -> Positions:
        """Go back to what is committed.

        Returns nothing where the group has moved on without this member: the next poll tells what is lost, and until
        a rewind goes well nothing is written or committed.
        """
        with _final("going back to what is committed"):
            try:
                positions = self._group.committed()
            except KafkaException as error:
                if reason(error).code() not in REBALANCED:
                    raise
                return {}
            self._group.seek(positions)
            # The output topic may have been made anew, which can be why this is asked for.
            until_done(self._outlet.count_partitions, "partition counts")
        self._committed.update(positions)
        self._undone = False
        return positions

    def hold(self, partition: int) -> None:
        """Read no more of a partition."""
        self._group.hold(partition)

    def close(self) -> None:
        """Leave the group; what is not committed is undone or will be read again."""
        if self._written:
            self._written = False
            with suppress(KafkaException):  # fenced: then another has undone it
                self._discard()
        self._group.close()
        self._outlet.close()

    def abandon(self) -> None:
        """Leave after an error that nobody understands: nothing may be committed any more, not even while leaving."""
        self._undone = True
        self.close()

    # The group tells of partitions through here, so that this side knows what is committed.

    def assigned(self, positions: Positions) -> None:
        """Note where partitions begin, and pass it on."""
        self._committed.update(positions)
        self._assignment.assigned(positions)

    def revoked(self, partitions: Collection[int]) -> None:
        """Pass it on, then forget the partitions."""
        try:
            self._assignment.revoked(partitions)
        finally:
            self._forget(partitions)

    def lost(self, partitions: Collection[int]) -> None:
        """Undo what may hold results of lost partitions, and pass it on."""
        try:
            self._assignment.lost(partitions)
            if self._written and partitions:
                self._lose()
        finally:
            self._forget(partitions)

    def stopped(self, partition: int, why: str) -> None:
        """Pass it on."""
        self._assignment.stopped(partition, why)

    def _forget(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._committed.pop(partition, None)
        self._refused = {event: why for event, why in self._refused.items() if event[0] not in partitions}

    # What differs.

    @abstractmethod
    def _begin(self) -> None:
        """Be ready for records."""

    @abstractmethod
    def _finish(self, changed: Positions) -> bool:
        """Make records durable, with the positions that changed; false where the positions were not committed."""

    @abstractmethod
    def _discard(self) -> None:
        """Throw away what was written since the last checkpoint, as far as it can be."""

    @abstractmethod
    def _lose(self) -> None:
        """Partitions were lost while results of theirs may be on their way."""

    # When it goes wrong.

    def _undo(self, error: KafkaError | None, aborted: AbortedError | None = None) -> AbortedError:
        """Throw away what was written, mend the producer, and return what to raise."""
        why = error.str() if error is not None else str(aborted)
        self._written = False
        self._undone = True
        failed = self._outlet.take_failure()
        if failed is not None:
            why = f"{why} ({failed.str()})"
        dead = next((told for told in (error, failed) if told is not None and _dead(told)), None)
        killed = self._discarded() if dead is None else None
        culprits = set(aborted.culprits) if aborted is not None else set()
        if dead is None and self._outlet.refusal:
            # The abort may have killed the producer, as it does now and then where records went one by one; then the
            # next one's start ends the transaction, and what was found is not lost with it.
            culprits |= self._take_care()
        elif (why_dead := dead or killed) is not None:
            self._renew(why_dead)
        return AbortedError(why, culprits)

    def _discarded(self) -> KafkaError | None:
        try:
            self._discard()
        except KafkaException as error:
            why = reason(error)
            if not why.fatal():
                raise FatalBrokerError(f"what was written can't be undone: {why.str()}") from error
            return why
        return None

    def _renew(self, error: KafkaError) -> None:
        """Replace a producer that is dead for good, such as one whose transaction the coordinator timed out."""
        now = time.monotonic()
        if now - self._renewed_at < _FENCED_AGAIN:
            raise FatalBrokerError(
                "the producer died twice within a minute; if it was fenced, another worker runs under the same "
                f"--instance name: {error.str()}"
            )
        self._renewed_at = now
        _log.warning("the producer is replaced", error=error.str(), code=error.name())
        self._replace(careful=False)

    def _take_care(self) -> set[int]:
        """A record was refused by the broker, and its batch with it: find out which by sending them one by one.

        Stays so until the next checkpoint: only the first one refused is found in each round.

        Returns:
            The partitions in which what was refused is a dead letter already.
        """
        found = self._outlet.refused
        again = {partition for partition, offset in found if (partition, offset) in self._refused}
        self._refused |= found
        _log.warning("the broker refused a record", found=sorted(found))
        self._replace(careful=True)
        return again

    def _replace(self, *, careful: bool) -> None:
        self._outlet.close()
        self._outlet = self._make_outlet(careful)
        until_done(self._outlet.count_partitions, "partition counts")

    def _commit_alone(self, changed: Positions) -> bool:
        """Commit positions that no record goes with; false where the group has moved on, and will say so itself."""
        try:
            until_done(lambda: self._group.commit(changed), "commit")
        except KafkaException as error:
            if reason(error).code() not in REBALANCED:
                raise FatalBrokerError(f"offsets can't be committed: {reason(error).str()}") from error
            _log.info("offsets are not committed in a rebalance", error=reason(error).str())
            return False
        return True


class ExactlyOnce(KafkaBroker):
    """Results and offsets in one transaction (KIP-98, KIP-447)."""

    def __init__(self, group: Group, make_outlet: Callable[[bool], Outlet]) -> None:
        def ready(careful: bool) -> Outlet:  # noqa: FBT001 - a callback's argument
            outlet = make_outlet(careful)
            try:
                until_done(lambda: outlet.producer.init_transactions(CALL), "init_transactions")
            except KafkaException as error:
                raise FatalBrokerError(f"no transactions: {reason(error).str()}") from error
            return outlet

        super().__init__(group, ready)

    def _begin(self) -> None:
        if not self._written:
            self._outlet.producer.begin_transaction()
            self._written = True

    def _finish(self, changed: Positions) -> bool:
        producer, group = self._outlet.producer, self._group
        offsets = group.offsets(changed)
        until_done(lambda: producer.send_offsets_to_transaction(offsets, group.metadata(), CALL), "send offsets")
        until_done(lambda: producer.commit_transaction(CALL), "commit transaction")
        return True

    def _discard(self) -> None:
        until_done(lambda: self._outlet.producer.abort_transaction(CALL), "abort transaction")

    def _lose(self) -> None:
        raise self._undo(None, AbortedError("partitions were lost with a transaction open"))


class AtLeastOnce(KafkaBroker):
    """Results first, offsets once all of them are delivered."""

    def _begin(self) -> None:
        self._written = True

    def _finish(self, changed: Positions) -> bool:
        while self._outlet.producer.flush(_FLUSH):
            pass
        failed = self._outlet.take_failure()
        if failed is not None:
            raise KafkaException(failed)
        return bool(changed) and self._commit_alone(changed)

    def _discard(self) -> None:
        """Nothing to undo: what is on its way may arrive, and come again, which is what this way allows."""

    def _lose(self) -> None:
        """As above."""
