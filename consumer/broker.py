"""What a worker asks of whatever events come from and results go to. Kafka has two of these, files have one."""

from collections.abc import Collection, Sequence
from typing import Protocol

from consumer.types import DeadLetter, Event, Positions, Result


class EndOfInputError(Exception):
    """There is no more to read, ever: a file ended. Kafka never says so."""


class AbortedError(Exception):
    """What was written since the last checkpoint is undone, or may be: rewind and write it again.

    Attributes:
        culprits: partitions whose records the broker refuses; empty where nobody is to blame (a broker was away).
    """

    def __init__(self, why: str, culprits: Collection[int] = ()) -> None:
        super().__init__(why)
        self.culprits = frozenset(culprits)


class Assignment(Protocol):
    """Is told, from inside ``poll`` and on its thread, which partitions come and go."""

    def assigned(self, positions: Positions) -> None:
        """Partitions came; each begins at its offset."""
        ...

    def revoked(self, partitions: Collection[int]) -> None:
        """Partitions are about to go: checkpoint now, they are another's when this returns."""
        ...

    def lost(self, partitions: Collection[int]) -> None:
        """Partitions are another's already: nothing of theirs may be committed."""
        ...

    def stopped(self, partition: int, why: str) -> None:
        """A partition can't be read on, and is held; its offset stays where it is."""
        ...


class Broker(Protocol):
    """Reads events, writes results, and makes both durable together.

    One thread uses it. The contract suite in tests/contract holds every implementation to this.
    """

    def join(self, assignment: Assignment) -> None:
        """Begin: partitions are told to ``assignment`` from the next ``poll`` on."""
        ...

    def poll(self, until: float, limit: int) -> Sequence[Event]:
        """Return up to ``limit`` events, those of a partition in order.

        Waits for a first event until the monotonic clock says ``until``; never waits for a second one.

        Raises:
            AbortedError: partitions were lost, or a checkpoint failed while some went: rewind.
            EndOfInputError: a finite input has ended.
            FatalBrokerError: there is no going on.
        """
        ...

    def write(self, results: Sequence[Result]) -> Sequence[DeadLetter]:
        """Send enriched records and dead letters, in order. They count from the next checkpoint on.

        Returns:
            The results that turned out too large to send and went to the dead letters instead.

        Raises:
            AbortedError: see there.
            FatalBrokerError: there is no going on.
        """
        ...

    def positions(self) -> Positions:
        """Return how far each partition has been read, past what holds no events; only between polls."""
        ...

    def checkpoint(self, positions: Positions) -> None:
        """Make all that was written durable together with the positions; does nothing where nothing changed.

        Raises:
            AbortedError: see there; also for as long as an earlier one was not followed by ``rewind``.
            FatalBrokerError: there is no going on.
        """
        ...

    def rewind(self) -> Positions:
        """Go back to what is committed, after an AbortedError, and return it."""
        ...

    def hold(self, partition: int) -> None:
        """Read no more of a partition until it is assigned anew; its offset stays where it is."""
        ...

    def close(self) -> None:
        """Leave. What was not checkpointed is undone, or will be read again."""
        ...
