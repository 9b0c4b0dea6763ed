"""What a worker may come to take: added up at the start from settings and the model, and told in the start line."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

# What librdkafka and Python keep of an event or record beside its bytes, as measured and as allowed for; and the
# smallest that brokers deliver.
USUAL_OVERHEAD: Final = 230
OVERHEAD: Final = 512
SMALLEST: Final = 70

_STATUS: Final = Path("/proc/self/statm")
_PAGE: Final = 4096
# Of the container's own group, as it sees itself; version 1 writes a huge number for none.
_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_NO_LIMIT: Final = 1 << 60
# How many things are made at most to find out what one takes, for how many seconds and bytes: what they take is not
# given back to the system. And what is added for what does not show.
_SAMPLES: Final = 16
_PATIENCE: Final = 0.3
_ENOUGH: Final = 8 * 1024 * 1024
_MARGIN: Final = 1.25
_LEAST: Final = 128 * 1024
# What a batch takes while it is worked on, for each byte of it: decoded fields, tensors, outputs, results.
_WORK: Final = 4


class Buffers(msgspec.Struct, frozen=True):
    """What the clients may hold, in bytes of events and records, and in how many of them.

    Attributes:
        consumer: bytes fetched ahead.
        events: how many these may be.
        producer: bytes not delivered yet.
        records: how many these may be.
    """

    consumer: int
    events: int
    producer: int
    records: int

    @property
    def total(self) -> int:
        """Bytes with what comes with each event and record."""
        return self.consumer + self.producer + OVERHEAD * (self.events + self.records)


class Budget(msgspec.Struct, frozen=True):
    """Bytes that a worker takes at most, whatever the backlog.

    Attributes:
        process: what it took when this was computed: code, libraries, the model.
        buffers: what the clients hold.
        open_events: what lanes hold.
        work: one batch while it is enriched.
        lanes: all interpreters, if it gets all partitions.
    """

    process: int
    buffers: int
    open_events: int
    work: int
    lanes: int

    @property
    def total(self) -> int:
        """The sum, in bytes."""
        return self.process + self.buffers + self.open_events + self.work + self.lanes


def budget(buffers: Buffers, open_bytes: int, batch_bytes: int, interpreters: int, interpreter_bytes: int) -> Budget:
    """Add up, for this process as it is now.

    Args:
        buffers: of the clients.
        open_bytes: the most that lanes hold together before the worker takes in one event a turn.
        batch_bytes: the most bytes of a batch.
        interpreters: how many there may be.
        interpreter_bytes: what each takes.
    """
    return Budget(
        process=resident(),
        buffers=buffers.total,
        # What is taken in one poll was in the client's queue, which fills again.
        open_events=open_bytes + buffers.consumer + OVERHEAD * buffers.events,
        work=_WORK * batch_bytes,
        lanes=interpreters * interpreter_bytes,
    )


def cost(make: Callable[[], object]) -> int:
    """Return the bytes that one of several things takes, by making some and keeping them for that long.

    The most that one took counts: others may have found room in what had been given back before.
    """
    kept = [make()]  # the first one may bring along what is needed once
    began, before = time.monotonic(), resident()
    most, now = 0, before
    while len(kept) <= _SAMPLES and time.monotonic() - began < _PATIENCE and now - before < _ENOUGH:
        kept.append(make())
        last, now = now, resident()
        most = max(most, now - last)
    return round(_MARGIN * most) + _LEAST


def limit(files: Iterable[Path] = _LIMITS) -> int | None:
    """Return the bytes that the container may take (cgroup v2, or v1); None where there is no limit.

    https://docs.kernel.org/admin-guide/cgroup-v2.html, memory.max.
    """
    for file in files:
        with suppress(OSError, ValueError):  # "max" is no limit
            most = int(file.read_text())
            return most if most < _NO_LIMIT else None
    return None


def resident() -> int:
    """Return the bytes that this process takes now; 0 where the system does not tell."""
    try:
        return int(_STATUS.read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0
