"""``onelane plan``: how many replicas, threads and rows, by measuring."""

import logging
import math
import re
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from consumer.assembly import Assembly, assemble
from consumer.cli.options import load_pipeline, pipeline_argument
from consumer.cli.printed import Printed
from consumer.cli.streams import keep_apart, sampled, written
from consumer.exits import PipelineError, RefusedError
from consumer.kafka.registry import CheckingRegistry
from consumer.operate.logs import set_up_logs
from consumer.pipeline.units import Duration
from consumer.plan.events import made_up, unfiltered
from consumer.plan.measure import Subject, Told
from consumer.plan.measured import MADE_UP
from consumer.plan.page import page
from consumer.plan.plan import make_plan
from consumer.plan.report import show
from consumer.plan.shape import Wanted
from consumer.plan.words import as_json
from consumer.types import Event, NotYetError

_SAMPLE: Final = 10_000
_RATE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*([smhd])")
_PER: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
# Beyond these, a figure is a slip of the keyboard, and what follows from it does not fit a program's numbers.
_RATES: Final = (1e-6, 1e9)
_LONGEST: Final = 7 * 86_400.0
_MOST_PARTITIONS: Final = 1_000_000
_MOST_BROKERS: Final = 10_000
_STDOUT: Final = "-"
# Of tables that go into a file.
_WIDTH: Final = 140
_file = click.Path(dir_okay=False, path_type=Path)


def rate(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Read a rate such as 20000/s; a callback of options."""
    if text is None:
        return None
    match = _RATE.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise click.BadParameter(f"expected events a second, minute, hour or day, such as 20000/s, got {text!r}")
    a_second, (least, most) = float(match[1]) / _PER[match[2]], _RATES
    if not least <= a_second <= most:
        raise click.BadParameter(f"must be within {least:g} and {most:,.0f} events a second")
    return a_second


def duration(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Read a time such as 60s; a callback of options."""
    if text is None:
        return None
    try:
        seconds = Duration.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if not 0 < seconds <= _LONGEST:
        raise click.BadParameter("must be more than nothing, and a week at most")
    return float(seconds)


def number(_: click.Context, __: click.Parameter, value: float) -> float:
    """Refuse what only compares as a number does; a callback of options."""
    if math.isnan(value):
        raise click.BadParameter("nan is no number")
    return value


def no_stdout(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """Refuse what would be a file of that name; a callback of options."""
    if path == Path(_STDOUT):
        raise click.BadParameter("expected a file's name; only --json can go to stdout")
    return path


@click.command(name="plan")
@pipeline_argument
@click.option(
    "--rate",
    "ordinary",
    required=True,
    callback=rate,
    metavar="N/s",
    help="Events on an ordinary day; or /m, /h, /d.",
)
@click.option("--peak", callback=rate, metavar="N/s", help="Events at the worst; by default as --rate.")
@click.option(
    "--drain",
    callback=duration,
    metavar="TIME",
    default="60s",
    show_default=True,
    help="Within which a backlog is to be gone.",
)
@click.option(
    "--sample",
    type=_file,
    metavar="EVENTS",
    help=f"Events, as `onelane enrich` takes them, {_SAMPLE:,} of them at most; made up by default.",
)
@click.option(
    "--compare",
    "others",
    type=_file,
    multiple=True,
    metavar="PIPELINE.YAML",
    help="Another pipeline for the same events, with an int8 model, say; may be given more than once.",
)
@click.option(
    "--partitions",
    type=click.IntRange(1, _MOST_PARTITIONS),
    metavar="N",
    help="That the topic has, if it is there.",
)
@click.option(
    "--brokers", type=click.IntRange(1, _MOST_BROKERS), default=3, show_default=True, help="For the memory budget."
)
@click.option(
    "--overhead",
    callback=duration,
    metavar="TIME",
    help="What Kafka's clients cost an event, such as 5us; measured once, by this machine's speed.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 600),
    callback=number,
    default=40,
    show_default=True,
    help="That measuring may take.",
)
@click.option("--json", "json_file", metavar="FILE", help="Write it for programs; - is stdout, and no tables then.")
@click.option(
    "--html", "html_file", type=_file, callback=no_stdout, metavar="FILE", help="Write it as a page with plots."
)
def command(
    pipeline: Path,
    *,
    ordinary: float,
    peak: float | None,
    drain: float,
    sample: Path | None,
    others: tuple[Path, ...],
    partitions: int | None,
    brokers: int,
    overhead: float | None,
    seconds: float,
    json_file: str | None,
    html_file: Path | None,
) -> None:
    """Measure model and pipeline on this machine, and say what to deploy for a rate.

    Batches, replicas, threads, memory, and the autoscaler's numbers; docs/scaling.md has the formulae.
    """
    if peak is not None and peak < ordinary:
        raise click.BadParameter("the peak is below --rate", param_hint="--peak")
    json_path = None if json_file in (None, _STDOUT) else Path(str(json_file))
    set_up_logs(logging.WARNING)
    began = time.perf_counter()
    file = load_pipeline(pipeline)
    files = {path: load_pipeline(path) for path in others}
    read = [path for one in (file, *files.values()) for path in one.files]
    keep_apart([pipeline, sample, *others, *read], [json_path, html_file])
    assembly = assemble(file, CheckingRegistry)
    loaded = time.perf_counter() - began
    compared = {str(path): assemble(other, CheckingRegistry) for path, other in files.items()}
    if sample is None:
        compared = {path: unfiltered(other) for path, other in compared.items()}
        subject = Subject(unfiltered(assembly), made_up(assembly), MADE_UP, loaded, brokers, compared)
    else:
        subject = Subject(assembly, _events(assembly, sample), str(sample), loaded, brokers, compared)
    wanted = Wanted(ordinary, peak or ordinary, drain, partitions, brokers, 0.0)
    kafka_us = None if overhead is None else 1e6 * overhead
    with _opened(json_path) as json_out, _opened(html_file) as html_out:
        try:
            with _progress() as told:
                plan = make_plan(subject, wanted, kafka_us, seconds, told)
        except NotYetError as error:
            raise RefusedError(f"{subject.source} can't be enriched: {error}") from None
        if json_out is not None:
            json_out.write(f"{as_json(plan)}\n".encode())
        if html_out is not None:
            html_out.write(page(plan).encode())
    if json_file == _STDOUT:
        click.echo(as_json(plan))
    else:
        show(plan, Printed(width=None if sys.stdout.isatty() else _WIDTH))


def _events(assembly: Assembly, path: Path) -> list[Event]:
    events = list(sampled(path, assembly.file.spec.input.format, _SAMPLE))
    if not events:
        raise PipelineError(f"--sample {path}: there are no events in it")
    return events


def _opened(path: Path | None) -> AbstractContextManager[BinaryIO | None]:
    """Open a file before a minute is spent on what goes into it."""
    return nullcontext() if path is None else written(path)


@contextmanager
def _progress() -> Iterator[Told]:
    """Show a bar on stderr, if that is a terminal; it moves between measurements only, and so disturbs none."""
    console = Console(stderr=True)
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns, console=console, transient=True, auto_refresh=False, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=1.0)

        def told(part: float, words: str) -> None:
            bar.update(task, completed=part, description=words, refresh=True)

        yield told
