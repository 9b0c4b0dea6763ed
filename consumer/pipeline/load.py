"""From a path to a checked pipeline: typed, vocabularies read, paths resolved."""

import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from consumer.exits import PipelineError
from consumer.pipeline.check import build
from consumer.pipeline.findings import Finding
from consumer.pipeline.findings import Path as Where
from consumer.pipeline.source import Source
from consumer.pipeline.spec import CategoryFeature, Feature, NumberFeature, OverOutput, Pipeline, TimeFeature
from consumer.pipeline.vocabulary import Key, keys, read_entries

# Provenance stands beside the predictions, under these names.
RESERVED: Final = frozenset({"model", "pipeline"})

# In seconds. A transaction spans four batches and a checkpoint, and brokers allow it 15 minutes by default.
_MOST: Final[Mapping[Where, float]] = {
    ("batch", "wait"): 60,
    ("batch", "time"): 180,
    ("checkpoint",): 60,
    ("operate", "shutdown_timeout"): 3600,
    ("operate", "stuck_after"): 86400,
}
_LAST_PORT: Final = 65535


class PipelineFile(msgspec.Struct, frozen=True):
    """A pipeline with what its file brings along.

    Attributes:
        spec: the typed content; vocabularies are lists, never file names.
        model: the path of the model, resolved against the pipeline file.
        mapping: short sha256 of all that decides what an enriched record says, apart from the model's bytes.
        source: tells where in the file a path stands.
    """

    spec: Pipeline
    model: Path
    mapping: str
    source: Source

    @property
    def label(self) -> str:
        """Name and mapping, as records, dead letters and holds carry them."""
        return f"{self.spec.name}@{self.mapping}"

    def refusal(self, findings: list[Finding]) -> str:
        """Write findings with their places in the file."""
        return self.source.report(findings)


def load(path: Path, environment: Mapping[str, str] = os.environ) -> PipelineFile:
    """Read and check a pipeline file.

    Raises:
        PipelineError: it can't be read, or something in it is wrong; the message has one line a finding, each with
            file, line, column and field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: not UTF-8 at byte {error.start}") from None
    source = Source(text, str(path), environment)
    findings = source.findings
    spec = build(source.tree, Pipeline, (), findings)
    if spec is not None:
        spec = _with_vocabularies(spec, path.parent, findings)
        findings += _contradictions(spec)
    if findings or spec is None:
        raise PipelineError(source.report(findings))
    return PipelineFile(spec=spec, model=path.parent / spec.model.path, mapping=_fingerprint(spec), source=source)


def _with_vocabularies(spec: Pipeline, directory: Path, findings: list[Finding]) -> Pipeline:
    def read(feature: Feature, where: Where) -> Feature:
        if not isinstance(feature, CategoryFeature) or not isinstance(feature.vocabulary, str):
            return feature
        file = directory / feature.vocabulary
        try:
            entries = read_entries(file)
        except (OSError, UnicodeDecodeError) as error:
            findings.append(Finding((*where, "vocabulary"), f"{file} can't be read: {error}"))
            return feature
        return msgspec.structs.replace(feature, vocabulary=list[Key](entries))

    inputs: dict[str, list[Feature] | Feature] = {}
    for tensor, features in spec.model.inputs.items():
        where: Where = ("model", "inputs", tensor)
        inputs[tensor] = (
            [read(feature, (*where, index)) for index, feature in enumerate(features)]
            if isinstance(features, list)
            else read(features, where)
        )
    return msgspec.structs.replace(spec, model=msgspec.structs.replace(spec.model, inputs=inputs))


def _contradictions(spec: Pipeline) -> list[Finding]:
    """Find what is well-formed but can't be meant."""
    return [*_same_topics(spec), *_empty(spec), *_times(spec), *_ports(spec), *_names(spec), *_features(spec)]


def _same_topics(spec: Pipeline) -> Iterator[Finding]:
    topics = [("input", spec.input.topic), ("output", spec.output.topic), ("dead_letters", spec.dead_letters.topic)]
    for index, (section, topic) in enumerate(topics):
        for other, same in topics[:index]:
            if topic == same:
                yield Finding((section, "topic"), f"the same topic as {other}.topic", "use three topics")


def _empty(spec: Pipeline) -> Iterator[Finding]:
    for section in ("inputs", "outputs"):
        if not getattr(spec.model, section):
            yield Finding(("model", section), "is empty")
    amounts: list[tuple[Where, float]] = [
        (("batch", "wait"), spec.batch.wait),
        (("batch", "time"), spec.batch.time),
        (("batch", "bytes"), spec.batch.bytes),
        (("checkpoint",), spec.checkpoint),
        (("operate", "shutdown_timeout"), spec.operate.shutdown_timeout),
        (("operate", "stuck_after"), spec.operate.stuck_after),
    ]
    for where, amount in amounts:
        if amount <= 0:
            yield Finding(where, "must be more than nothing")
        elif where in _MOST and amount > _MOST[where]:
            yield Finding(where, f"is more than {_MOST[where]:g} seconds, the most that makes sense here")


