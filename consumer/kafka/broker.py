"""What both ways to deliver share: the group, the outlet, what is committed, and what to do when it goes wrong."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException

from consumer.broker import AbortedError, AbortKind, Assignment, NotRewoundError
from consumer.exits import FatalBrokerError
from consumer.kafka.blame import blame, useless
from consumer.kafka.errors import (
    DENIED,
    GONE,
    REBALANCED,
    UNPOLLED,
    Patience,
    WornOutError,
    explained,
    is_fatal,
    reason,
)
from consumer.kafka.group import Group, WentAgainError
from consumer.kafka.outlet import Outlet
from consumer.operate.logs import Seldom
from consumer.operate.pulse import Doing, Pulse
from consumer.types import DeadLetter, Event, Notes, Positions, Result

_log = structlog.get_logger()

# Fenced again so soon, the other side is alive: two instances with one name would fence each other for ever.
_FENCED_AGAIN: Final = 60.0

TWIN: Final = "if it was fenced, another worker runs under the same --instance name"

_NO_TWIN: Final = {*DENIED, KafkaError.INVALID_TXN_STATE}


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
        pulse: knows when the worker is in here.
    """

    def __init__(self, group: Group, make_outlet: Callable[[bool], Outlet], pulse: Pulse) -> None:
        self._group = group
        self._pulse = pulse
        self._patience = Patience(pulse)
        self._seldom = Seldom()
        # Partition -> what is committed: offset and note.
        self._committed: dict[int, tuple[int, str]] = {}
        self._make_outlet = make_outlet
        self._outlet = make_outlet(False)  # noqa: FBT003 - a callback's argument
        # (partition, offset) of events whose enriched record the broker refused, and why.
        self._refused: dict[tuple[int, int], KafkaError] = {}
        # Partition -> the offset after the last event written since the last checkpoint; after a refusal, where what
        # may hold the culprit ends: care lasts until all of it is committed, not only another partition's part, or
        # held, which may last.
        self._reached: dict[int, int] = {}
        self._care_until: dict[int, int] = {}
        self._renewed_at = float("-inf")
        self._written = False
        # What can't be written to, since a topic is gone or denied.
        self._barred: str | None = None
        # Between an abort and the rewind, the lanes' positions are past results that were thrown away.
        self._undone = False
        # Whether a rewind had no answer; how long a checkpoint waits for one, in seconds.
        self._unanswered = False
        self._patient = UNPOLLED

    def join(self, assignment: Assignment) -> None:
        """Join the group."""
        self._assignment = assignment
        self._group.join(self)
        self._pulse.beat()

    def poll(self, until: float, limit: int) -> Sequence[Event]:
        """Return events; see ``consumer.broker.Broker``."""
        with self._pulse.within(Doing.BROKER), _final("reading"):
            try:
                events = self._group.poll(until, limit)
                if self._unanswered:
                    self._unanswered = False
                    self._group.throw_away()
            except WentAgainError as error:
                raise self._gone_on(error, "the client has no longer a partition that came") from error
            if self._group.came:
                self._count_partitions()
        # A rewind that failed halfway has moved some partitions: what comes of them will come again.
        return () if self._undone else events

    def positions(self) -> Positions:
        """Return how far each partition has been read."""
        with _final("positions"):
            return self._group.positions()

    def ends(self) -> Positions:
        """Return where partitions end, as the last fetches told."""
        with _final("ends"):
            return self._group.ends()

    def write(self, results: Sequence[Result]) -> Sequence[DeadLetter]:
        """Send results; see ``consumer.broker.Broker``."""
        if self._undone:
            raise NotRewoundError
        try:
            with self._pulse.within(Doing.BROKER):
                if not self._outlet.counted:
                    self._count_partitions()
                self._begin()
                if results:  # of one partition, as a lane writes them
                    last = results[-1].event
                    self._reached[last.partition()] = last.offset() + 1
                return self._outlet.write(results, self._refused)
        except (KafkaException, AbortedError) as failure:
            raise self._undo(failure) from failure

    def checkpoint(self, positions: Positions, *, last: bool = False) -> bool:
        """Make what was written durable with the positions; see ``consumer.broker.Broker``."""
        self._patient = float("inf") if last else UNPOLLED
        with self._pulse.within(Doing.BROKER):
            return self._checkpoint(positions)

    def _checkpoint(self, positions: Positions) -> bool:
        if self._undone:  # a second rebalance in the poll in which the first one failed
            raise NotRewoundError
        # Less than 0 where nothing is committed any more: what is to be, a person says.
        marks = {p: (offset, self._group.note(p)) for p, offset in positions.items() if offset >= 0}
        changed = {p: mark[0] for p, mark in marks.items() if self._committed.get(p) != mark}
        if self._written:
            try:
                done = self._finish(changed)
            except (KafkaException, AbortedError) as failure:
                raise self._undo(failure) from failure
            self._written = False
            self._tell_barred(None)
        else:
            done = not changed or self._commit_alone(changed)
        if not done:
            return False
        self._committed.update(marks)
        self._refused = {(p, at): why for (p, at), why in self._refused.items() if at >= self._offset(p, 0)}
        self._reached.clear()
        if self._outlet.careful and all(self._offset(p, end) >= end for p, end in self._care_until.items()):
            self._care_until.clear()  # what was refused is behind us
            self._replace(careful=False)
        return True

    def rewind(self) -> tuple[Positions, Notes]:
        """Go back to what is committed.

        Returns nothing where the group has moved on without this member, of which the next poll tells, or where there
        is no answer before it: until a rewind goes well nothing is written, committed or handed over.
        """
        with self._pulse.within(Doing.BROKER), _final("going back to what is committed"):
            try:
                positions, notes = self._group.committed()
                self._group.seek(positions)
            except KafkaException as error:
                self._unanswered = isinstance(error, WornOutError)
                if reason(error).code() not in REBALANCED and not self._unanswered:
                    raise
                return {}, {}
            # The output topic may have been made anew, which can be why this is asked for.
            self._count_partitions()
        self._note_committed(positions, notes)
        self._undone = self._unanswered = False
        return positions, notes

    def hold(self, partition: int, note: str = "") -> None:
        """Read no more of a partition; the note goes with its offset."""
        self._care_until.pop(partition, None)
        self._group.hold(partition, note)

    def release(self, partition: int, position: int) -> None:
        """Read on in a partition that was held; see ``consumer.broker.Broker``."""
        with _final("reading on"):
            try:
                self._group.release(partition, position)
            except KafkaException as error:
                raise self._gone_on(error, "the client has no longer a partition that was held") from error

    def close(self) -> None:
        """Leave the group; what is not committed is undone or will be read again."""
        with self._pulse.within(Doing.BROKER):
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

    def joined(self) -> None:
        """Pass it on."""
        self._assignment.joined()

    def assigned(self, positions: Positions, notes: Notes) -> None:
        """Note where partitions begin, and pass it on."""
        self._note_committed(positions, notes)
        self._assignment.assigned(positions, notes)

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
        self._care_until.pop(partition, None)
        self._assignment.stopped(partition, why)

    def _note_committed(self, positions: Positions, notes: Notes) -> None:
        self._committed.update({p: (offset, notes.get(p, "")) for p, offset in positions.items()})

    def _offset(self, partition: int, otherwise: int) -> int:
        """Return what is committed in a partition that this member has."""
        return self._committed[partition][0] if partition in self._committed else otherwise

    def _forget(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._committed.pop(partition, None)
        self._refused = {event: why for event, why in self._refused.items() if event[0] not in partitions}
        self._tell_barred(None)  # whoever has them tries, and this one again if it has others

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
    def _cause(self, failure: KafkaException) -> KafkaException:
        """Return what a failure comes of, where it says only that another was before it."""

    @abstractmethod
    def _may_have_timed_out(self) -> bool:
        """Whether a coordinator may have ended what is open by itself."""

    @abstractmethod
    def _lose(self) -> None:
        """Partitions were lost while results of theirs may be on their way."""

    # When it goes wrong.

    def _gone_on(self, error: KafkaException, why: str) -> AbortedError:
        """Return what to raise where the group has gone on without this member, as the next poll tells."""
        if reason(error).code() not in REBALANCED:
            raise error
        self._undone = True
        aborted = AbortedError(why, kind=AbortKind.LOST)
        return self._undo(aborted) if self._written else aborted

    def _undo(self, failure: KafkaException | AbortedError) -> AbortedError:
        """Throw away what was written, mend the producer, and return what to raise."""
        self._written = False
        self._undone = True
        self._outlet.serve()  # whether it was cut off
        cause = failure if isinstance(failure, AbortedError) else self._cause(failure)
        found = blame(cause, *self._outlet.take_failure(), self._outlet.written)
        kind, culprits, gone = found.kind, set(found.culprits), found.gone
        if found.barred is not None:
            self._tell_barred(found.barred)
        killed = self._discard_all() if gone is None else None
        if self._outlet.refusal:
            kind = AbortKind.REFUSED
            culprits |= self._note_refused()
        self._reached.clear()
        if gone is None and self._outlet.refusal:
            # The abort kills the producer now and then where records went one by one; that is nobody's fencing, and
            # the next one's start ends the transaction.
            self._replace(careful=True)
        elif (end := gone or killed) is not None:
            if kind is not AbortKind.UNDELIVERED or reason(end).code() not in _NO_TWIN:
                kind = AbortKind.FENCED if is_fatal(reason(end)) and not self._outlet.cut_off else AbortKind.CUT_OFF
            self._renew(end)
        elif kind is AbortKind.REFUSED:
            # By our own client, whose limit is that of its making: the next one asks what topics take by now.
            self._replace(careful=self._outlet.careful)
        return AbortedError(found.why, culprits, kind)

    def _tell_barred(self, what: str | None) -> None:
        """Show that a topic can't be written to until somebody makes or grants it, or that there is none such."""
        if self._barred is not None and self._barred != what:
            self._pulse.has(self._barred)
        if what is not None:
            self._pulse.lacks(what)
        self._barred = what

    def _discard_all(self) -> KafkaException | None:
        """Discard what was written; return the error after which the producer is of no use."""
        try:
            self._discard()
        except KafkaException as error:
            if useless(error):
                return error
            raise FatalBrokerError(f"what was written can't be undone: {reason(error).str()}") from error
        return None

    def _renew(self, gone: KafkaException) -> None:
        """Replace a producer that is of no use any more, such as one whose transaction the coordinator timed out."""
        why, now = reason(gone), time.monotonic()
        # Who lacks a permission, or does not get through, is not fenced by another; nor is one whose brokers were
        # away, or its transaction open for long: it is their coordinator that timed it out, as often as they crash or
        # are cut off. Of a network that swallows what is sent, the client learns only later than that.
        # And one that ends a transaction which no broker has begun, since its partitions were denied, dies of that.
        excused = why.code() in _NO_TWIN or self._outlet.cut_off or self._may_have_timed_out()
        if is_fatal(why) and not excused:
            if now - self._renewed_at < _FENCED_AGAIN:
                raise FatalBrokerError(f"the producer died twice within a minute; {TWIN}: {why.str()}")
            self._renewed_at = now
        _log.warning("the producer is replaced", error=explained(why), code=why.name())
        self._replace(careful=self._outlet.refusal or self._outlet.careful)

    def _note_refused(self) -> set[int]:
        """A record was refused by the broker, and its batch with it: a careful outlet finds out which, one by one.

        It stays until all that was written with it is committed: only the first one refused is found in each round.
        A producer that dies of the abort, as one does whose transaction is timed out meanwhile, takes nothing along.

        Returns:
            The partitions in which what was refused is a dead letter already.
        """
        found = self._outlet.refused
        again = {partition for partition, offset in found if (partition, offset) in self._refused}
        self._refused |= found
        self._care_until |= self._reached
        _log.warning("the broker refused a record", found=sorted(found))
        return again

    def _replace(self, *, careful: bool) -> None:
        self._outlet.close()
        self._outlet = self._make_outlet(careful)
        self._count_partitions()

    def _count_partitions(self) -> None:
        self._patience.until_done(self._outlet.count_partitions, "partition counts")

    def _commit_alone(self, changed: Positions) -> bool:
        """Commit positions that no record goes with; false where the group has moved on, and will say so itself.

        So where the input topic is gone, or the partition, since it was made anew with fewer; and where there is no
        answer before the next poll.
        """
        try:
            self._patience.until_done(lambda: self._group.commit(changed), "commit", self._patient)
        except KafkaException as error:
            why = reason(error)
            if why.code() not in REBALANCED | GONE and not isinstance(error, WornOutError):
                raise FatalBrokerError(f"offsets can't be committed: {why.str()}") from error
            if self._seldom(why.name()):
                _log.info(
                    "offsets are not committed: no answer, the group has gone on, or the topic is gone",
                    error=why.str(),
                )
            return False
        return True
