"""Ties a worker's life to that of its supervisor."""

import ctypes
import os
import signal
import sys
from typing import Final

from consumer.exits import ExitCode

# <linux/prctl.h>
_PR_SET_PDEATHSIG: Final = 1


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
