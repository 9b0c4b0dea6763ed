"""docs/testing-your-pipeline.md: its commands are run, and print what it says."""

import re
import shlex
from pathlib import Path

import msgspec
import pytest

from consumer.pipeline.cases import Case
from tests.support.command import ROOT, onelane

PAGE = (ROOT / "docs" / "testing-your-pipeline.md").read_text()
COMMANDS = re.findall(r"```console\n\$ onelane (.+)\n(.+)\n```", PAGE)


def test_the_page_has_commands() -> None:
    """Both of them."""
    assert len(COMMANDS) == 2


def test_each_field_of_a_case_is_told() -> None:
    """In the table; the name stands in the example."""
    told = {name for row in re.findall(r"^\| (`.+?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == {field.name for field in msgspec.structs.fields(Case)} - {"name"}


@pytest.mark.parametrize(("command", "printed"), COMMANDS)
def test_a_command_prints_what_the_page_says(command: str, printed: str, tmp_path: Path) -> None:
    """Files go to the test's own folder."""
    done = onelane(*shlex.split(command.replace("/tmp/", f"{tmp_path}/")))  # noqa: S108 - the page's example
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().strip() == printed.replace("/tmp/", f"{tmp_path}/")  # noqa: S108
