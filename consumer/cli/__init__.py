"""The command line: one module a command, imported when it is called."""

import importlib
import os
import sys
from typing import Final

import click

from consumer import __version__
from consumer.exits import ExitCode, OnelaneError

_COMMANDS: Final = ("run", "enrich", "lint", "demo", "schema")


class _Commands(click.Group):
    """Finds a command in the module of its name: a daemon need not load what only a demo uses."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"consumer.cli.{cmd_name}").command
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="onelane")
def cli() -> None:
    """Add a TensorFlow Lite model's prediction to every event of a Kafka topic."""


def main() -> None:
    """Run the command line; errors that are meant for a person are told in one line, with their exit code."""
    try:
        cli(standalone_mode=True)
    except OnelaneError as error:
        click.echo(f"onelane: {error}", err=True)
        sys.exit(error.code)
    except OSError as error:
        # A file that can't be opened, a disk that is full; what was written before is all that there is.
        where = f": {error.filename}" if error.filename else ""
        click.echo(f"onelane: {error.strerror or error}{where}", err=True)
        # Nothing more may be written, not even what is buffered: that would fail again.
        os._exit(ExitCode.PIPELINE)
