"""The command line as a process of its own."""

import os
import pty
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def onelane(*arguments: str | Path, stdin: bytes = b"", timeout: float = 60) -> subprocess.CompletedProcess[bytes]:
    """Run `onelane` with the given arguments, and return what it did."""
    command = [sys.executable, "-m", "consumer", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=timeout, cwd=ROOT)


def on_a_terminal(*arguments: str | Path, stdout: bool = False) -> bytes:
    """Run `onelane` with stderr, and maybe stdout, on a terminal; return what that was sent."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "consumer", *map(str, arguments)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    out = theirs if stdout else subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:  # the other end is closed: how Linux says that a terminal has ended
            pass
        assert process.wait(30) == 0
    os.close(ours)
    return shown
