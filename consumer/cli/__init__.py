"""The command line: one module a command, imported when it is called."""

import os
import signal
import sys

import click

from consumer import __version__
from consumer.cli.commands import BrokenOffError, Commands
from consumer.exits import ExitCode, OnelaneError, listed


@click.command(
    cls=Commands,
    package="consumer.cli",
    names=("init", "run", "enrich", "lint", "test", "explain", "plan", "dead-letters", "demo", "schema"),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog=listed(),
)
@click.version_option(__version__, prog_name="onelane")
def cli() -> None:
    """Add a TensorFlow Lite model's prediction to every event of a Kafka topic."""


def main() -> None:
    """Run the command line; errors that are meant for a person are told in one line, with their exit code."""
    try:
        cli(standalone_mode=True)
    except (BrokenOffError, KeyboardInterrupt) as error:
        # Without a word, and with nothing written that is still buffered.
        os._exit(error.code if isinstance(error, BrokenOffError) else 128 + signal.SIGINT)
    except OnelaneError as error:
        click.echo(f"onelane: {error}", err=True)
        sys.exit(error.code)
    except OSError as error:
        # A file that can't be opened, a disk that is full; what was written before is all that there is.
        where = f": {error.filename}" if error.filename else ""
        click.echo(f"onelane: {error.strerror or error}{where}", err=True)
        # Nothing more may be written, not even what is buffered: that would fail again.
        os._exit(ExitCode.PIPELINE)
