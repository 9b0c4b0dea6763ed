"""What this machine has: cores and memory that the process may use, and who else is at it."""

import os
import platform
import time
from pathlib import Path
from typing import Final

from consumer.plan.shape import Machine

_STAT: Final = Path("/proc/stat")
_MEMORY: Final = Path("/proc/meminfo")
_PROCESSOR: Final = Path("/proc/cpuinfo")
# Of the second version of control groups, which is what containers see of their own.
_CPU_LIMIT: Final = Path("/sys/fs/cgroup/cpu.max")
_MEMORY_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
_LOOK: Final = 0.3
# Of the line `cpu` in /proc/stat: idle, and waiting for a disk.
_IDLE: Final = (3, 4)
# After these come the guests', which are in the first two already.
_COLUMNS: Final = 8


def this_machine(engine: str) -> Machine:
    """Look at the machine; takes a third of a second.

    Args:
        engine: its name and version.
    """
    return Machine(
        processor=_named(_read(_PROCESSOR), "model name") or platform.machine(),
        cores=cores(),
        memory=memory(),
        busy=round(_busy(), 2),
        python=platform.python_version(),
        engine=engine,
    )


def cores() -> int:
    """Return how many cores this process may use: those it is bound to, and what its control group allows."""
    bound = len(os.sched_getaffinity(0))
    quota, _, period = _read(_CPU_LIMIT).partition(" ")
    if not quota.isdecimal() or not period.strip().isdecimal():
        return bound
    return max(1, min(bound, -(-int(quota) // int(period))))


def memory() -> int:
    """Return the bytes that this process may use; 0 where the system does not tell."""
    limit = _read(_MEMORY_LIMIT).strip()
    all_there_is = _kilobytes("MemTotal")
    return min(all_there_is, int(limit)) if limit.isdecimal() else all_there_is


def available() -> int:
    """Return the bytes that are free now; 0 where the system does not tell."""
    return min(_kilobytes("MemAvailable"), memory())


def _kilobytes(name: str) -> int:
    words = _named(_read(_MEMORY), name).split()
    return 1024 * int(words[0]) if words else 0


def _busy() -> float:
    """Return how many cores were busy while this process slept."""
    before = _times()
    time.sleep(_LOOK)
    taken = [now - then for now, then in zip(_times(), before, strict=True)]
    if not sum(taken):
        return 0.0
    share = 1 - sum(taken[place] for place in _IDLE) / sum(taken)
    return max(0.0, share * (os.cpu_count() or 1))


def _times() -> list[int]:
    words = _read(_STAT).split("\n", 1)[0].split()[1 : 1 + _COLUMNS]
    return [int(word) for word in words] if len(words) == _COLUMNS else [0] * _COLUMNS


def _named(text: str, name: str) -> str:
    """Return what stands behind a name in lines of ``name: value``."""
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
