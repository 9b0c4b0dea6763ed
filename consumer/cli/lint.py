"""``onelane lint``: all that can be known of a pipeline before a broker is asked."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson

from consumer.assembly import Assembly, assemble
from consumer.authoring.report import Report, UnreadableError, report
from consumer.authoring.sample import Fallen, Sample, Seen, look_at
from consumer.cli.options import load_pipeline, pipeline_argument
from consumer.cli.streams import opened
from consumer.exits import ExitCode, OnelaneError, PipelineError, RefusedError
from consumer.kafka.registry import CheckingRegistry
from consumer.pipeline.findings import Finding
from consumer.sources import Form, Lines
from consumer.types import Event, NotYetError

_SAMPLE = 10_000


@click.command(name="lint")
@pipeline_argument
@click.option(
    "--sample",
    "events",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="EVENTS",
    help="Events, as `onelane enrich` takes them: what would become of them, and what their fields hold.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=_SAMPLE, show_default=True, help="With --sample: how many."
)
@click.option("--strict", is_flag=True, help="With --sample: end with 5 for a dead letter or a warning too.")
@click.option("--json", "as_json", is_flag=True, help="Tell it for programs.")
def command(pipeline: Path, events: Path | None, limit: int, *, strict: bool, as_json: bool) -> None:
    """Check a pipeline file, its mapping against the model, and a sample of events if there is one.

    All findings at once, each with file, line and column.
    """
    found = _report(pipeline, as_json=as_json)
    if found.findings and not as_json:
        raise _error(found.code, found.source.report(found.findings))
    assembly, sample = None, None
    if not found.findings:
        try:
            assembly = assemble(load_pipeline(pipeline), CheckingRegistry)
            sample = None if events is None else _look(assembly, events, limit)
        except RefusedError as error:
            if not as_json:
                raise
            found.code = error.code
            found.findings.append(Finding((), str(error)))
    if as_json:
        click.echo(orjson.dumps(_json(found, assembly, sample), option=orjson.OPT_INDENT_2))
    elif assembly is not None:
        _tell(pipeline, found, assembly, sample, events)
    if found.findings:
        raise click.exceptions.Exit(found.code)
    if strict and sample is not None and (sample.warnings or sample.dead_letters):
        raise RefusedError(f"{len(sample.warnings)} warnings, {_dead(sample)} dead letters")


def _report(pipeline: Path, *, as_json: bool) -> Report:
    """Look at the file; for programs, one that can't be read is a finding as any."""
    try:
        return report(pipeline, os.environ)
    except UnreadableError as error:
        if not as_json:
            raise
        click.echo(orjson.dumps({"findings": [msgspec.to_builtins(error.told)]}, option=orjson.OPT_INDENT_2))
        raise click.exceptions.Exit(error.code) from None


def _error(code: ExitCode, words: str) -> OnelaneError:
    return PipelineError(words) if code is ExitCode.PIPELINE else RefusedError(words)


def _look(assembly: Assembly, path: Path, limit: int) -> Sample:
    form = Form.TEXT if assembly.file.spec.input.format == "json" else Form.BASE64
    with opened(path) as (lines, _, _):
        source = Lines(lines, str(path), form)
        try:
            return look_at(itertools.islice(_each(source), limit), assembly)
        except NotYetError as error:
            raise RefusedError(f"{path} can't be looked at: {error}") from None


def _each(source: Lines) -> Iterator[Event]:
    while events := source.read(256):
        yield from events


def _dead(sample: Sample) -> int:
    return sum(one.count for one in sample.dead_letters)


def _json(found: Report, assembly: Assembly | None, sample: Sample | None) -> dict[str, Any]:
    warnings = [] if sample is None else found.told(sample.warnings, "warning")
    told: dict[str, Any] = {"findings": msgspec.to_builtins([*found.told(found.findings, "error"), *warnings])}
    if assembly is not None:
        verdict = assembly.verdict
        told["model"] = {
            "label": assembly.model.label,
            "engine": f"{assembly.engine.name} {assembly.engine.version}",
            "batched": verdict.batched,
            "rows": verdict.rows,
            "row_seconds": verdict.row_seconds,
        }
        told["pipeline"] = assembly.file.label
    if sample is not None:
        told["sample"] = {
            "events": sample.events,
            "enriched": sample.enriched,
            **sample.filtered,
            "dead_letters": msgspec.to_builtins(sample.dead_letters),
            "fields": msgspec.to_builtins(sample.fields),
        }
    return told


def _tell(pipeline: Path, found: Report, assembly: Assembly, sample: Sample | None, events: Path | None) -> None:
    verdict, spec = assembly.verdict, assembly.file.spec
    how = "in batches" if verdict.batched else f"row by row, since {verdict.why}"
    click.echo(f"{pipeline}: fine")
    click.echo(f"model     {assembly.model.label}, {assembly.engine.name} {assembly.engine.version}, {how}")
    click.echo(
        f"batch     up to {verdict.rows} rows ({assembly.rule.full}), {1e6 * verdict.row_seconds:.3g} us a row"
    )
    click.echo(f"formats   {spec.input.format} -> {spec.output_format}")
    click.echo(f"topics    {spec.input.topic} -> {spec.output.topic}, dead letters to {spec.dead_letters.topic}")
    click.echo(
        "partition numbers and keys are kept where the output topic has as many partitions as the input; "
        "elsewhere keys are hashed (murmur2_random)"
    )
    if sample is None:
        return
    apart = "".join(f", {count:,} {what}" for what, count in sample.filtered.items())
    click.echo(
        f"sample    {events}: {sample.events:,} events, {sample.enriched:,} enriched, {_dead(sample):,} dead letters"
        f"{apart}"
    )
    for one in sample.dead_letters:
        click.echo(f"dead      {_fallen(one)}")
    for seen in sample.fields:
        click.echo(f"field     {_seen(seen)}")
    for warning in found.told(sample.warnings, "warning"):
        click.echo(f"{warning.path}:{warning.line}:{warning.column}: warning: {warning.field}: {warning.message}")


def _fallen(one: Fallen) -> str:
    field = f" of field {one.field}" if one.field else ""
    return f"{one.count:,} {one.cause}{field} ({one.stage}), first event {one.first:,}: {one.message}"


def _seen(seen: Seen) -> str:
    distinct = "over 1,000" if seen.distinct is None else f"{seen.distinct:,}"
    span = "" if seen.lowest is None else f", {seen.lowest:g} to {seen.highest:g}"
    missing = "never" if not seen.missing else f"in {seen.missing:.1%}"
    return f"{seen.field}: {distinct} different{span}; missing {missing}"
