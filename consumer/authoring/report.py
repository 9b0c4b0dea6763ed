"""All that is wrong with a pipeline, at once: the file, the settings of its clients, and how it fits the model."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from consumer.assembly import fit
from consumer.exits import ExitCode, RefusedError
from consumer.kafka import registry
from consumer.kafka.settings import refused_settings
from consumer.kafka.values import refused_values
from consumer.pipeline.findings import Finding, dotted
from consumer.pipeline.load import examine
from consumer.pipeline.source import Source


class Told(msgspec.Struct, frozen=True):
    """A finding with its place, for programs; line and column count from 1."""

    path: str
    line: int
    column: int
    field: str
    severity: str
    message: str
    hint: str


class Report(msgspec.Struct):
    """What is wrong.

    Attributes:
        source: tells where in the file a path stands.
        findings: all of them.
        code: what a command that needs the pipeline ends with.
    """

    source: Source
    findings: list[Finding]
    code: ExitCode

    def told(self, findings: list[Finding], severity: str) -> list[Told]:
        """Return findings for programs, in the order of the file."""
        placed = sorted(
            ((self.source.place(one.path), one) for one in findings), key=lambda one: (one[0].line, one[0].column)
        )
        return [
            Told(place.file, place.line, place.column, dotted(one.path), severity, one.message, one.hint)
            for place, one in placed
        ]


def report(path: Path, environment: Mapping[str, str]) -> Report:
    """Examine a pipeline file and whatever else can be known without a broker.

    Raises:
        PipelineError: it can't be read, or is no YAML.
    """
    found = examine(path, environment)
    findings = found.findings
    if found.spec is not None:
        settings = [*refused_settings(found.spec), *registry.refused_settings(found.spec)]
        findings += settings or refused_values(found.spec)
    code = ExitCode.PIPELINE if findings else ExitCode.DONE
    if found.model is not None and not any(one.path[:1] == ("model",) for one in findings):
        misfits: list[Finding] = []
        try:
            fit(found.model, path.parent / found.model.path, found.hooks, misfits)
        except RefusedError as error:
            place = "path" if found.model.signature is None else "signature"
            misfits.append(Finding(("model", place), str(error)))
        findings += misfits
        code = ExitCode.REFUSED if misfits and code is ExitCode.DONE else code
    return Report(found.source, findings, code)
