"""``onelane enrich``: the same code path, without a broker."""

import logging
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

import click

from consumer.assembly import assemble
from consumer.cli.options import load_pipeline, pipeline_argument
from consumer.exits import PipelineError
from consumer.files import FileBroker, Form
from consumer.operate.figures import Figures
from consumer.operate.logs import set_up_logs
from consumer.worker import Worker

_NEVER = float("inf")


@click.command(name="enrich")
@pipeline_argument
@click.option(
    "--dead-letters",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Where dead letters go, as JSON lines; to stderr by default.",
)
def command(pipeline: Path, dead_letters: Path | None) -> None:
    """Enrich JSON lines from stdin to stdout.

    Events and records of other formats are base64, one a line. A batch is written when it has all of its rows, or
    when the input ends; batch.wait is for topics.
    """
    if sys.stdin is None or sys.stdout is None:
        raise PipelineError("stdin and stdout have to be open")
    set_up_logs(logging.WARNING)  # stderr is for dead letters
    assembly = assemble(load_pipeline(pipeline))
    spec = assembly.file.spec
    figures = Figures(time.monotonic)
    with ExitStack() as stack:
        dead: BinaryIO = sys.stderr.buffer if dead_letters is None else stack.enter_context(dead_letters.open("wb"))
        form = (_form(spec.input.format), _form(spec.output_format))
        broker = FileBroker(cast("BinaryIO", sys.stdin.buffer), sys.stdout.buffer, dead, form=form)
        worker = Worker(
            broker, assembly.enrichers(), assembly.rule, checkpoint=_NEVER, drain=_NEVER, observer=figures
        )
        worker.run(lambda: False)
    if dead_letters is not None or sys.stderr.isatty():
        click.echo(f"{figures.events} events, {figures.dead.total()} dead letters", err=True)


def _form(name: str) -> Form:
    return Form.TEXT if name == "json" else Form.BASE64
