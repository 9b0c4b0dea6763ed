"""``onelane schema``: the pipeline file's JSON Schema, or the schema of a pipeline's enriched records."""

import logging
from pathlib import Path

import click
import orjson

from consumer.assembly import assemble
from consumer.cli.options import load_pipeline
from consumer.exits import PipelineError
from consumer.kafka.registry import UnclaimedRegistry
from consumer.operate.logs import set_up_logs
from consumer.pipeline.schema import schema


@click.command(name="schema")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PIPELINE.YAML",
    help="Print the schema of this pipeline's enriched records, as it is registered, instead.",
)
def command(output: Path | None) -> None:
    """Print the JSON Schema of the pipeline file."""
    if output is None:
        click.echo(orjson.dumps(schema(), option=orjson.OPT_INDENT_2).decode())
        return
    set_up_logs(logging.WARNING)
    made = assemble(load_pipeline(output), UnclaimedRegistry).formats.schema
    if made is None:
        raise PipelineError(f"{output}: enriched records are plain json, which has no schema")
    click.echo(made.text)
