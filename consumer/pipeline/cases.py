"""Cases of a pipeline: events with what must become of them, in the pipeline file or in files beside it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from consumer.deadletter.causes import Code
from consumer.exits import PipelineError
from consumer.pipeline.check import build
from consumer.pipeline.encoding import not_utf8
from consumer.pipeline.section import Spec
from consumer.pipeline.section import text as words
from consumer.pipeline.source import Source

# Files of cases stand beside the pipeline file and end so.
ENDING: Final = ".case.yaml"


class Fallen(Spec, frozen=True, kw_only=True):
    """The dead letter that an event must become."""

    cause: Annotated[Code, words("The cause's code, such as Missing.")]
    field: Annotated[str | None, words("The field to blame; left out, any will do.")] = None


class Case(Spec, frozen=True, kw_only=True):
    """One event and what must become of it."""

    name: Annotated[str, words("What the case shows, for people.")]
    event: Annotated[Any, words("The event, written as YAML; it is sent through as JSON.")] = msgspec.UNSET
    text: Annotated[str | None, words("The event's value as it is, for what is not valid JSON.")] = None
    base64: Annotated[str | None, words("The event's value, for bytes that are no text.")] = None
    key: Annotated[str | None, words("The record's key.")] = None
    headers: Annotated[dict[str, str], words("The record's headers.")] = msgspec.field(default_factory=dict)
    timestamp: Annotated[int | None, words("The record's timestamp, in milliseconds since 1970.")] = None
    expect: Annotated[dict[str, Any] | None, words("Predictions by name; those left out are not looked at.")] = None
    tolerance: Annotated[
        Annotated[float, msgspec.Meta(ge=0)], words("How far a number may be off, for another processor or engine.")
    ] = 1e-4
    expect_filtered: Annotated[
        Literal["passed", "dropped"] | None, words("That the event is not for the model, and what becomes of it.")
    ] = None
    expect_dead_letter: Annotated[Fallen | None, words("That the event can't be enriched, and why.")] = None


class Cases(Spec, frozen=True, kw_only=True):
    """A file of cases."""

    cases: list[Case]


class Placed(msgspec.Struct, frozen=True):
    """A case and where it stands."""

    case: Case
    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def from_pipeline(cases: list[Case], source: Source) -> list[Placed]:
    """Return the cases of a pipeline file with their places."""
    return [
        Placed(case, Path(source.file), source.place(("tests", number)).line) for number, case in enumerate(cases)
    ]


def read_cases(path: Path, environment: Mapping[str, str]) -> list[Placed]:
    """Read a file of cases.

    Raises:
        PipelineError: it can't be read or something in it is wrong; each finding with file, line and column.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: {not_utf8(error)}") from None
    source = Source(content, str(path), environment)
    findings = list(source.findings)
    cases: Cases | None = build(source.tree, Cases, (), findings)
    if findings or cases is None:
        raise PipelineError(source.report(source.without_echoes(findings)))
    return [Placed(case, path, source.place(("cases", number)).line) for number, case in enumerate(cases.cases)]


def beside(pipeline: Path) -> list[Path]:
    """Return the files of cases beside a pipeline file: its own, or those that belong to no other pipeline.

    ``pipeline-int8.case.yaml`` and ``pipeline-int8.late.case.yaml`` belong to ``pipeline-int8.yaml``.
    """
    own = re.compile(re.escape(pipeline.stem) + r"(\..+)?" + re.escape(ENDING))
    return sorted(path for path in pipeline.parent.glob(f"*{ENDING}") if own.fullmatch(path.name))
