"""From a path to a checked pipeline: typed, vocabularies read, paths resolved."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from consumer.exits import PipelineError
from consumer.pipeline.check import build
from consumer.pipeline.contradictions import contradictions
from consumer.pipeline.encoding import not_utf8
from consumer.pipeline.features import CategoryFeature, Feature, PythonFeature, TextFeature
from consumer.pipeline.files import named_files
from consumer.pipeline.findings import Finding, MisfitsError
from consumer.pipeline.findings import Path as Where
from consumer.pipeline.hooks import HookSource, find_hook
from consumer.pipeline.outputs import LabelledOutput, PythonOutput
from consumer.pipeline.source import Source
from consumer.pipeline.spec import Model, Pipeline
from consumer.pipeline.vocabulary import Key, read_entries


class PipelineFile(msgspec.Struct, frozen=True):
    """A pipeline with what its file brings along.

    Attributes:
        spec: the typed content; vocabularies are lists, never file names.
        model: the path of the model, resolved against the pipeline file.
        schema: what the file of ``input.schema`` says; None where there is none.
        hooks: where the functions are that it names, by what it calls them.
        files: all that were read for it; nothing is written over them.
        mapping: short sha256 of all that decides what an enriched record says, apart from the model's bytes.
        source: tells where in the file a path stands.
    """

    spec: Pipeline
    model: Path
    schema: bytes | None
    hooks: Mapping[str, HookSource]
    files: tuple[Path, ...]
    mapping: str
    source: Source

    @property
    def label(self) -> str:
        """Name and mapping, as records, dead letters and holds carry them."""
        return f"{self.spec.name}@{self.mapping}"

    def refusal(self, findings: list[Finding]) -> str:
        """Write findings with their places in the file."""
        return self.source.report(findings)

    def misfits(self, findings: list[Finding]) -> MisfitsError:
        """Return what a check raises that refuses the file for these."""
        return MisfitsError(self.refusal(findings), findings)


_STAND_IN: Final = {
    "name": "pipeline",
    "input": {"topic": "stand-in-for-input"},
    "output": {"topic": "stand-in-for-output"},
    "dead_letters": {"topic": "stand-in-for-dead-letters"},
    "model": {"path": "model", "inputs": {}, "outputs": {}},
}


class Examined(msgspec.Struct):
    """What can be had of a pipeline file, with all that is wrong with it.

    Attributes:
        source: tells where in the file a path stands.
        findings: what is wrong.
        spec: the typed content, if it has the form of a pipeline file.
        sound: the same, or what can be had of it: other sections stand in for those that are wrong or missing.
        model: the section ``model``, if it has its form, whatever else is wrong.
        path: of the file.
        schema: see ``PipelineFile``.
        hooks: see ``PipelineFile``.
        files: see ``PipelineFile``; none where ``spec`` is None.
    """

    source: Source
    findings: list[Finding]
    spec: Pipeline | None
    sound: Pipeline | None
    model: Model | None
    path: Path
    schema: bytes | None
    hooks: dict[str, HookSource]
    files: tuple[Path, ...] = ()


def load(path: Path, environment: Mapping[str, str] = os.environ) -> PipelineFile:
    """Read and check a pipeline file.

    Raises:
        PipelineError: it can't be read, or something in it is wrong; the message has one line a finding, each with
            file, line, column and field.
    """
    found = examine(path, environment)
    if found.findings or found.spec is None:
        raise PipelineError(found.source.report(found.findings))
    return PipelineFile(
        spec=found.spec,
        model=path.parent / found.spec.model.path,
        schema=found.schema,
        hooks=found.hooks,
        files=found.files,
        mapping=_fingerprint(found.spec, found.schema, found.hooks),
        source=found.source,
    )


def examine(path: Path, environment: Mapping[str, str] = os.environ) -> Examined:
    """Read a pipeline file and find all that is wrong in it, the model and the brokers apart.

    Raises:
        PipelineError: it can't be read, or is no YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: {not_utf8(error)}") from None
    source = Source(text, str(path), environment)
    examined = _examined(source, path)
    examined.findings = source.without_echoes(examined.findings)
    return examined


def _examined(source: Source, path: Path) -> Examined:
    findings, directory = list(source.findings), path.parent
    spec: Pipeline | None = build(source.tree, Pipeline, (), findings)
    model = _model(source.tree) if spec is None else spec.model
    if model is not None:
        model = _with_labels(_with_vocabularies(model, directory, findings), directory, findings)
    hooks = {} if model is None else _hooks(model, directory, findings)
    schema = None
    if spec is not None and model is not None:
        files = named_files(spec, directory, hooks.values())
        spec = msgspec.structs.replace(spec, model=model)
        schema = _schema(spec, directory, findings)
        findings += contradictions(spec)
        return Examined(source, findings, spec, spec, model, path, schema, hooks, files)
    sound = _sound(source.tree, findings)
    if sound is not None:
        # What is wrong with the sections that have their form; of what stands in for the others nothing is said.
        more: list[Finding] = []
        _schema(sound, directory, more)
        given = set(source.tree) - {str(one.path[0]) for one in findings if one.path}
        findings += [one for one in (*more, *contradictions(sound)) if one.path and one.path[0] in given]
    return Examined(source, findings, None, sound, model, path, None, hooks)


