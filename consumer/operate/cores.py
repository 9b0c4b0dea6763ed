"""How many cores this process may use, whatever the machine has."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

# Of the container's own group, as it sees itself: version 2, then the two files of version 1.
# https://docs.kernel.org/admin-guide/cgroup-v2.html, cpu.max; https://docs.kernel.org/scheduler/sched-bwc.html
_QUOTAS: Final = (
    (Path("/sys/fs/cgroup/cpu.max"),),
    (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")),
)


def cores() -> int:
    """Return how many cores this process may use: those it is bound to, and what its control group allows.

    A quota is rounded down, to one at least: a thread on a part of a core would stand still in each period.
    """
    bound = len(os.sched_getaffinity(0))
    allowed = quota()
    return bound if allowed is None else max(1, min(bound, int(allowed)))


def quota(files: Iterable[tuple[Path, ...]] = _QUOTAS) -> float | None:
    """Return the cores that the container may use (cgroup v2, or v1); None where there is no quota."""
    for paths in files:
        try:
            words = " ".join(path.read_text(encoding="ascii") for path in paths).split()
        except (OSError, UnicodeDecodeError):
            continue
        match words:
            case [most, period] if most.isdecimal() and period.isdecimal() and int(period):
                return int(most) / int(period)
            case _:  # "max" or -1: no quota
                return None
    return None
