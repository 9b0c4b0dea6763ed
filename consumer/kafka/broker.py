"""The two ways to Kafka: exactly once, in transactions; at least once, flushed and then committed."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
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
        events = self._group.poll(until, limit)
        if self._group.came:
            until_done(self._outlet.count_partitions, "partition counts")
        return events

    def positions(self) -> Positions:
        """Return how far each partition has been read."""
        return self._group.positions()

    def write(self, results: Sequence[Result]) -> Sequence[DeadLetter]:
        """Send results; see ``consumer.broker.Broker``."""
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
            raise AbortedError("what was undone has not been rewound yet")
        changed = {p: offset for p, offset in positions.items() if self._committed.get(p) != offset}
        if self._written:
            try:
                done = self._finish(changed)
            except KafkaException as error:
                raise self._undo(reason(error)) from error
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
        """Go back to what is committed."""
        positions = self._group.committed()
        self._group.seek(positions)
        self._committed.update(positions)
        self._undone = False
        return positions

    def hold(self, partition: int) -> None:
        """Read no more of a partition."""
        self._group.hold(partition)

    def close(self) -> None:
        """Leave the group; what is not committed is undone or will be read again."""
        if self._written:
            self._discard()
        self._group.close()
        self._outlet.close()

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

    def _forget(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._committed.pop(partition, None)

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
        if error is not None and not error.fatal():
            error = self._discarded() or error
        elif error is None:
            error = self._discarded()
        if failed is not None:
            why = f"{why} ({failed.str()})"
        refusal = self._outlet.refusal
        if error is not None and error.fatal():
            self._renew(error)
        elif refusal:
            self._take_care()
        culprits = {partition for partition, _ in self._refused} if refusal else set()
        return AbortedError(why, culprits | (aborted.culprits if aborted else frozenset()))

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
            raise FatalBrokerError(f"the producer died twice within a minute: {error.str()}")
        self._renewed_at = now
        _log.warning("the producer is replaced", error=error.str(), code=error.name())
        self._replace(careful=False)

    def _take_care(self) -> None:
        """A record was refused by the broker, and its batch with it: find out which by sending them one by one."""
        found = self._outlet.refused
        self._refused |= found
        _log.warning("the broker refused a record", found=sorted(found))
        self._replace(careful=not found)

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
