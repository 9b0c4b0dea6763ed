"""``onelane test``: the pipeline's cases, without a broker."""

import io
import logging
import os
from contextlib import nullcontext
from pathlib import Path

import click

from consumer.assembly import assemble
from consumer.cases.judge import Judged, judge
from consumer.cases.junit import junit
from consumer.cases.record import record
from consumer.cli.options import load_pipeline, pipeline_argument
from consumer.cli.streams import keep_apart, sampled, written
from consumer.exits import PipelineError, RefusedError
from consumer.formats import record_reader
from consumer.operate.logs import set_up_logs
from consumer.pipeline.cases import ENDING, Placed, beside, from_pipeline, read_cases
from consumer.pipeline.load import PipelineFile
from consumer.sources import Form

_file = click.Path(dir_okay=False, path_type=Path)


@click.command(name="test")
@pipeline_argument
@click.option("--junit", "report", type=_file, metavar="FILE", help="Write the outcome as JUnit XML too.")
@click.option(
    "--record", "recorded", type=_file, metavar="FILE", help=f"Write cases from events instead; ends in {ENDING}."
)
@click.option("--sample", type=_file, metavar="EVENTS", help="With --record: events, as `onelane enrich` takes them.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="With --record: how many.")
def command(pipeline: Path, report: Path | None, recorded: Path | None, sample: Path | None, limit: int) -> None:
    """Run the cases of a pipeline: those under `tests` in its file, and in PIPELINE.case.yaml beside it.

    Ends with 5 where one is not as expected.
    """
    set_up_logs(logging.WARNING)
    file = load_pipeline(pipeline)
    keep_apart([pipeline, sample, *file.files], [report, recorded])
    if recorded is not None or sample is not None:
        _record(file, recorded, sample, limit)
        return
    placed, cases = from_pipeline(file.spec.tests, file.source), beside(pipeline)
    keep_apart(cases, [report])
    for path in cases:
        placed += read_cases(path, os.environ)
    if not placed:
        raise PipelineError(
            f"{pipeline}: no cases: add `tests` to it, or a {pipeline.stem}{ENDING} beside it; "
            "--record makes them from events"
        )
    _tell(file, placed, report)


def _tell(file: PipelineFile, placed: list[Placed], report: Path | None) -> None:
    with nullcontext() if report is None else written(report) as out:  # before the cases: they may take minutes
        assembly = assemble(file)
        read = record_reader(file.spec, assembly.formats)
        judged = judge(placed, assembly.enrichers()().enrich, read, file.spec.input.format)
        if out is not None:
            out.write(junit(file.spec.name, judged))
    failed = [one for one in judged if one.differences]
    for one in failed:
        click.echo(_words(one))
    click.echo(f"{len(judged) - len(failed)} of {len(judged)} cases are as expected")
    if failed:
        raise RefusedError(f"{len(failed)} of {len(judged)} cases are not as expected")


def _words(one: Judged) -> str:
    lines = "".join(f"\n  {difference}" for difference in one.differences)
    return f"{one.placed}: {one.placed.case.name}{lines}"


def _record(file: PipelineFile, recorded: Path | None, sample: Path | None, limit: int) -> None:
    if recorded is None or sample is None:
        raise PipelineError("--record wants --sample, the events to make cases from, and --sample wants --record")
    if not recorded.name.endswith(ENDING):
        raise PipelineError(f"--record {recorded}: the name has to end in {ENDING}, or the cases would not be found")
    if recorded.exists():
        raise PipelineError(f"--record {recorded}: the file exists, and cases are not to be lost")
    assembly, name = assemble(file), file.spec.input.format
    read = record_reader(file.spec, assembly.formats)
    events = list(sampled(sample, name, limit))
    if not events:
        raise PipelineError(f"{sample}: no events")
    with written(recorded) as raw, io.TextIOWrapper(raw, "utf-8") as out:
        count = record(events, assembly.enrichers()().enrich, read, out, Form.of(name))
    click.echo(f"{recorded}: {count} cases; look through them: what the pipeline says today need not be right")