def _sound(tree: object, findings: list[Finding]) -> Pipeline | None:
    """Return a pipeline of the sections that have their form, with others in the place of those that have not."""
    if not isinstance(tree, dict):
        return None
    wrong = {str(one.path[0]) for one in findings if one.path}
    kept = {name: section for name, section in tree.items() if name not in wrong}
    pipeline: Pipeline | None = build({**_STAND_IN, **kept}, Pipeline, (), [])
    return pipeline


def _model(tree: object) -> Model | None:
    """Return the section ``model`` of a file that is wrong elsewhere; what is wrong in it has been found already."""
    section = tree.get("model") if isinstance(tree, dict) else None
    return None if section is None else build(section, Model, ("model",), [])


def _schema(spec: Pipeline, directory: Path, findings: list[Finding]) -> bytes | None:
    if spec.input.schema is None:
        return None
    file = directory / spec.input.schema
    try:
        return file.read_bytes()
    except (OSError, ValueError) as error:
        findings.append(Finding(("input", "schema"), f"{file} can't be read: {_why(error)}"))
        return None


def _hooks(model: Model, directory: Path, findings: list[Finding]) -> dict[str, HookSource]:
    named: list[tuple[Where, str]] = [
        *((("model", "inputs", name), one.function) for name, one in model.inputs.items()
          if isinstance(one, PythonFeature)),
        *((("model", "outputs", name), one.function) for name, one in model.outputs.items()
          if isinstance(one, PythonOutput)),
    ]  # fmt: skip
    hooks = {}
    for where, function in named:
        try:
            hooks[function] = find_hook(function, directory)
        except ValueError as error:
            findings.append(Finding((*where, "function"), str(error)))
    return hooks


def _with_vocabularies(model: Model, directory: Path, findings: list[Finding]) -> Model:
    def read(feature: Feature, where: Where) -> Feature:
        if isinstance(feature, TextFeature) and feature.tokenizer is not None:
            file = directory / feature.tokenizer
            try:
                return msgspec.structs.replace(feature, tokenizer=file.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                findings.append(Finding((*where, "tokenizer"), f"{file} can't be read: {_why(error)}"))
                return feature
        if not isinstance(feature, CategoryFeature) or not isinstance(feature.vocabulary, str):
            return feature
        entries = _entries(directory / feature.vocabulary, (*where, "vocabulary"), findings)
        return feature if entries is None else msgspec.structs.replace(feature, vocabulary=list[Key](entries))

    inputs: dict[str, list[Feature] | Feature] = {}
    for tensor, features in model.inputs.items():
        where: Where = ("model", "inputs", tensor)
        inputs[tensor] = (
            [read(feature, (*where, index)) for index, feature in enumerate(features)]
            if isinstance(features, list)
            else read(features, where)
        )
    return msgspec.structs.replace(model, inputs=inputs)


def _with_labels(model: Model, directory: Path, findings: list[Finding]) -> Model:
    outputs = dict(model.outputs)
    for name, output in model.outputs.items():
        if isinstance(output, LabelledOutput) and isinstance(output.labels, str):
            labels = _entries(directory / output.labels, ("model", "outputs", name, "labels"), findings)
            outputs[name] = msgspec.structs.replace(output, labels=labels)
    return msgspec.structs.replace(model, outputs=outputs)


def _entries(file: Path, where: Where, findings: list[Finding]) -> list[str] | None:
    try:
        return read_entries(file)
    except (OSError, ValueError) as error:
        findings.append(Finding(where, f"{file} can't be read: {_why(error)}"))
        return None


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return not_utf8(error)
    return (error.strerror or str(error)) if isinstance(error, OSError) else f"no file has such a name: {error}"


def _fingerprint(spec: Pipeline, schema: bytes | None, hooks: Mapping[str, HookSource]) -> str:
    """Hash what decides the bytes of an enriched record; not where it runs, nor how fast.

    Schemas that a registry has are not in it: records name theirs themselves.
    """
    content = (
        spec.input.format,
        spec.input.message,
        None if schema is None else hashlib.sha256(schema).hexdigest(),
        spec.output_format,
        spec.output.layout,
        spec.output.field,
        spec.output.number,
        spec.output.keep,
        spec.output.existing,
        _said(spec.model.inputs),
        _said(spec.model.outputs),
        *(() if spec.model.signature is None else (spec.model.signature,)),
        *(() if spec.when is None else (spec.when, spec.otherwise)),
        *((function, hook.sha256) for function, hook in sorted(hooks.items())),
    )
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:8]


def _said(section: Any) -> Any:  # noqa: ANN401 - a section holds anything
    """Return a section without its defaults: a field that a later version adds makes no pipeline another."""
    if isinstance(section, dict):
        return {name: _said(value) for name, value in section.items()}
    if isinstance(section, list):
        return [_said(value) for value in section]
    if not isinstance(section, msgspec.Struct):
        return section
    said = {"kind": section.__struct_config__.tag}
    for field in msgspec.structs.fields(section):
        value = getattr(section, field.name)
        if field.required or value != field.default:
            said[field.name] = _said(value)
    return said
