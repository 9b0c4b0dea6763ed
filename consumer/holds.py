"""Holding partitions: by the guard, by an earlier owner's note, for refused records, for schemas that can't be had.

A held partition is paused, its offset stays where it is, and the others go on. Nothing of it is dropped, ever.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from consumer.broker import Broker
from consumer.guard import Guard, Limits, Trip
from consumer.hold import Hold, HoldKind, read_note, write_note
from consumer.lane import Lane
from consumer.observer import Observer
from consumer.types import Notes, Positions, Result

# A record that was refused so often at one offset is not going to be taken,
_ABORTS: Final = 3
# but a topic's settings may be mended: it is tried again after so many seconds.
_RETRY: Final = 60.0
# What can't be read yet is tried again after this, doubled each time up to the longest, in seconds.
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 5.0


class HoldRule(msgspec.Struct, frozen=True):
    """When partitions are held, and what lets them go.

    Attributes:
        limits: how many dead letters are too many.
        serving: names model, mapping and limits; a partition that was held under the same name is held again.
        release: let go, once each, partitions that are found held.
        leave: end once a hold is durable.
    """

    limits: Limits = msgspec.field(default_factory=Limits)
    serving: str = ""
    release: bool = False
    leave: bool = False


class Holds:
    """The guards of a worker's lanes, and which of these are held.

    Args:
        rule: when to hold.
        broker: pauses, and keeps notes with offsets.
        observer: is told.
        clock: monotonic seconds.
    """

    def __init__(self, rule: HoldRule, broker: Broker, observer: Observer, clock: Callable[[], float]) -> None:
        self._rule = rule
        self._broker = broker
        self._observer = observer
        self._clock = clock
        self._guards: dict[int, Guard] = {}
        # Held by the guard; of these, not durable yet, with what is to be committed: offset and note.
        self._guarded: dict[int, Hold] = {}
        self._fresh: dict[int, tuple[int, str]] = {}
        # Partition -> (offset, aborts there that its own records caused), and when a refused one is tried again.
        self._aborts: dict[int, tuple[int, int]] = {}
        self._retry_at: dict[int, float] = {}
        # Partition -> the pause after which what could not be read is tried again; told as held all the while.
        self._unread: dict[int, float] = {}
        # Released by --release, each once: for good when that is committed, until then in the other.
        self._released: set[int] = set()
        self._releasing: set[int] = set()

    def open(self, lane: Lane, metadata: str) -> None:
        """Take in a lane with what was committed beside its offset: held by the same pipeline, it is held at once.

        Else each takeover would let another run of dead letters through.
        """
        partition = lane.partition
        self._guards[partition] = Guard(self._rule.limits)
        note = read_note(metadata)
        if note is None:
            return
        if note.by != self._rule.serving or (self._rule.release and partition not in self._released):
            self._releasing.add(partition)
            self._observer.released(partition)
            return
        hold = Hold(HoldKind.GUARD, f"{note.why}, since {note.since}", note.cause)
        self._guarded[partition] = hold
        self._stop(lane, lane.position, hold, metadata)

    def drop(self, partitions: Collection[int]) -> None:
        """Forget lanes that went."""
        self._releasing.difference_update(partitions)
        for partition in partitions:
            for known in (self._guards, self._guarded, self._fresh, self._aborts, self._retry_at, self._unread):
                known.pop(partition, None)

    def foresee(self, lane: Lane, dead: Mapping[int, str], now: float) -> Trip | None:
        """Return where a batch with these dead letters (row -> cause) would be too much."""
        return self._guards[lane.partition].foresee(dead, now)

    def count(
        self, lane: Lane, written: Sequence[Result], dead: Mapping[int, str], now: float, cut: Trip | None
    ) -> None:
        """Count what was written of a batch, and hold the lane after it if that is too much.

        Args:
            lane: whose batch it is.
            written: its results.
            dead: row -> cause of its dead letters.
            now: as it was foreseen with.
            cut: what was foreseen. Where a batch was cut the lane is held in any case: what comes after is not in it.
        """
        trip = self._guards[lane.partition].count(len(written), dead, now) or cut
        if trip is None:
            return
        hold = Hold(HoldKind.GUARD, trip.why, trip.cause)
        note = write_note(hold, self._rule.serving, datetime.now(UTC).isoformat(timespec="seconds"))
        after = written[-1].event.offset() + 1
        self._guarded[lane.partition] = hold
        self._fresh[lane.partition] = (after, note)
        self._stop(lane, after, hold, note)

    def refused(self, lane: Lane) -> None:
        """Count an abort that a record of the lane caused, and hold the lane rather than spin."""
        offset, aborts = self._aborts.get(lane.partition, (lane.position, 0))
        aborts = aborts + 1 if offset == lane.position else 1
        self._aborts[lane.partition] = (lane.position, aborts)
        if aborts >= _ABORTS:
            self._unread.pop(lane.partition, None)  # that it waited for the registry too is told again
            self._retry_at[lane.partition] = self._clock() + _RETRY
            self._stop(lane, lane.position, Hold(HoldKind.REFUSED, f"{aborts} aborts at one offset"))

    def unread(self, lane: Lane, position: int, why: str) -> None:
        """Hold a lane at an event that can't be read yet; it is told once, however often it is tried again."""
        pause = self._unread.get(lane.partition)
        self._unread[lane.partition] = _FIRST_PAUSE if pause is None else min(2 * pause, _LONGEST_PAUSE)
        self._retry_at[lane.partition] = self._clock() + self._unread[lane.partition]
        lane.hold(position)
        self._broker.hold(lane.partition)
        if pause is None:
            self._observer.held(lane.partition, position, Hold(HoldKind.REGISTRY, why))

    def stopped(self, lane: Lane, why: str) -> None:
        """Hold a lane that the broker can't read on; what is open of it is still to be enriched."""
        if lane.held:  # why it was, is what is told
            return
        lane.stop()
        self._unread.pop(lane.partition, None)  # the registry's answer lets it go no more
        self._observer.held(lane.partition, lane.end, Hold(HoldKind.OFFSET_GONE, why))

    def read(self, partition: int) -> None:
        """Note that events of a partition could be read."""
        if self._unread.pop(partition, None) is not None:
            self._observer.released(partition)

    def retry(self, lanes: Mapping[int, Lane]) -> None:
        """Try again, once in a while, what the broker refused and what could not be read."""
        if not self._retry_at:
            return
        now = self._clock()
        for partition in [partition for partition, when in self._retry_at.items() if when <= now]:
            del self._retry_at[partition]
            if partition in self._unread:
                self._read_on(lanes[partition])
            else:
                self._release(lanes[partition])

    def durable(self) -> None:
        """Note that a checkpoint was made."""
        for guard in self._guards.values():
            guard.mark()
        self._fresh.clear()
        self._released |= self._releasing
        self._releasing.clear()

    def undone(self, lanes: Mapping[int, Lane], positions: Positions, notes: Notes) -> None:
        """Count anew what comes again, and let go what was held for dead letters that were undone.

        A commit may have gone through though its producer never learned it: then the hold is among what is committed.
        """
        for guard in self._guards.values():
            guard.rewind()
        for partition in self._fresh.keys() & positions.keys():
            offset, note = self._fresh.pop(partition)
            if (positions[partition], notes.get(partition)) != (offset, note):
                del self._guarded[partition]
                self._release(lanes[partition])

    @property
    def leaving(self) -> str:
        """Why the process is to end: a hold that is durable, where such ends it; empty where there is none."""
        if not self._rule.leave:
            return ""
        durable = sorted(self._guarded.keys() - self._fresh.keys())
        return "; ".join(f"partition {p} is held: {self._guarded[p].why}" for p in durable)

    def _stop(self, lane: Lane, position: int, hold: Hold, note: str = "") -> None:
        lane.hold(position)
        self._broker.hold(lane.partition, note)
        self._observer.held(lane.partition, position, hold)

    def _release(self, lane: Lane) -> None:
        # Told before: reading on may find that there is nothing to read on from, or be aborted.
        self._observer.released(lane.partition)
        self._read_on(lane)

    def _read_on(self, lane: Lane) -> None:
        lane.release()
        self._broker.release(lane.partition, lane.position)
