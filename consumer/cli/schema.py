"""``onelane schema``: the pipeline file's JSON Schema."""

import click
import orjson

from consumer.pipeline.schema import schema


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema of the pipeline file."""
    click.echo(orjson.dumps(schema(), option=orjson.OPT_INDENT_2).decode())
