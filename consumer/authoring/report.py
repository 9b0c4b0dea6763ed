"""All that is wrong with a pipeline, at once: the file, the settings of its clients, and how it fits the model."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from consumer.assembly import fit
from consumer.exits import ExitCode, PipelineError, RefusedError
from consumer.formats import schema_of
from consumer.kafka import registry
from consumer.kafka.settings import refused_settings
from consumer.kafka.values import refused_values
from consumer.pipeline.features import TextFeature
from consumer.pipeline.findings import Finding, dotted
from consumer.pipeline.findings import Path as Where
from consumer.pipeline.load import Examined, examine
from consumer.pipeline.source import Source
from consumer.pipeline.spec import Model, Pipeline
from consumer.shape import impossible

_PARTS: Final = ("inputs", "outputs")
_PLACED: Final = re.compile(r"(?P<path>.+?):(?P<line>\d+):(?P<column>\d+): (?P<message>.*)", re.DOTALL)


class UnreadableError(PipelineError):
    """A pipeline file that can't be read, or is no YAML: there is nothing to look for findings in."""

    @property
    def told(self) -> "Told":
        """The one finding that it is."""
        match = _PLACED.fullmatch(str(self))
        if match is None:
            path, _, message = str(self).partition(": ")
            return Told(path, 1, 1, "", "error", message, "")
        return Told(match["path"], int(match["line"]), int(match["column"]), "", "error", match["message"], "")


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
        UnreadableError: it can't be read, or is no YAML.
    """
    try:
        found = examine(path, environment)
    except PipelineError as error:
        raise UnreadableError(str(error)) from None
    findings = found.findings
    if found.sound is not None:
        findings += _settings(found.sound, {one.path for one in findings})
    if found.model is not None:
        findings += _unread(found.path.parent / found.model.path)
    code = ExitCode.PIPELINE if findings else ExitCode.DONE
    misfits = [] if found.model is None else _misfits(found, found.model)
    if found.spec is not None:
        misfits += _strangers(found.spec, found.schema)
    findings = found.source.without_echoes([*findings, *misfits])
    return Report(found.source, findings, ExitCode.REFUSED if misfits and code is ExitCode.DONE else code)


def _settings(spec: Pipeline, known: set[Where]) -> list[Finding]:
    """Find what is wrong with the clients' settings: names, and values that librdkafka refuses, each once."""
    found = [one for one in (*refused_settings(spec), *registry.refused_settings(spec)) if one.path not in known]
    told = known | {one.path for one in found}
    return found + [one for one in refused_values(spec) if one.path not in told]


def _strangers(spec: Pipeline, schema: bytes | None) -> list[Finding]:
    """Find fields that no event can have, by the schema of the file."""
    if schema is None or spec.input.format not in ("avro", "protobuf"):
        return []
    try:
        return impossible(spec, schema_of(spec, schema))
    except RefusedError:  # a package is missing, which whoever reads events says
        return []


def _misfits(found: Examined, model: Model) -> list[Finding]:
    """Find how the mapping does not fit the model, of those parts of it that nothing else is wrong with."""
    wrong = {one.path[:3] for one in found.findings if one.path[:1] == ("model",)}
    if any(len(path) < 3 or path[1] not in _PARTS for path in wrong):  # noqa: PLR2004 - model, inputs, the tensor
        return []
    names = {part: {str(path[2]) for path in wrong if path[1] == part} for part in _PARTS}
    names["inputs"] |= {
        name for name, one in model.inputs.items() if isinstance(one, TextFeature) and one.of in names["inputs"]
    }
    left = msgspec.structs.replace(
        model,
        inputs={name: one for name, one in model.inputs.items() if name not in names["inputs"]},
        outputs={name: one for name, one in model.outputs.items() if name not in names["outputs"]},
    )
    misfits: list[Finding] = []
    try:
        fit(left, found.path.parent / model.path, found.hooks, misfits)
    except RefusedError as error:
        return [Finding(("model", "path" if model.signature is None else "signature"), str(error))]
    unfed = [f"input `{name}` " for name in names["inputs"]]  # of these it says that nothing feeds them
    return [one for one in misfits if not any(words in one.message for words in unfed)]


def _unread(model: Path) -> list[Finding]:
    try:
        model.open("rb").close()
    except (OSError, ValueError) as error:  # no path has a NUL in it
        words = f"model {model} can't be read: {getattr(error, 'strerror', None) or error}"
        return [Finding(("model", "path"), words)]
    return []
