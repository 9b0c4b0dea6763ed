"""`onelane run --workers`: what it takes, and how it starts workers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.cli import workers
from consumer.exits import ExitCode
from tests.support.command import onelane

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights" / "pipeline.yaml"


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "many", "", "²", "1025"])
def test_a_number_of_workers_is_a_number(number: str) -> None:
    """Anything else is told as any wrong argument is, before anything starts."""
    done = onelane("run", EXAMPLE, "--workers", number)
    assert done.returncode == ExitCode.PIPELINE
    assert b"expected a number from 1 to 1024, or auto" in done.stderr


def test_auto_is_a_worker_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a number is that number; without the option there is none, and no supervisor."""
    monkeypatch.setattr(workers, "cores", lambda: 7)
    read = [workers.how_many(None, None, text) for text in ("auto", "3", None)]  # type: ignore[arg-type]
    assert read == [7, 3, None]


def test_what_a_supervisor_tells_a_worker_is_no_business_of_users() -> None:
    """Its options are not in the help."""
    told = onelane("run", "--help").stdout
    assert b"--workers" in told
    assert b"--supervisor" not in told
    assert b"--listener" not in told


@pytest.mark.parametrize(
    ("before", "name"),
    [(["-m", "consumer"], "consumer/__main__.py"), (["-X", "dev", "/bin/onelane"], "/bin/onelane")],
)
def test_workers_are_started_as_the_supervisor_was(
    monkeypatch: pytest.MonkeyPatch, before: list[str], name: str
) -> None:
    """By the same interpreter, with all that stood before the command's own arguments."""
    monkeypatch.setattr(sys, "orig_argv", ["python3", *before, "run", "p.yaml"])
    monkeypatch.setattr(sys, "argv", [name, "run", "p.yaml"])
    assert workers._as_started() == [sys.executable, *before]


def test_a_worker_whose_supervisor_has_gone_does_not_start() -> None:
    """It would work on beside the next one's."""
    script = "from consumer.supervise.tie import end_with; end_with({}); print('runs')"
    for parent, code, said in ((os.getpid(), 0, b"runs\n"), (2**22 + 1, ExitCode.FORCED, b"")):
        done = subprocess.run([sys.executable, "-c", script.format(parent)], capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (code, said)
