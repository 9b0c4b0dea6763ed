"""Options and arguments that commands share."""

from datetime import UTC, datetime
from pathlib import Path

import click

from consumer.deadletter.selection import parse_moment
from consumer.exits import PipelineError
from consumer.kafka import registry
from consumer.kafka.settings import refused_settings
from consumer.kafka.values import refused_values
from consumer.pipeline.load import PipelineFile, load

pipeline_argument = click.argument(
    "pipeline", type=click.Path(dir_okay=False, path_type=Path), metavar="PIPELINE.YAML"
)


def load_pipeline(path: Path, *, clients: bool = False) -> PipelineFile:
    """Read a pipeline file and check the settings of its clients too.

    Args:
        path: of the file.
        clients: whether to ask librdkafka for what it makes of their values, for who is about to make clients.

    Raises:
        PipelineError: something is wrong; the message names file, line, column and field.
    """
    file = load(path)
    findings = [*refused_settings(file.spec), *registry.refused_settings(file.spec)]
    if clients and not findings:
        findings = refused_values(file.spec)
    if findings:
        raise PipelineError(file.refusal(findings))
    return file


def moment(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """Read a time; a callback of options."""
    try:
        return None if text is None else parse_moment(text, datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
