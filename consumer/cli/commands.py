"""A group of commands, each in a module of its name that is imported when it is called."""

import errno
import importlib
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from consumer.cli.signals import Signalled


class BrokenOffError(Exception):
    """Whoever started the process, or reads what it prints, has had enough.

    Attributes:
        code: as shells have it: 128 and the signal's number.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self.code = 128 + number


class Commands(click.Group):
    """Finds a command in the module of its name: a daemon need not load what only a demo uses.

    Args:
        package: where the modules are.
        names: of the commands; a dash is an underscore in the module's name.
        settings: of click.
    """

    def __init__(self, *, package: str, names: Sequence[str], **settings: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(**settings)
        self._package = package
        self._names = list(names)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's
        """Run a command.

        Raises:
            BrokenOffError: a signal such as Ctrl-C, or nobody reads any more; click would end with 1 for both.
        """
        try:
            return super().invoke(ctx)
        except Signalled as error:
            raise BrokenOffError(error.number) from None
        except KeyboardInterrupt:
            raise BrokenOffError(signal.SIGINT) from None
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
            raise BrokenOffError(signal.SIGPIPE) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        del ctx
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, with its module imported."""
        del ctx
        if cmd_name not in self._names:
            return None
        with _ended_by_ctrl_c():
            module = importlib.import_module(f"{self._package}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end the process as it ends any: an import that it breaks off fails with whatever it was at."""
    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
