"""What is printed for a reader that has gone, and Ctrl-C while a command is loaded."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.cli.printed import Printed
from tests.support.command import ROOT

CALL = "from consumer.cli.commands import Commands; Commands(package='pack', names=['one', 'two'])(['{}'])"


def test_a_reader_that_goes_away_is_told_as_everywhere() -> None:
    """By the error that the command line ends with 141 for; rich alone would end with 1, a bug of ours."""
    reader, writer = os.pipe()
    os.close(reader)
    out = os.fdopen(writer, "w")
    with pytest.raises(BrokenPipeError):
        Printed(file=out).print("words")
    with pytest.raises(BrokenPipeError):  # what is buffered can't go anywhere
        out.close()


def test_ctrl_c_while_a_command_is_loaded_ends_without_a_word(tmp_path: Path) -> None:
    """An import that it breaks off may fail with anything; afterwards Ctrl-C is the command's own again."""
    package = tmp_path / "pack"
    package.mkdir()
    (package / "one.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    (package / "two.py").write_text(
        "import click, signal\n"
        "command = click.Command('two', callback=lambda: print(signal.getsignal(signal.SIGINT)))"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    for name, code, said in (("one", -signal.SIGINT, b""), ("two", 0, b"<built-in function default_int_handler>\n")):
        done = subprocess.run(
            [sys.executable, "-c", CALL.format(name)], env=environment, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (code, said, b"")
