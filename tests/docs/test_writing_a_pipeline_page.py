"""docs/writing-a-pipeline.md: its commands are run one after the other, and its sections load."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.command import ROOT
from tests.support.pipelines import GOOD, loaded

PAGE = (ROOT / "docs" / "writing-a-pipeline.md").read_text()
PAYMENTS = ROOT / "examples" / "payments"
SECTIONS = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
STEPS = [
    step
    for block in re.findall(r"```console\n(.+?)```", PAGE, re.DOTALL)
    for step in re.findall(r"^\$ (.+)\n((?:[^$].*\n)*)", block, re.MULTILINE)
]


@pytest.mark.timeout(120)
def test_the_five_minutes(tmp_path: Path) -> None:
    """Each command says what the page shows; … stands for anything."""
    shutil.copy(PAYMENTS / "models" / "fraud.tflite", tmp_path)
    shutil.copy(PAYMENTS / "events.jsonl.gz", tmp_path / "payments.jsonl.gz")
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "onelane"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m consumer "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    assert len(STEPS) == 6
    for line, shown in STEPS:
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        wanted = re.escape(shown).replace("…", ".*")
        assert re.fullmatch(wanted, done.stdout + done.stderr, re.DOTALL), f"{line}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_is_part_of_a_pipeline_file(section: str, tmp_path: Path) -> None:
    """With the files that it names."""
    for name in ("carriers.txt", "labels.txt", "tokenizer.json"):
        (tmp_path / name).write_text("AA\nUA\n")
    yaml = YAML(typ="safe", pure=True)
    spec: dict[str, Any] = yaml.load(GOOD)
    part = yaml.load(section)
    spec["model"].update(part.pop("model", {}))
    spec.update(part)
    text = tmp_path / "text"
    with text.open("w") as file:
        yaml.dump(spec, file)
    assert loaded(tmp_path, text.read_text()).spec.name == "small"
