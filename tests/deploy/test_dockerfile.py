"""deploy/Dockerfile: a small image of the worker, run by nobody in particular, built from named files only."""

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path

from tests.deploy.dockerfile import instructions
from tests.deploy.files import DOCKERFILE, ROOT


def _copied_from_the_tree() -> list[str]:
    return [source for copy in instructions("COPY") if not copy.startswith("--from=") for source in copy.split()[:-1]]


def test_hadolint_finds_nothing() -> None:
    """Hadolint, with every rule on, has nothing to say."""
    hadolint = shutil.which("hadolint", path=sysconfig.get_path("scripts"))
    assert hadolint
    result = subprocess.run(
        [hadolint, "--failure-threshold", "style", "--format", "json", DOCKERFILE],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",  # no configuration of hadolint's can be lying about here
    )
    assert json.loads(result.stdout) == []
    assert "hadolint ignore" not in DOCKERFILE.read_text(encoding="utf-8")


def test_both_stages_start_from_one_pinned_python() -> None:
    """The interpreter that the environment was made with is the one that it runs on, down to the patch version."""
    bases = {stage.split()[0] for stage in instructions("FROM")}
    assert len(bases) == 1
    assert bases.pop().startswith("python:3.11.")


def test_everything_copied_exists_and_may_enter_the_build() -> None:
    """Each file that the build copies is in the tree and let through by .dockerignore, and nothing else is."""
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    copied = {str(Path(source)) for source in _copied_from_the_tree()}
    assert "*" in ignore
    assert copied == let_through
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_it_runs_as_a_numbered_user_without_privileges() -> None:
    """The last user is a number other than root's, which Kubernetes can check before it starts the container."""
    user, _, group = instructions("USER")[-1].partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_the_command_is_the_worker_without_a_shell() -> None:
    """The worker is the first process itself, so that signals reach it."""
    assert json.loads(instructions("ENTRYPOINT")[-1]) == ["onelane"]
    assert json.loads(instructions("CMD")[-1])[0] == "run"


def test_the_dependencies_are_the_pinned_ones() -> None:
    """The installation takes its versions from constraints.txt."""
    assert "-c constraints.txt" in instructions("RUN")[-1]
