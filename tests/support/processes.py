"""Processes and ports of tests."""

import secrets
import shutil
import socket
from contextlib import suppress

HOST = "127.0.0.1"


def killed_with_parent() -> list[str]:
    """A prefix with which the kernel kills the process when its parent dies; nothing where there is none."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def free_port() -> int:
    """A free port below the range from which the kernel gives ports to connections.

    Within that range, a client that keeps trying a broker which is down may be given the broker's own port
    and end up connected to itself, and the broker then can't start.
    """
    while True:
        port = 12_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
