"""``onelane dead-letters``: find out what is wrong, and give events back once it is mended."""

import click

from consumer.cli.commands import Commands


@click.command(
    name="dead-letters", cls=Commands, package="consumer.cli.dead_letters", names=("list", "show", "replay")
)
def command() -> None:
    """List, show and replay dead letters."""
