"""``onelane lint``: all that can be known of a pipeline before a broker is asked."""

import logging
import os
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson

from consumer.assembly import Assembly, assemble
from consumer.authoring.report import Report, Told, UnreadableError, report
from consumer.authoring.sample import Fallen, Sample, Seen, look_at
from consumer.cli.options import load_pipeline, pipeline_argument
from consumer.cli.streams import sampled
from consumer.exits import ExitCode, OnelaneError, PipelineError, RefusedError
from consumer.kafka.registry import CheckingRegistry
from consumer.operate.logs import set_up_logs
from consumer.pipeline.findings import Finding, MisfitsError
from consumer.shape import strangers
from consumer.types import NotYetError

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
@click.option("--strict", is_flag=True, help="End with 5 for a dead letter of the sample or a warning too.")
@click.option("--json", "as_json", is_flag=True, help="Tell it for programs.")
def command(pipeline: Path, events: Path | None, limit: int, *, strict: bool, as_json: bool) -> None:
    """Check a pipeline file, its mapping against the model, and a sample of events if there is one.

    All findings at once, each with file, line and column.
    """
    set_up_logs(logging.WARNING)
    found = _report(pipeline, as_json=as_json)
    if found.findings and not as_json:
        raise _error(found)
    looked = _Looked()
    if not found.findings:
        try:
            _look_closer(looked, pipeline, events, limit)
        except MisfitsError as error:
            found.code = error.code
            found.findings += error.findings
        except OnelaneError as error:
            if not as_json:
                raise
            _add(found, error.code, str(error))
    if looked.sample is not None and _is_hopeless(looked.sample):
        _add(found, ExitCode.REFUSED, f"all {looked.sample.events:,} events of the sample would be dead letters")
    if as_json:
        click.echo(orjson.dumps(_json(found, looked), option=orjson.OPT_INDENT_2))
    elif looked.assembly is not None:
        _tell(pipeline, looked.assembly, looked.sample, events, len(looked.warnings))
        for warning in found.told(looked.warnings, "warning"):
            click.echo(_warned(warning))
    _end(found, looked, strict=strict, as_json=as_json)


class _Looked(msgspec.Struct):
    """What was seen of a pipeline file that is fine."""

    assembly: Assembly | None = None
    sample: Sample | None = None
    warnings: list[Finding] = []


def _look_closer(looked: _Looked, pipeline: Path, events: Path | None, limit: int) -> None:
    """Open the model, and look at the sample."""
    looked.assembly = assemble(load_pipeline(pipeline), CheckingRegistry)
    looked.warnings += _strange(looked.assembly)
    if events is not None:
        looked.sample = _look(looked.assembly, events, limit)
        looked.warnings += looked.sample.warnings


def _add(found: Report, code: ExitCode, words: str) -> None:
    found.code = code
    found.findings.append(Finding((), words))


def _end(found: Report, looked: _Looked, *, strict: bool, as_json: bool) -> None:
    if found.findings and as_json:
        raise click.exceptions.Exit(found.code)
    if found.findings:
        raise _error(found)
    dead = 0 if looked.sample is None else _dead(looked.sample)
    if strict and (looked.warnings or dead):
        raise RefusedError(f"{len(looked.warnings)} warnings, {dead} dead letters")


def _report(pipeline: Path, *, as_json: bool) -> Report:
    """Look at the file; for programs, one that can't be read is a finding as any."""
    try:
        return report(pipeline, os.environ)
    except UnreadableError as error:
        if not as_json:
            raise
        click.echo(orjson.dumps({"findings": [msgspec.to_builtins(error.told)]}, option=orjson.OPT_INDENT_2))
        raise click.exceptions.Exit(error.code) from None


def _error(found: Report) -> OnelaneError:
    words = found.source.report(found.findings)
    return PipelineError(words) if found.code is ExitCode.PIPELINE else RefusedError(words)


def _look(assembly: Assembly, path: Path, limit: int) -> Sample:
    try:
        sample = look_at(sampled(path, assembly.file.spec.input.format, limit), assembly)
    except NotYetError as error:
        raise RefusedError(f"{path} can't be looked at: {error}") from None
    if not sample.events:
        raise PipelineError(f"{path}: no events")
    return sample


def _is_hopeless(sample: Sample) -> bool:
    return not sample.enriched and not sum(sample.filtered.values())


def _strange(assembly: Assembly) -> list[Finding]:
    """Find fields that the events' schema of a registry lacks: a later schema may have them."""
    spec, schema = assembly.file.spec, assembly.formats.event
    return strangers(spec, schema) if schema is not None and spec.registry else []


def _dead(sample: Sample) -> int:
    return sum(one.count for one in sample.dead_letters)


def _json(found: Report, looked: _Looked) -> dict[str, Any]:
    assembly, sample = looked.assembly, looked.sample
    findings = [*found.told(found.findings, "error"), *found.told(looked.warnings, "warning")]
    told: dict[str, Any] = {"findings": msgspec.to_builtins(findings)}
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


def _tell(pipeline: Path, assembly: Assembly, sample: Sample | None, events: Path | None, warnings: int) -> None:
    verdict, spec = assembly.verdict, assembly.file.spec
    how = "in batches" if verdict.batched else f"row by row, since {verdict.why}"
    but = "" if not warnings else ", 1 warning" if warnings == 1 else f", {warnings} warnings"
    click.echo(f"{pipeline}: fine{but}")
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


def _warned(one: Told) -> str:
    hint = f"; {one.hint}" if one.hint else ""
    return f"{one.path}:{one.line}:{one.column}: warning: {one.field}: {one.message}{hint}"


def _fallen(one: Fallen) -> str:
    field = f" of field {one.field}" if one.field else ""
    return f"{one.count:,} {one.cause}{field} ({one.stage}), first event {one.first:,}: {one.message}"


def _seen(seen: Seen) -> str:
    distinct = "over 1,000" if seen.distinct is None else f"{seen.distinct:,}"
    span = "" if seen.lowest is None else f", {seen.lowest:g} to {seen.highest:g}"
    missing = "never" if not seen.missing else f"in {seen.missing:.1%}"
    return f"{seen.field}: {distinct} different{span}; missing {missing}"
