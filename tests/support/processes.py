"""Processes and ports of tests."""

import os
import secrets
import shutil
import socket
from contextlib import suppress

HOST = "127.0.0.1"

# Ports below the range from which the kernel gives ports to connections (32768 on Linux), in shares: what one process
# of pytest-xdist found free, another would find free too until a broker listens there, seconds later.
_FIRST_PORT = 12_000
_SHARE = 2_500
_SHARES = 8
_given: set[int] = set()


def killed_with_parent() -> list[str]:
    """A prefix with which the kernel kills the process when its parent dies; nothing where there is none."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def free_port() -> int:
    """A free port that was not given before, below the range from which the kernel gives ports to connections.

    Within that range, a client that keeps trying a broker which is down may be given the broker's own port
    and end up connected to itself, and the broker then can't start.
    """
    share = int(os.environ.get("PYTEST_XDIST_WORKER", f"gw{_SHARES - 1}").removeprefix("gw")) % _SHARES
    while True:
        port = _FIRST_PORT + share * _SHARE + secrets.randbelow(_SHARE)
        with socket.socket() as probe, suppress(OSError):
            if port not in _given:
                probe.bind((HOST, port))
                _given.add(port)
                return port
