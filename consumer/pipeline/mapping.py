"""What can't be meant with the features of a pipeline file: each by itself, and several of one field."""

import math
from collections.abc import Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from consumer.pipeline.features import (
    CategoryFeature,
    ColumnFeature,
    ContentFeature,
    Feature,
    NumberFeature,
    NumbersFeature,
    PresentFeature,
    PythonFeature,
    TextFeature,
    TimeFeature,
)
from consumer.pipeline.findings import Finding, dotted, nearest
from consumer.pipeline.findings import Path as Where
from consumer.pipeline.paths import PARTS, is_part, known_part, parse
from consumer.pipeline.spec import Model
from consumer.pipeline.units import factor
from consumer.pipeline.vocabulary import Key, keys


def mapping(model: Model) -> Iterator[Finding]:
    """Find what is well-formed but can't be meant."""
    for tensor, features in model.inputs.items():
        if not features:
            yield Finding(("model", "inputs", tensor), "has no columns")
    yield from _lists(model)
    for where, feature in each_feature(model):
        if isinstance(feature, TextFeature):
            yield from _text(model, feature, where)
        elif isinstance(feature, PythonFeature):
            yield from _hook(feature, where)
        else:
            yield from _feature(feature, where)


def each_feature(model: Model) -> Iterator[tuple[Where, Feature]]:
    """Return all features with their paths."""
    for tensor, features in model.inputs.items():
        where: Where = ("model", "inputs", tensor)
        if isinstance(features, list):
            yield from (((*where, index), feature) for index, feature in enumerate(features))
        else:
            yield where, features


def _lists(model: Model) -> Iterator[Finding]:
    """A value is a list or none, and lists of numbers and of keys are decoded apart."""
    first: dict[str, tuple[str, Where]] = {}
    for where, feature in each_feature(model):
        if isinstance(feature, PresentFeature | PythonFeature) or feature.field is None:
            continue
        if isinstance(feature, NumbersFeature):
            kind = "a list of numbers"
        elif isinstance(feature, CategoryFeature) and feature.multi_hot:
            kind = "a list of keys"
        else:
            kind = "a single value"
        other, there = first.setdefault(feature.field, (kind, where))
        if other != kind:
            yield Finding((*where, "field"), f"is read as {kind} here, as {other} at {dotted(there)}")


def _field(field: str, where: Where, name: str = "field") -> Iterator[Finding]:
    if is_part(field):
        if not known_part(field):
            hint = f"known: {', '.join(PARTS)}NAME; a field of the event: " + f'["{field}"]'
            yield Finding((*where, name), f"the record has no part {field}", hint)
        return
    try:
        parse(field)
    except ValueError as error:
        yield Finding((*where, name), str(error), 'such as user.country, items[0].price or ["a.b"]')


def _alone(where: Where) -> Iterator[Finding]:
    """A feature that fills a whole tensor has no others beside it."""
    if isinstance(where[-1], int):
        yield Finding(where, "fills a whole tensor: it can't stand in a list", "write it as a map")


def _text(model: Model, feature: TextFeature, where: Where) -> Iterator[Finding]:
    yield from _alone(where)
    own = {"field": feature.field, "tokenizer": feature.tokenizer, "max_tokens": feature.max_tokens}
    if feature.of is None:
        for name, given in own.items():
            if given is None:
                yield Finding(where, f"`{name}` is missing", "or `of:` the input that has it")
        if feature.field is not None:
            yield from _field(feature.field, where)
        return
    for name in ("missing", *own):
        if getattr(feature, name) is not None:
            yield Finding((*where, name), f"is that of {feature.of}", "leave it out")
    other = model.inputs.get(feature.of)
    if not isinstance(other, TextFeature) or other.of is not None:
        texts = [tensor for tensor, one in model.inputs.items() if isinstance(one, TextFeature) and not one.of]
        yield Finding(
            (*where, "of"), f"no input of kind text with a tokenizer: {feature.of}", nearest(feature.of, texts)
        )


def _hook(feature: PythonFeature, where: Where) -> Iterator[Finding]:
    yield from _alone(where)
    if not feature.fields:
        yield Finding((*where, "fields"), "is empty")
    for field in feature.fields:
        yield from _field(field, where, "fields")
    for field in feature.types:
        if field not in feature.fields:
            hint = nearest(field, feature.fields)
            yield Finding((*where, "types", field), "is none of `fields`", hint)


def _feature(feature: ColumnFeature | ContentFeature, where: Where) -> list[Finding]:
    findings = list(_field(feature.field, where))
    if isinstance(feature, PresentFeature):
        return findings
    if isinstance(feature, ContentFeature):
        return findings + _content(feature, where)
    if isinstance(feature, CategoryFeature):
        return findings + _category(feature, where)
    if isinstance(feature, NumberFeature | NumbersFeature):
        findings += _limits(feature.range, (*where, "range"))
    if isinstance(feature, NumbersFeature):
        return findings + _lengths(feature, where)
    findings += [
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
    if isinstance(feature, NumberFeature):
        findings += _limits(feature.clip, (*where, "clip"))
    return findings


def _limits(limits: tuple[float, float] | None, where: Where) -> list[Finding]:
    """One end may be infinite; NaN is never in order."""
    if limits is None:
        return []
    low, high = limits
    if not low <= high:
        return [Finding(where, "the lowest is above the highest")]
    return [Finding(where, "holds no finite number")] if math.isinf(low) and low == high else []


def _content(feature: ContentFeature, where: Where) -> list[Finding]:
    findings = list(_alone(where))
    try:
        scale = factor(feature.scale)
    except ValueError as error:
        findings.append(Finding((*where, "scale"), str(error)))
    else:
        if not math.isfinite(scale):
            findings.append(Finding((*where, "scale"), f"must be a finite number, not {feature.scale}"))
    if feature.encoding == "raw" and not is_part(feature.field):
        hint = "base64 or hex; raw is for @value, @key and headers"
        findings.append(Finding((*where, "encoding"), "a field of an event holds no raw bytes", hint))
    if not math.isfinite(feature.mean) or not math.isfinite(feature.std):
        findings.append(Finding(where, "`mean` and `std` must be finite numbers"))
    return findings


def _lengths(feature: NumbersFeature, where: Where) -> list[Finding]:
    findings = []
    for name, given in (("mean", feature.mean), ("std", feature.std)):
        amounts = given if isinstance(given, list) else [given]
        if isinstance(given, list) and len(given) != feature.length:
            findings.append(Finding((*where, name), f"{len(given)} numbers, where `length` is {feature.length}"))
        if not all(map(math.isfinite, amounts)) or (name == "std" and min(amounts, default=1) <= 0):
            findings.append(Finding((*where, name), f"must be finite{' and above 0' if name == 'std' else ''}"))
    return findings


def _category(feature: CategoryFeature, where: Where) -> list[Finding]:
    findings: list[Finding] = []
    entries = feature.vocabulary
    if (entries is None) == (feature.buckets is None):
        findings.append(Finding(where, "give one of `vocabulary` and `buckets`"))
    if feature.one_hot and feature.multi_hot:
        findings.append(Finding((*where, "multi_hot"), "is for lists, one_hot for single entries", "leave one out"))
    if feature.buckets is not None and feature.unknown is not None:
        findings.append(Finding((*where, "unknown"), "every key has a bucket", "leave it out"))
    if not isinstance(entries, list):
        return findings  # there is none, or its file could not be read, which is a finding already
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
