"""docs/testing-your-pipeline.md: its commands are run, and print what it says."""

import re
import shlex
from pathlib import Path

import pytest

from tests.support.command import ROOT, onelane

PAGE = (ROOT / "docs" / "testing-your-pipeline.md").read_text()
COMMANDS = re.findall(r"```console\n\$ onelane (.+)\n(.+)\n```", PAGE)


def test_the_page_has_commands() -> None:
    """Both of them."""
    assert len(COMMANDS) == 2


@pytest.mark.parametrize(("command", "printed"), COMMANDS)
def test_a_command_prints_what_the_page_says(command: str, printed: str, tmp_path: Path) -> None:
    """Files go to the test's own folder."""
    done = onelane(*shlex.split(command.replace("/tmp/", f"{tmp_path}/")))  # noqa: S108 - the page's example
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().strip() == printed.replace("/tmp/", f"{tmp_path}/")  # noqa: S108