def _ports(spec: Pipeline) -> Iterator[Finding]:
    address = spec.operate.http
    if address is not None and int(address.rsplit(":", 1)[1]) > _LAST_PORT:
        yield Finding(("operate", "http"), f"ports end at {_LAST_PORT}: {address}")


def _times(spec: Pipeline) -> Iterator[Finding]:
    if spec.operate.stuck_after <= spec.batch.time:
        where = ("operate", "stuck_after")
        hint = f"more than {spec.batch.time}"
        yield Finding(
            where, f"{spec.operate.stuck_after} is no longer than batch.time: a slow batch is not stuck", hint
        )


def _names(spec: Pipeline) -> Iterator[Finding]:
    for name in spec.model.outputs:
        if not name or not name.isprintable():
            yield Finding(("model", "outputs", name), "is no name that JSON readers would like", "choose another")
    for name in RESERVED & spec.model.outputs.keys():
        yield Finding(("model", "outputs", name), "this name holds the provenance", "choose another")
    output = spec.output
    if output.layout == "nest" and output.field == "event":
        yield Finding(("output", "field"), "layout nest puts the event there", "choose another")
    read = {feature.field for _, feature in _each_feature(spec)}
    if output.layout == "merge" and output.existing == "dead_letter" and output.field in read:
        yield Finding(
            ("output", "field"),
            "a feature reads this field, but an event that has it is a dead letter",
            "choose another, or existing: replace",
        )


def _features(spec: Pipeline) -> Iterator[Finding]:
    for tensor, features in spec.model.inputs.items():
        if not features:
            yield Finding(("model", "inputs", tensor), "has no columns")
    for where, feature in _each_feature(spec):
        yield from _feature(feature, where)
    for name, output in spec.model.outputs.items():
        if isinstance(output, OverOutput) and not math.isfinite(output.threshold):
            yield Finding(("model", "outputs", name, "threshold"), f"must be a finite number, not {output.threshold}")


def _each_feature(spec: Pipeline) -> Iterator[tuple[Where, Feature]]:
    for tensor, features in spec.model.inputs.items():
        where: Where = ("model", "inputs", tensor)
        if isinstance(features, list):
            yield from (((*where, index), feature) for index, feature in enumerate(features))
        else:
            yield where, features


def _feature(feature: Feature, where: Where) -> list[Finding]:
    if isinstance(feature, CategoryFeature):
        return _category(feature, where)
    findings = [
        Finding((*where, name), f"must be a finite number, not {amount}")
        for name, amount in (("mean", feature.mean), ("std", feature.std), ("missing", feature.missing))
        if amount is not None and not math.isfinite(amount)
    ]
    if isinstance(feature, TimeFeature):
        try:
            ZoneInfo(feature.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            hint = "use an IANA name such as UTC"
            findings.append(Finding((*where, "zone"), f"no such time zone: {feature.zone!r}", hint))
    # An end may be infinite; NaN is never in order.
    if isinstance(feature, NumberFeature) and feature.range is not None and not feature.range[0] <= feature.range[1]:
        findings.append(Finding((*where, "range"), "the lowest is above the highest"))
    return findings


def _category(feature: CategoryFeature, where: Where) -> list[Finding]:
    findings: list[Finding] = []
    entries = feature.vocabulary
    if not isinstance(entries, list):
        return findings  # its file could not be read, which is a finding already
    if not entries:
        findings.append(Finding((*where, "vocabulary"), "is empty"))
    seen: dict[Key, int] = {}
    for number, entry in enumerate(entries, 1):
        first = min(seen.setdefault(key, number) for key in keys(entry))
        if first != number:
            findings.append(Finding((*where, "vocabulary"), f"entry {number} repeats entry {first}: {entry!r}"))
    if feature.unknown not in (None, 0, len(entries)):
        hint = f"0 (entries then begin at 1) or {len(entries)} (after the entries)"
        findings.append(Finding((*where, "unknown"), f"{feature.unknown} would be an entry's index", hint))
    if feature.missing is not None and feature.missing not in seen:
        findings.append(Finding((*where, "missing"), f"{feature.missing!r} is not in the vocabulary"))
    return findings


def _fingerprint(spec: Pipeline) -> str:
    """Hash what decides the bytes of an enriched record; not where it runs, nor how fast."""
    content = (
        spec.input.format,
        spec.output.layout,
        spec.output.field,
        spec.output.existing,
        spec.model.inputs,
        spec.model.outputs,
    )
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:8]
