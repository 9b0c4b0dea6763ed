"""``onelane lint``: all that can be known of a pipeline before a broker is asked."""

from pathlib import Path

import click

from consumer.assembly import assemble
from consumer.cli.options import load_pipeline, pipeline_argument
from consumer.kafka.registry import CheckingRegistry


@click.command(name="lint")
@pipeline_argument
def command(pipeline: Path) -> None:
    """Check a pipeline file, and its mapping against the model."""
    file = load_pipeline(pipeline)
    assembly = assemble(file, CheckingRegistry)
    verdict, spec = assembly.verdict, file.spec
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
