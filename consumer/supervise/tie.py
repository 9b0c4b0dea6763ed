"""Ties a worker's life to that of its supervisor: it ends with it, and tells it that it lives."""

import ctypes
import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from consumer.exits import ExitCode
from consumer.supervise.silence import STARTING, WORKING

# <linux/prctl.h>
_PR_SET_PDEATHSIG: Final = 1

# Has a worker write its stacks to its log, from C: also where a thread hangs with Python's global lock.
STACKS: Final = signal.SIGUSR1


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, and end it now if that has happened already.

    Linux only; elsewhere workers outlive a supervisor that is killed, and the next one's take over from them.

    Args:
        parent: process id of the supervisor.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(ExitCode.FORCED)


def heart(descriptor: int, starting: Callable[[], bool]) -> Callable[[], None]:
    """Return what writes a sign of life; the worker's watchdog does, for as long as any thread of it can run.

    Args:
        descriptor: of the pipe that the supervisor reads; not passed on to what this process starts.
        starting: whether the worker still starts.
    """
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - the standard library's own
    os.set_blocking(descriptor, False)
    faulthandler.register(STACKS)

    def beat() -> None:
        # Full, while the supervisor stands still; gone, where the kernel does not end this process with it.
        with suppress(OSError):
            os.write(descriptor, STARTING if starting() else WORKING)

    return beat
