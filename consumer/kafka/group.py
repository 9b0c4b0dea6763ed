"""Membership in the consumer group: reading, rebalances, positions.

Callbacks run inside ``consume`` and ``poll``. An exception out of one would destroy events already taken while the
position has moved past them, so callbacks keep what went wrong, and it is raised once the call is over.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumer.broker import AbortedError, Assignment
from consumer.exits import FatalBrokerError
from consumer.kafka.errors import CALL, UNPOLLED, Patience, explained, is_fatal, reason
from consumer.kafka.membership import Membership
from consumer.kafka.offsets import as_notes, as_offsets, ask_committed, committed_by_anyone
from consumer.operate.logs import Seldom
from consumer.types import Event, Notes, Positions

_log = structlog.get_logger()

_RETRY: Final = 1.0
_ASK: Final = 1.0
# How long a partition that has just been assigned may not be ready for a seek, and between two tries, in seconds.
_SETTLES: Final = 5.0
_SETTLING: Final = 0.02
# What the client says then; also where a rebalance pauses the partition at this very moment, or it is being stopped.
_EARLY: Final = frozenset(
    {KafkaError._STATE, KafkaError._OUTDATED, KafkaError._PREV_IN_PROGRESS}  # noqa: SLF001 - librdkafka's local codes
)
_OFFSETS: Final = "offsets to begin from"
_THROWING: Final = 1.0
_MANY: Final = 10_000


class WentAgainError(KafkaException):
    """A partition that came within a poll could not be read from: the client has it no longer."""


class Group:
    """A member of the group, with one topic.

    Args:
        settings: of the consumer.
        topic: what it reads.
        start: where to begin in a partition in which the group has never committed: earliest, latest or error.
        patience: waits for brokers.
    """

    def __init__(self, settings: Mapping[str, Any], topic: str, start: str, patience: Patience) -> None:
        self._settings = settings
        self._topic = topic
        self._start = start
        self._patience = patience
        self._membership = Membership(settings, topic, patience.wait)
        self._failure: Exception | None = None
        self._positions: dict[int, int] = {}
        # Partitions that the group gave us and whose offsets no broker has told yet, and when to ask again.
        self._unresolved: dict[int, None] = {}
        self._ask_at = 0.0
        self._seldom = Seldom()
        # What came and went inside the current poll.
        self._came: dict[int, int] = {}
        self._went: set[int] = set()
        # Held partitions, each with what is committed beside its offset.
        self._notes: dict[int, str] = {}
        # Partitions whose offset is gone, and in what words: the client reads no more of them, and seeks in none.
        # They are stopped in the next poll: what came of them before is taken in first, for it can't be read again.
        self._given_up: dict[int, str] = {}
        self._to_stop: set[int] = set()

    def join(self, assignment: Assignment) -> None:
        """Subscribe; the assignment is told of partitions from within ``poll``."""
        self._assignment = assignment
        self._membership.join(
            {
                "on_assign": self._keeping(self._assigned),
                "on_revoke": self._keeping(self._revoked),
                "on_lost": self._keeping(self._lost),
            }
        )

    @property
    def _consumer(self) -> Consumer:
        return self._membership.consumer

    def poll(self, until: float, limit: int) -> list[Event]:
        """Return up to ``limit`` events; wait for a first one until ``until`` (monotonic)."""
        self._came.clear()
        self._went.clear()
        if self._membership.death is not None:
            self._membership.replace(self._membership.death, self._lose)
        if self._membership.taken_in():
            self._assignment.joined()
        self._membership.trouble.look(self._consumer)
        if self._unresolved and time.monotonic() >= self._ask_at:
            self._resolve([next(iter(self._unresolved))])  # one at a time: one that is pending holds up no other
        for partition in sorted(self._to_stop):
            self._stop(partition, self._given_up[partition])
        messages = self._take(until, limit)
        if any(map(Message.error, messages)):  # before anything is raised: each is told once
            messages = [m for m in messages if self._is_event(m)]
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._went:
            messages = self._still_ours(messages)
        if messages:
            self._membership.trouble.over()
        return cast("list[Event]", messages)

    def _take(self, until: float, limit: int) -> list[Message]:
        # consume() with a time-out would sit on a lone event for all of it; poll() gives it at once.
        messages = self._consumer.consume(limit, 0)
        if messages or self._failure is not None:
            return messages
        first = self._consumer.poll(max(0.0, until - time.monotonic()))
        if first is None:
            return []
        return [first, *self._consumer.consume(limit - 1, 0)] if limit > 1 else [first]

    def throw_away(self) -> None:
        """Take what was fetched, for a second at most: it comes again after a seek (rule 22 of DESIGN.md)."""
        until = time.monotonic() + _THROWING
        while time.monotonic() < until and self.poll(0.0, _MANY):
            pass

    @property
    def came(self) -> bool:
        """Whether partitions were assigned in the last poll."""
        return bool(self._came)

    def positions(self) -> Positions:
        """Return the offset after the last event taken, past transaction markers; only right between polls."""
        return as_offsets(
            place for place in self._consumer.position(self._places(self._positions)) if place.offset >= 0
        )

    def ends(self) -> Positions:
        """Return where each partition ends, as its last fetch told: of a held one, as it was when it was held."""
        ends = {}
        for partition in self._positions:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)
            if high >= 0:
                ends[partition] = high
        return ends

    def offsets(self, positions: Positions) -> list[TopicPartition]:
        """Return positions as offsets to commit, with the notes of held partitions: a commit without erases them."""
        return [
            TopicPartition(self._topic, partition, offset, self.note(partition))
            for partition, offset in positions.items()
        ]

    def note(self, partition: int) -> str:
        """Return what is to be committed beside a partition's offset; empty where it is not held."""
        return self._notes.get(partition, "")

    def metadata(self, *, member: bool = True) -> bytes:
        """Return what a transaction needs to commit offsets for this member's generation.

        Args:
            member: only as one; what is to be aborted anyway needs no generation.

        Raises:
            AbortedError: the group has dropped this member; without its id nobody would check the generation.
        """
        return self._membership.metadata(member=member)

    def commit(self, positions: Positions) -> None:
        """Commit outside a transaction.

        Raises:
            KafkaException: with a code in REBALANCED where the group has moved on.
        """
        for place in self._consumer.commit(offsets=self.offsets(positions), asynchronous=False):
            if place.error is not None:
                raise KafkaException(place.error)

    def committed(self) -> tuple[Positions, Notes]:
        """Return the committed offsets of the assigned partitions, once no transaction is pending on them, and notes.

        isolation.level=read_committed makes the broker answer with stable offsets only (KIP-447).

        Raises:
            WornOutError: there is no answer yet: poll first.
        """
        wanted = self._places(self._positions)
        if not wanted:
            return {}, {}
        ask = partial(ask_committed, self._consumer, wanted, CALL)
        answer = self._patience.until_done(ask, "committed offsets", UNPOLLED)
        return as_offsets(answer), as_notes(answer)

    def committed_by_anyone(self, partitions: Iterable[int], limit: float) -> Positions:
        """Return committed offsets whoever has the partitions by now; see ``consumer.kafka.offsets``."""
        return committed_by_anyone(self._settings, self._places(partitions), self._patience, limit)

    def seek(self, positions: Positions) -> None:
        """Read on from the given offsets; partitions for which there is none any more are held.

        Raises:
            KafkaException: with a code in REBALANCED where the client has not, or no longer, these partitions.
        """
        settled = time.monotonic() + _SETTLES
        for partition, offset in positions.items():
            if offset < 0:
                self._stop(partition, "nothing is committed any more: its topic was deleted, or the group's offsets")
            elif partition in self._given_up:
                # Assigning it anew would do too, but not here: between a rebalance and its callback, the client takes
                # any change of its assignment for the answer, and gives away what has not been checkpointed.
                self._stop(partition, self._given_up[partition])
            else:
                place = TopicPartition(self._topic, partition, offset)
                self._patience.until_done(partial(self._seek, place, settled), "seek")
        self._positions.update(positions)

    def _seek(self, place: TopicPartition, settled: float) -> None:
        """Seek; librdkafka begins to fetch from a new partition a while later, and refuses to until then."""
        while True:
            try:
                return self._consumer.seek(place)
            except KafkaException as error:
                early = reason(error).code() in _EARLY
                if not early or self._membership.death is not None or time.monotonic() > settled:
                    raise
                time.sleep(_SETTLING)

    def hold(self, partition: int, note: str = "") -> None:
        """Read no more of a partition until it is released or assigned anew; ``note`` goes with its offset."""
        self._notes[partition] = note
        self._consumer.pause(self._places([partition]))

    def release(self, partition: int, position: int) -> None:
        """Read on in a held partition.

        Raises:
            KafkaException: with a code in REBALANCED where the client has no longer this partition: rewind then.
        """
        self._notes.pop(partition, None)
        try:
            self.seek({partition: position})
        finally:
            if partition not in self._notes:  # held at once again, where its offset is gone
                self._consumer.resume(self._places([partition]))

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    # Rebalances.

    def _keeping(self, act: Callable[[Sequence[int]], None]) -> Callable[[Consumer, list[TopicPartition]], None]:
        def callback(_: Consumer, places: list[TopicPartition]) -> None:
            try:
                act([place.partition for place in places])
            except Exception as error:  # noqa: BLE001 - see the module's docstring
                # The first one, but what ends the worker is not lost behind an abort, after which it would go on.
                if isinstance(self._failure, AbortedError) and not isinstance(error, AbortedError):
                    self._failure = error
                self._failure = self._failure or error

        return callback

    def _assigned(self, partitions: Sequence[int]) -> None:
        if not self._resolve(partitions):
            self._consumer.incremental_assign([])  # the client waits for an answer

    def _resolve(self, partitions: Collection[int]) -> bool:
        """Assign partitions at the offsets that the group has for them, or try again later; whether there were any.

        A predecessor that was killed may have left an offset pending in its transaction. The question then takes all
        of its time, in which nothing else goes on, so it is a short one.
        """
        asked = sorted(partitions)
        notes: Notes = {}
        try:
            positions, notes = self._first_positions(asked)
        except KafkaException as error:
            if reason(error).fatal():
                raise FatalBrokerError(f"no offsets to begin from: {reason(error).str()}") from error
            if self._seldom(reason(error).name()):
                _log.warning("no offsets to begin from yet", partitions=asked, error=explained(reason(error)))
            positions = {}
            self._ask_at = time.monotonic() + _RETRY
        for partition in asked:
            self._unresolved.pop(partition, None)  # and to the end of the queue, if it is to be asked again
            if partition not in positions:
                self._unresolved[partition] = None
        self._tell_unresolved()
        if not positions:
            return False
        places = [TopicPartition(self._topic, partition, offset) for partition, offset in positions.items()]
        self._consumer.incremental_assign(places)
        self._consumer.resume(places)  # a pause outlives revocation and assignment
        self._positions.update(positions)
        self._came.update(positions)
        self._assignment.assigned(positions, notes)
        return True

    def _first_positions(self, partitions: Collection[int]) -> tuple[dict[int, int], Notes]:
        wanted = self._places(partitions)
        if not wanted:
            return {}, {}
        answer = ask_committed(self._consumer, wanted, _ASK)
        found = as_offsets(answer)
        new = {partition: self._beginning(partition) for partition, offset in found.items() if offset < 0}
        if new:
            # Committed at once: a member that dies before its first checkpoint must not make its successor
            # resolve `latest` anew, past the events in between.
            self.commit(new)
        return found | new, as_notes(answer)

    def _beginning(self, partition: int) -> int:
        if self._start == "error":
            raise FatalBrokerError(
                f"topic {self._topic} partition {partition}: nothing is committed, and input.start is error"
            )
        place = TopicPartition(self._topic, partition)
        low, high = self._consumer.get_watermark_offsets(place, timeout=CALL)
        return low if self._start == "earliest" else high

    def _revoked(self, partitions: Sequence[int]) -> None:
        try:
            self._assignment.revoked([p for p in partitions if p in self._positions])
        finally:
            self._drop(partitions)

    def _lost(self, partitions: Sequence[int]) -> None:
        self._membership.dropped()
        try:
            self._assignment.lost([p for p in partitions if p in self._positions])
        finally:
            self._drop(partitions)

    def _lose(self) -> None:
        """Let go of all that a consumer has which died."""
        if had := {**self._positions, **self._unresolved}:
            self._keeping(self._lost)(self._consumer, self._places(had))

    def _drop(self, partitions: Sequence[int]) -> None:
        ours = self._places(p for p in partitions if p in self._positions)
        self._went.update(partitions)
        for partition in partitions:
            self._unresolved.pop(partition, None)
            self._positions.pop(partition, None)
            self._came.pop(partition, None)
            self._notes.pop(partition, None)
            self._given_up.pop(partition, None)
            self._to_stop.discard(partition)
        self._tell_unresolved()
        self._consumer.incremental_unassign(ours)

    def _tell_unresolved(self) -> None:
        """Show that partitions are not read, though they are ours: to the probes they are none of ours yet."""
        if self._unresolved:
            self._patience.wait.lacks(_OFFSETS)
        else:
            self._patience.wait.has(_OFFSETS)

    def _still_ours(self, messages: list[Message]) -> list[Message]:
        """Leave out events of partitions that went while they were on their way from the client to us."""
        back = {partition: offset for partition, offset in self._came.items() if partition in self._went}
        if back:  # gone and come again within one poll: begin again rather than tell old events from new ones
            try:
                self.seek(back)
            except KafkaException as error:
                raise WentAgainError(*error.args) from error
        return [m for m in messages if m.partition() not in self._went]

    def _places(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition) for partition in partitions]

    # Errors.

    def _is_event(self, message: Message) -> bool:
        """Deal with an error that came instead of an event."""
        error = message.error()
        if error is None:
            return True
        if is_fatal(error):
            self._membership.death = self._membership.death or error
        partition = message.partition()
        if error.code() == KafkaError._AUTO_OFFSET_RESET and partition is not None:  # noqa: SLF001
            if partition in self._positions:  # and did not go meanwhile
                self._given_up[partition] = f"its committed offset is gone from the broker: {error.str()}"
                self._to_stop.add(partition)
        else:
            self._membership.trouble.from_message(message, error)
        return False

    def _stop(self, partition: int, why: str) -> None:
        """Read no more of a partition, which only a person can mend."""
        self._to_stop.discard(partition)
        self.hold(partition, self.note(partition))  # a note that is there stays there
        self._assignment.stopped(partition, why)
