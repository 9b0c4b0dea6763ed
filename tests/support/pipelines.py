"""Pipeline files for tests: a small good one, and changes to it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from consumer.exits import PipelineError
from consumer.pipeline.load import PipelineFile, load

GOOD = """\
name: small
input: {topic: in}
output: {topic: out, field: answer}
dead_letters: {topic: dead}
model:
  path: small.tflite
  inputs:
    x:
      - {field: n, kind: number}
      - {field: c, kind: category, vocabulary: [a, b], unknown: 0}
      - {field: t, kind: time, part: hour}
  outputs:
    y: {tensor: y, kind: number}
    late: {tensor: z, kind: over, threshold: 0.5}
kafka:
  bootstrap.servers: localhost:9092
"""


def write(folder: Path, text: str) -> Path:
    """Write a pipeline file."""
    path = folder / "pipeline.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(old: str, new: str, text: str = GOOD) -> str:
    """Change a part of a pipeline file that must be in it, once."""
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in the file"
    return text.replace(old, new)


def loaded(folder: Path, text: str = GOOD, environment: Mapping[str, str] | None = None) -> PipelineFile:
    """Load a pipeline file that is fine."""
    return load(write(folder, text), environment or {})


def refused(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """Load a pipeline file that is not; the findings, with the file's path cut off."""
    path = write(folder, text)
    with pytest.raises(PipelineError) as caught:
        load(path, environment or {})
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]
