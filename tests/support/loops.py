"""Workers for tests: enrichers that need no model, and an observer that remembers."""

from collections.abc import Callable, Collection, Mapping, Sequence

from consumer.broker import AbortedError, Broker
from consumer.deadletter.causes import Code
from consumer.hold import Hold
from consumer.holds import HoldRule
from consumer.lane import BatchRule, Reason
from consumer.observer import Change, Lag, Observer
from consumer.types import Cause, DeadLetter, Enriched, Event, Filtered, NotYetError, Result, Stage
from consumer.worker import Worker
from tests.support.making import rule
from tests.support.memory import Clock


class Echo:
    """Enriches an event with its own value; `bad` is a dead letter. Takes time where a clock is given."""

    def __init__(self, clock: Clock | None = None, seconds: float = 0.0) -> None:
        self._clock = clock
        self._seconds = seconds
        self.batches: list[list[Event]] = []

    def enrich(self, events: Sequence[Event]) -> list[Result]:
        """Return one result an event."""
        self.batches.append(list(events))
        if self._clock is not None:
            self._clock.sleep(self._seconds)
        return [
            DeadLetter(event, Cause(Stage.DECODE, Code.MALFORMED, "bad"))
            if event.value() == b"bad"
            else Enriched(event, event.value() or b"")
            for event in events
        ]


class Unread(Echo):
    """Enriches nothing that says `later` until it is told what that means."""

    def __init__(self) -> None:
        super().__init__()
        self.known = False

    def enrich(self, events: Sequence[Event]) -> list[Result]:
        """Return one result an event, or raise NotYetError."""
        if not self.known and any(event.value() == b"later" for event in events):
            raise NotYetError("the registry does not answer")
        return super().enrich(events)


class Story:
    """An observer that remembers what it was told, as short lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.lags: Mapping[int, Lag] = {}

    def joined(self) -> None:
        """The group has taken the worker in."""
        self.lines.append("joined")

    def batch(self, partition: int, rows: int, letters: Sequence[DeadLetter], reason: Reason, seconds: float) -> None:
        """A batch was enriched."""
        dead = f" dead {len(letters)}" if letters else ""
        self.lines.append(f"batch {partition} {rows} {reason} {seconds:g}{dead}")

    def too_large(self, letters: Sequence[DeadLetter]) -> None:
        """Results turned out too large."""
        self.lines.append(f"too large {len(letters)}")

    def filtered(self, results: Sequence[Filtered]) -> None:
        """Events were kept from the model."""
        self.lines.append(f"filtered {len(results)}")

    def checkpoint(self, seconds: float) -> None:
        """A checkpoint was made."""
        self.lines.append(f"checkpoint {seconds:g}")

    def aborted(self, aborted: AbortedError) -> None:
        """What was written is undone."""
        self.lines.append(f"aborted {aborted} {sorted(aborted.culprits)}")

    def held(self, partition: int, position: int, hold: Hold) -> None:
        """A partition was stopped."""
        self.lines.append(f"held {partition} at {position}: {hold.why}")

    def released(self, partition: int) -> None:
        """A partition goes on."""
        self.lines.append(f"released {partition}")

    def lanes(self, partitions: Collection[int], change: Change) -> None:
        """Partitions came or went."""
        self.lines.append(f"{change} {sorted(partitions)}")

    def lag(self, lags: Mapping[int, Lag]) -> None:
        """How far lanes are behind."""
        self.lags = lags

    def beat(self, now: float) -> None:
        """The loop came round."""

    def told(self, word: str) -> list[str]:
        """Return the lines that begin with a word."""
        return [line for line in self.lines if line.startswith(word)]


def worker(
    broker: Broker,
    clock: Clock,
    *,
    made: BatchRule | None = None,
    checkpoint: float = 1.0,
    drain: float = 10.0,
    story: Observer | None = None,
    enrichers: Callable[[], Echo] = Echo,
    holds: HoldRule | None = None,
) -> Worker:
    """Make a worker that waits on the given clock alone."""
    return Worker(
        broker,
        enrichers,
        made or rule(),
        checkpoint=checkpoint,
        drain=drain,
        observer=story or Story(),
        holds=holds,
        clock=clock,
        sleep=clock.sleep,
    )
