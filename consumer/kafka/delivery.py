"""The two ways to deliver: exactly once, in transactions; at least once, flushed and then committed."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException

from consumer.broker import AbortedError, AbortKind, Assignment
from consumer.exits import FatalBrokerError
from consumer.kafka.aside import Aside
from consumer.kafka.broker import TWIN, KafkaBroker
from consumer.kafka.errors import (
    CALL,
    DENIED,
    FENCED,
    GONE,
    REBALANCED,
    LeftBehindError,
    Waiting,
    WornOutError,
    explained,
    reason,
)
from consumer.kafka.group import Group
from consumer.kafka.outlet import Outlet, Place
from consumer.operate.pulse import Pulse
from consumer.types import Positions, Result

_log = structlog.get_logger()

# A client that has not got through for so long is replaced, in seconds: one was seen that never found its coordinator
# again after a broker had stood still, while others did. The new one's first call ends what the old one had open, and
# the committed offsets tell whether that was committed.
_WORN_OUT: Final = 60.0
# Between two tries to get transactions after the permission was taken away, in seconds.
_DENIED_PAUSE: Final = 2.0
_FLUSH: Final = 1.0
# A transaction that was open for so many seconds may have been timed out by its coordinator; before, it was fenced.
_TIMES_OUT: Final = 1.0


class ExactlyOnce(KafkaBroker):
    """Results and offsets in one transaction (KIP-98, KIP-447).

    Args:
        group: not joined yet.
        make_outlet: makes an outlet; true asks for a careful one.
        pulse: knows when the worker is in here.
        timeout: seconds after which the coordinator ends a transaction by itself.
        find_open: tells where, of topics with so many partitions, a transaction is open that began at a time (seconds
            since 1970) or later.
        aside: where calls are made that may never return.
    """

    def __init__(
        self,
        group: Group,
        make_outlet: Callable[[bool], Outlet],
        pulse: Pulse,
        *,
        timeout: float,
        find_open: Callable[[Mapping[str, int], float], Sequence[Place]],
        aside: Aside | None = None,
    ) -> None:
        self._make_bare = make_outlet
        self._find_open = find_open
        self._timeout = timeout
        # When the last transaction began, by the monotonic clock.
        self._began = float("inf")
        # When the first transaction began that may not have been committed; what one was to commit, while it does.
        self._since = float("inf")
        self._committing: dict[int, int] = {}
        # What was written by producers that died with their transactions.
        self._left_open: dict[str, Result] = {}
        self._aside = aside or Aside()
        self._joined = False
        super().__init__(group, self._ready, pulse)

    def join(self, assignment: Assignment) -> None:
        """Join the group."""
        super().join(assignment)
        self._joined = True

    def _ready(self, careful: bool) -> Outlet:  # noqa: FBT001 - a callback's argument
        """Return an outlet that may begin transactions.

        A worker that is at work waits for a permission that was taken away; one that starts says that it lacks it.
        """
        while True:
            outlet = self._make_bare(careful)
            begin = partial(outlet.producer.init_transactions, CALL)
            try:
                self._call(outlet, begin, "init_transactions")
                if self._left_open:
                    self._sweep(outlet)
                    outlet.close()
                    continue
            except KafkaException as error:
                why = reason(error)
                outlet.serve()  # whether it was cut off
                passes = isinstance(error, WornOutError) or why.code() in DENIED or outlet.cut_off
                if not passes or not self._joined:
                    twin = f"; {TWIN}" if why.code() in FENCED else ""
                    raise FatalBrokerError(f"no transactions: {explained(why)}{twin}") from error
                if self._seldom(f"no transactions: {why.name()}"):
                    _log.warning("no transactions yet", error=explained(why))
                outlet.close()
                self._pulse.waits("init_transactions")
                time.sleep(_DENIED_PAUSE)
            else:
                self._pulse.answered()
                return outlet

    def _renew(self, gone: KafkaException) -> None:
        self._left_open |= self._outlet.written
        super()._renew(gone)

    def _sweep(self, outlet: Outlet) -> None:
        """Abort, in a transaction of its own, what one before it may have left open wherever it wrote.

        A broker that is killed and comes back may take the transaction for ended and write no markers (Apache Kafka
        4.4, seen where it is the only one). A marker ends all that its producer id has open in a partition: the next
        commit would commit what was to be aborted too, and double it. What was to be committed is left to that one.

        Raises:
            WornOutError: it may not be aborted everywhere; to be tried again with another producer.
        """
        try:
            committed = self._was_committed()
            places = () if committed else self._open_places(outlet)
        except KafkaException as error:
            raise WornOutError(reason(error)) from error
        if not committed:
            self._abort_there(outlet, places)
            _log.info("what the brokers may have left open is aborted", partitions=places)
        self._nothing_open()

    def _open_places(self, outlet: Outlet) -> Sequence[Place]:
        self._patience.until_done(outlet.count_partitions, "partition counts", _WORN_OUT)
        # Of topics as they are by now: one that was made anew may have fewer.
        topics = {topic: outlet.partitions[topic] for topic in self._left_open}
        find = partial(self._find_open, topics, self._since)
        return self._patience.until_done(find, "open transactions", _WORN_OUT, self._aside)

    def _abort_there(self, outlet: Outlet, places: Sequence[Place]) -> None:
        began = time.monotonic()
        try:
            outlet.producer.begin_transaction()
            outlet.fill(self._left_open, places)
            self._send_any_offset(outlet)
            self._call(outlet, partial(outlet.producer.abort_transaction, CALL), "abort transaction")
        except KafkaException as error:
            why = reason(error)
            if why.fatal() and time.monotonic() - began < _TIMES_OUT:
                raise
            raise WornOutError(why) from error

    def _send_any_offset(self, outlet: Outlet) -> None:
        """Have the group's own log marked too. It is never committed: any offset will do.

        Of the first partition, which a topic that was made anew has too; one that is gone takes none.
        """
        if not outlet.has_input:
            return
        offsets, metadata = self._group.offsets({0: 0}), self._group.metadata(member=False)
        send = partial(outlet.producer.send_offsets_to_transaction, offsets, metadata, CALL)
        try:
            self._call(outlet, send, "send offsets")
        except KafkaException as error:
            # The group may not know this member any more, or the topic: the marker comes all the same.
            if reason(error).code() not in REBALANCED | GONE:
                raise

    def _was_committed(self) -> bool:
        """Return whether the commit in which a producer died was made all the same: its offsets tell."""
        if not self._committing:
            return False
        positions = self._group.committed_by_anyone(self._committing, _WORN_OUT)
        return any(positions.get(partition) == offset for partition, offset in self._committing.items())

    def _nothing_open(self) -> None:
        self._left_open.clear()
        self._committing.clear()
        self._since = float("inf")

    def _begin(self) -> None:
        if not self._written:
            self._outlet.producer.poll(0)  # tells what befell it while there was nothing to write
            if self._outlet.cut_off:
                # It forgets a broker that it could not reach and that its first metadata did not name, and its next
                # transaction then waits for that one for ever, inside a call that no time-out ends (librdkafka 2.16).
                _log.warning("the producer is replaced: brokers were away")
                self._left_open |= self._outlet.written
                self._replace(careful=self._outlet.careful)
            self._began = time.monotonic()
            self._outlet.producer.begin_transaction()
            self._since = min(self._since, time.time())
            self._committing.clear()
            self._written = True

    def _finish(self, changed: Positions) -> bool:
        outlet, producer = self._outlet, self._outlet.producer
        # The consumer is asked here: inside a rebalance callback, it answers no other thread than that of the poll.
        offsets, metadata = self._group.offsets(changed), self._group.metadata()
        self._call(outlet, partial(producer.send_offsets_to_transaction, offsets, metadata, CALL), "send offsets")
        # A note alone may change where a hold ends: that offset was committed before.
        self._committing = {p: offset for p, offset in changed.items() if offset != self._offset(p, -1)}
        self._call(outlet, partial(producer.commit_transaction, CALL), "commit transaction")
        outlet.written.clear()
        self._nothing_open()
        return True

    def _discard(self) -> None:
        self._call(self._outlet, partial(self._outlet.producer.abort_transaction, CALL), "abort transaction")

    def _cause(self, failure: KafkaException) -> KafkaException:
        """Find out what the transaction failed of: to a record that comes after, the client says only that it has."""
        if reason(failure).code() == KafkaError._STATE:  # noqa: SLF001 - librdkafka's local codes are written so
            try:
                self._outlet.producer.begin_transaction()  # which is refused, with what the open one failed of
            except KafkaException as cause:
                return cause
        return failure

    def _may_have_timed_out(self) -> bool:
        return time.monotonic() - self._began >= self._timeout

    def _call(self, outlet: Outlet, call: Callable[[], None], what: str) -> None:
        """Make a call of an outlet's producer that waits for brokers, maybe for ever: then leave it behind."""
        try:
            self._patience.until_done(call, what, _WORN_OUT, self._aside)
        except LeftBehindError:
            outlet.leave_behind()
            raise

    def _lose(self) -> None:
        why = AbortedError("partitions were lost with a transaction open", kind=AbortKind.LOST)
        raise self._undo(why)


class AtLeastOnce(KafkaBroker):
    """Results first, offsets once all of them are delivered."""

    def _begin(self) -> None:
        self._written = True

    def _finish(self, changed: Positions) -> bool:
        waiting = Waiting("deliveries", self._pulse)
        while left := self._outlet.producer.flush(_FLUSH):
            waiting.tell(f"{left} records are not delivered yet")
        waiting.over()
        if self._outlet.failure is not None:
            raise KafkaException(self._outlet.failure)
        return not changed or self._commit_alone(changed)

    def _discard(self) -> None:
        """Nothing to undo: what is on its way may arrive, and come again, which is what this way allows."""

    def _cause(self, failure: KafkaException) -> KafkaException:
        return failure

    def _may_have_timed_out(self) -> bool:
        return False

    def _lose(self) -> None:
        """As above."""
