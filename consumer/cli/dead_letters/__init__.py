"""``onelane dead-letters``: find out what is wrong, and give events back once it is mended."""

import sys

import click
import structlog

from consumer.cli.commands import Commands


@click.command(
    name="dead-letters", cls=Commands, package="consumer.cli.dead_letters", names=("list", "show", "replay")
)
def command() -> None:
    """List, show and replay dead letters."""
    # What clients say on the way is for people; stdout is for what was asked for.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
