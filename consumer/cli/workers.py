"""``onelane run --workers``: several workers of one pipeline on one machine."""

import sys
import time
from pathlib import Path
from typing import Final

import click
import structlog

from consumer.cli.options import load_pipeline
from consumer.cli.serving import serve
from consumer.exits import ExitCode
from consumer.operate.cores import cores
from consumer.operate.pulse import CALL_LIMIT
from consumer.supervise.front import SupervisorFront
from consumer.supervise.member import Member
from consumer.supervise.memory import Budgets
from consumer.supervise.signals import Signals
from consumer.supervise.supervisor import Supervisor

_log = structlog.get_logger()

AUTO: Final = "auto"
_MOST: Final = 1024


def how_many(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """Read a number of workers, or as many as there are cores for; a callback of options."""
    if text is None:
        return None
    if text == AUTO:
        return cores()
    if text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST:
        return int(text)
    raise click.BadParameter(f"expected a number from 1 to {_MOST}, or {AUTO}, got {text!r}")


def supervise(path: Path, workers: int, instance: str, *, release: bool) -> ExitCode:
    """Run so many workers of a pipeline file until a signal says stop, or one ends with what no restart can mend.

    Args:
        path: of the pipeline file.
        workers: how many.
        instance: their names in the group are this one with a number.
        release: whether their first starts release what is held.

    Raises:
        PipelineError: the pipeline file is wrong, or ``operate.http`` can't be served.
    """
    file = load_pipeline(path, clients=True)
    signals = Signals()
    budgets = Budgets(workers)
    stuck_after = float(file.spec.operate.stuck_after)
    members = [
        Member(
            number,
            f"{instance}-{number}",
            [*_as_started(), "run", str(path)],
            ["--release"] if release else [],
            serves=file.spec.operate.http is not None,
            heard=budgets.heard,
            limits=(max(stuck_after, CALL_LIMIT), stuck_after),
            clock=time.monotonic,
        )
        for number in range(workers)
    ]
    supervisor = Supervisor(members, file.spec.operate.shutdown_timeout, signals.wait)
    serve(file, SupervisorFront(file.spec.name, supervisor).pages)
    _log.info("supervising", workers=workers, cores=cores(), instances=[member.seen.instance for member in members])
    code = supervisor.run()
    _log.info("stopped", code=int(code))
    return code


def _as_started() -> list[str]:
    """Return the interpreter with all that was given before our own arguments: workers are started as this one was.

    ``-m consumer`` finds modules elsewhere than the installed command does.
    """
    ours = len(sys.orig_argv) - len(sys.argv) + 1
    return [sys.executable, *sys.orig_argv[1:ours]]
