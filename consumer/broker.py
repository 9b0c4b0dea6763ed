"""What a worker asks of whatever events come from and results go to. Kafka has two of these, files have one."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Protocol

from consumer.types import DeadLetter, Event, Notes, Positions, Result


class EndOfInputError(Exception):
    """There is no more to read, ever: a file ended. Kafka never says so."""


class AbortKind(StrEnum):
    """What made an abort necessary; a label of its metric."""

    LOST = "lost"  # partitions are another's, or the group has dropped this member
    FENCED = "fenced"  # the producer is dead: fenced by another, or its transaction timed out
    CUT_OFF = "cut_off"  # brokers were out of reach for so long that the producer is of no use
    REFUSED = "refused"  # the broker refuses a record
    UNDELIVERED = "undelivered"  # a topic is missing, a permission, or time ran out
    OTHER = "other"


class AbortedError(Exception):
    """What was written since the last checkpoint is undone, or may be: rewind and write it again.

    Attributes:
        kind: what made it necessary.
        culprits: partitions whose records the broker refuses; empty where nobody is to blame (a broker was away).
    """

    def __init__(self, why: str, culprits: Collection[int] = (), kind: AbortKind = AbortKind.OTHER) -> None:
        super().__init__(why)
        self.culprits = frozenset(culprits)
        self.kind = kind


class NotRewoundError(AbortedError):
    """An abort has not been followed by a rewind that went well: no abort of its own, only another try to go back."""

    def __init__(self) -> None:
        super().__init__("what was undone has not been rewound yet")


class Assignment(Protocol):
    """Is told, from inside ``poll`` and on its thread, which partitions come and go."""

    def joined(self) -> None:
        """The group has taken this member in; told once."""
        ...

    def assigned(self, positions: Positions, notes: Notes) -> None:
        """Partitions came; each begins at its offset. ``notes``: what was committed beside it, if anything was."""
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

    def ends(self) -> Positions:
        """Return where each partition ends, as far as that is known without asking; only between polls."""
        ...

    def checkpoint(self, positions: Positions, *, last: bool = False) -> bool:
        """Make all that was written durable together with the positions and the notes of held partitions.

        Does nothing where nothing changed.

        Args:
            positions: of all partitions.
            last: no poll comes after this one: there is nothing to wait for but its answer.

        Returns:
            Whether the positions are durable now: not where a rebalance has gone past this member, as it will learn,
            nor where there is no answer before the next poll.

        Raises:
            AbortedError: see there.
            NotRewoundError: for as long as an earlier one was not followed by a ``rewind`` that went well.
            FatalBrokerError: there is no going on.
        """
        ...

    def rewind(self) -> tuple[Positions, Notes]:
        """Go back to what is committed, after an AbortedError, and return it: offsets, and the notes beside them.

        Returns nothing where the group has moved on without this member, of which the next poll tells, or where there
        is no answer before that. Until it goes well, no events are handed over.
        """
        ...

    def hold(self, partition: int, note: str = "") -> None:
        """Read no more of a partition until it is released or assigned anew; its offset stays where it is.

        ``note`` is committed beside the offset, and told to whoever is assigned the partition next.
        """
        ...

    def release(self, partition: int, position: int) -> None:
        """Read on from a position in a partition that was held, and take back its note; only between polls.

        Raises:
            AbortedError: the partition is lost, as the next poll tells.
            FatalBrokerError: there is no going on.
        """
        ...

    def close(self) -> None:
        """Leave. What was not checkpointed is undone, or will be read again."""
        ...
