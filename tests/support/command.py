"""The command line as a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def onelane(*arguments: str | Path, stdin: bytes = b"", timeout: float = 60) -> subprocess.CompletedProcess[bytes]:
    """Run `onelane` with the given arguments, and return what it did."""
    command = [sys.executable, "-m", "consumer", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=timeout, cwd=ROOT)
