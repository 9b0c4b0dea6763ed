"""What this machine has: cores and memory that the process may use, and who else is at it."""

import os
import platform
import time
from pathlib import Path
from typing import Final

from consumer.operate.cores import cores
from consumer.operate.memory import limit
from consumer.plan.measured import Machine

_STAT: Final = Path("/proc/stat")
_MEMORY: Final = Path("/proc/meminfo")
_PROCESSOR: Final = Path("/proc/cpuinfo")
# Of the line `cpu` in /proc/stat: idle, and waiting for a disk.
_IDLE: Final = (3, 4)
# After these come the guests', which are in the first two already.
_COLUMNS: Final = 8


def this_machine(engine: str, busy: float) -> Machine:
    """Look at the machine.

    Args:
        engine: its name and version.
        busy: cores that others kept busy meanwhile.
    """
    return Machine(
        processor=_named(_read(_PROCESSOR), "model name") or platform.machine(),
        cores=cores(),
        memory=memory(),
        busy=round(busy, 2),
        python=platform.python_version(),
        engine=engine,
    )


def memory() -> int:
    """Return the bytes that this process may use; 0 where the system does not tell."""
    most, all_there_is = limit(), _kilobytes("MemTotal")
    return all_there_is if most is None else min(all_there_is, most)


def available() -> int:
    """Return the bytes that are free now; 0 where the system does not tell."""
    return min(_kilobytes("MemAvailable"), memory())


def _kilobytes(name: str) -> int:
    words = _named(_read(_MEMORY), name).split()
    return 1024 * int(words[0]) if words else 0


class Others:
    """How busy others keep the machine, from when this is made."""

    def __init__(self) -> None:
        self._before = _seconds()

    def busy(self) -> float:
        """Return the cores that others kept busy since then, on average; 0 where the system does not tell.

        Of this process's children only those count as its own that have ended.
        """
        wall, all_used, own = (now - then for now, then in zip(_seconds(), self._before, strict=True))
        return max(0.0, (all_used - own) / wall) if wall > 0 and all_used > 0 else 0.0


def _seconds() -> tuple[float, float, float]:
    """Return the wall's seconds, those of all processors that were used, and of these this process's own."""
    words = _read(_STAT).split("\n", 1)[0].split()[1 : 1 + _COLUMNS]
    used = sum(int(word) for place, word in enumerate(words) if place not in _IDLE) / os.sysconf("SC_CLK_TCK")
    own = os.times()
    return time.monotonic(), used, own.user + own.system + own.children_user + own.children_system


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
