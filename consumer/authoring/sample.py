"""What a sample of events says of a pipeline: what would become of them, and what their fields hold."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
import numpy as np
import orjson

from consumer.assembly import Assembly
from consumer.authoring.names import Names
from consumer.model.tensors import Array
from consumer.pipeline.features import (
    CategoryFeature,
    Feature,
    NumberFeature,
    PresentFeature,
    PythonFeature,
    fields_of,
)
from consumer.pipeline.findings import Finding, Path
from consumer.pipeline.mapping import each_feature
from consumer.pipeline.paths import is_part
from consumer.pipeline.vocabulary import keys
from consumer.records.translated import Translated
from consumer.shape import read_fields
from consumer.types import DeadLetter, Event, Filtered, outcome

_ROWS: Final = 256
# Beyond so many different values their number says nothing more.
_DISTINCT: Final = 1000
_NAMED: Final = 3
_LONGEST: Final = 60
# Of an input's values, how many may lie at an end of what its type holds before it is worth a word.
_SATURATED: Final = 0.001
_FAR: Final = 5.0
_ENOUGH: Final = 20
# Identifiers may be numbers that no float can hold.
_LARGEST: Final = sys.float_info.max


class Fallen(msgspec.Struct, frozen=True):
    """Dead letters of one cause.

    Attributes:
        stage: where they fall out.
        cause: the code.
        field: to blame, if one is.
        count: how many.
        first: place of the first among the events, from 1: in a file without empty lines, its line.
        message: the first one's.
    """

    stage: str
    cause: str
    field: str | None
    count: int
    first: int
    message: str


class Seen(msgspec.Struct, frozen=True):
    """What a field holds, in the events that are for the model and can be read.

    Attributes:
        field: it.
        missing: part of the events, 0 to 1, in which it is absent or null.
        distinct: how many different values; None for more than a thousand.
        lowest: of its numbers.
        highest: of its numbers.
    """

    field: str
    missing: float
    distinct: int | None
    lowest: float | None = None
    highest: float | None = None


class Sample(msgspec.Struct, frozen=True):
    """What a sample says.

    Attributes:
        events: how many there are.
        enriched: how many of them would be.
        filtered: how many would pass or be dropped, by that.
        dead_letters: by cause, most frequent first.
        fields: of the features, in their order.
        warnings: what may be meant, but is worth a look; with its place in the pipeline file.
    """

    events: int
    enriched: int
    filtered: Mapping[str, int]
    dead_letters: list[Fallen]
    fields: list[Seen]
    warnings: list[Finding]


def look_at(events: Iterable[Event], assembly: Assembly) -> Sample:
    """Send events through a pipeline, and look at their fields on the way.

    Raises:
        NotYetError: the registry does not tell what a schema is.
    """
    look = _Look(assembly)
    for batch in _batches(events):
        look.at(batch)
    return look.said()


def _batches(events: Iterable[Event]) -> Iterator[list[Event]]:
    left = iter(events)
    while batch := list(islice(left, _ROWS)):
        yield batch


class _Look:
    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._enricher = assembly.enrichers()()
        self._fields = assembly.columns()
        self._values: dict[str, list[Any]] = {field: [] for field in assembly.plan.fields}
        self._names = Names()
        self._filter: Counter[str] = Counter()
        self._ends: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()
        self._events = 0
        self._became: Counter[str] = Counter()
        self._dead: dict[tuple[str, str, str | None], list[Any]] = {}

    def at(self, events: Sequence[Event]) -> None:
        """Take in a batch."""
        results = self._enricher.enrich(events)
        for place, result in enumerate(results, self._events + 1):
            if isinstance(result, Filtered):
                self._became[str(outcome(result))] += 1
            elif isinstance(result, DeadLetter):
                cause = result.cause
                known = self._dead.setdefault((cause.stage, cause.code, cause.field), [0, place, cause.message])
                known[0] += 1
        self._events += len(events)
        self._look_for(events)
        self._columns([result.event for result in results if not isinstance(result, Filtered)])

    def _look_for(self, events: Sequence[Event]) -> None:
        """Keep which fields there are, and how often those of the filter are there and not null."""
        reader, selector = self._assembly.formats.reader, self._assembly.formats.selector
        values = [event.value() for event in events]
        for row in reader.read(values)[0] if self._assembly.file.spec.input.format != "json" else values:
            text = row.text if isinstance(row, Translated) else row
            try:
                self._names.add(orjson.loads(text) if isinstance(text, bytes) else None)
            except orjson.JSONDecodeError:  # a dead letter, which is told
                continue
        if selector is not None:
            for field, column in selector.columns(selector.read(values)[0]).items():
                self._filter[field] += sum(value is not None for value in column)

    def _columns(self, events: Sequence[Event]) -> None:
        """Keep what the fields hold, and how much of the tensors lies at their ends."""
        rows, unread = self._assembly.formats.reader.read([event.value() for event in events])
        read = [event for place, event in enumerate(events) if place not in unread]
        columns = self._fields.of(rows, read, {})
        for field in self._values:
            self._values[field] += columns[field]
        tensors, _ = self._assembly.plan.map(columns, len(read))
        for name, array in tensors.items():
            if self._assembly.signature.inputs[name].scale:
                limits = np.iinfo(array.dtype)
                self._ends[name] += int(np.count_nonzero((array == limits.min) | (array == limits.max)))
                self._sizes[name] += array.size

    def said(self) -> Sample:
        """Return what was seen."""
        dead = [
            Fallen(str(stage), str(code), field, count, first, message)
            for (stage, code, field), (count, first, message) in self._dead.items()
        ]
        dead.sort(key=lambda one: -one.count)
        return Sample(
            events=self._events,
            enriched=self._events - self._became.total() - sum(one.count for one in dead),
            filtered=dict(self._became),
            dead_letters=dead,
            fields=[_seen(field, values) for field, values in self._values.items() if values],
            warnings=[*self._absent(), *self._unasked(), *self._warnings(), *self._saturated()],
        )

    def _absent(self) -> Iterator[Finding]:
        """Find fields that no event has: most likely they are called otherwise."""
        if self._names.full or not self._names:
            return
        for path, field in read_fields(self._assembly.file.spec):
            if not self._names.has(field):
                stands_in = _instead(path, self._assembly)
                yield Finding(path, f"no event has a field `{field}`{stands_in}", self._names.hint(field))

    def _unasked(self) -> Iterator[Finding]:
        """Find what a filter does that nobody writes one for."""
        when: Path = ("when",)
        for field, count in self._filter.items():
            if not count and self._names.has(field):
                yield Finding(when, f"`{field}` is null in all events")
        if self._events and self._became.total() == self._events:
            yield Finding(when, "no event is for the model", "explain one of them")

    def _warnings(self) -> Iterator[Finding]:
        for path, feature in each_feature(self._assembly.file.spec.model):
            for field in fields_of(feature):
                if (values := self._values.get(field, [])) and self._is_known(field):
                    yield from (Finding(path, words) for words in _words(feature, field, values))

    def _is_known(self, field: str) -> bool:
        """Return whether there is more to say of a field than that no event has it."""
        return is_part(field) or self._names.full or not self._names or self._names.has(field)

    def _saturated(self) -> Iterator[Finding]:
        for name, ends in self._ends.items():
            share = ends / max(1, self._sizes[name])
            if share > _SATURATED:
                tensor = self._assembly.signature.inputs[name]
                path: Path = ("model", "inputs", name)
                yield Finding(path, f"{share:.2%} of the values lie at the ends of what {tensor} can hold")


def _instead(path: Path, assembly: Assembly) -> str:
    """Say what becomes of events without the field that is read there."""
    feature = dict(each_feature(assembly.file.spec.model)).get(path)
    if feature is None or isinstance(feature, PresentFeature):
        return ""
    return f": {_then(feature)}"


def _words(feature: Feature, field: str, values: Sequence[Any]) -> Iterator[str]:
    """Say what is worth a look about a feature of a field."""
    there = [value for value in values if value is not None]
    absent = 1 - len(there) / len(values)
    if absent and not isinstance(feature, PresentFeature):
        yield f"`{field}` is absent or null in {absent:.2%} of the events: {_then(feature)}"
    if len(values) >= _ENOUGH and there and _count(there) == 1 and not absent:
        yield f"`{field}` is always {_short(there[0])}: the model learns nothing from it"
    if isinstance(feature, CategoryFeature):
        yield from _unknown(feature, field, there)
    elif isinstance(feature, NumberFeature):
        yield from _odd_numbers(feature, field, _numbers(there))


def _then(feature: Feature) -> str:
    stands_in = getattr(feature, "missing", None)
    if stands_in is not None:
        return f"{msgspec.json.encode(stands_in).decode()} stands in"
    if isinstance(feature, CategoryFeature) and feature.unknown is not None:
        return "it counts as unknown"
    return "a function of yours is told" if isinstance(feature, PythonFeature) else "a dead letter each"


def _unknown(feature: CategoryFeature, field: str, there: Sequence[Any]) -> Iterator[str]:
    if not isinstance(feature.vocabulary, list) or feature.unknown is None:
        return  # without `unknown` they are dead letters, which are told anyway
    known = {key for entry in feature.vocabulary for key in keys(entry)}
    each = [key for value in there for key in (value if isinstance(value, list) else [value])]
    strangers = Counter(key for key in each if key not in known)
    if strangers:
        most = ", ".join(f"{_short(key)} ({count})" for key, count in strangers.most_common(_NAMED))
        more = ", …" if len(strangers) > _NAMED else ""
        yield f"{strangers.total() / len(each):.2%} of `{field}` are not in the vocabulary: {most}{more}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _odd_numbers(feature: NumberFeature, field: str, numbers: Array) -> Iterator[str]:
    if not len(numbers):
        return
    if feature.clip is not None:
        clipped = float(np.mean((numbers < feature.clip[0]) | (numbers > feature.clip[1])))
        if clipped:
            yield f"{clipped:.2%} of `{field}` are outside `clip`"
    scaled = (feature.mean, feature.std) != (0.0, 1.0) and feature.transform is None
    if scaled and len(numbers) >= _ENOUGH and abs(float(numbers.mean()) - feature.mean) > _FAR * feature.std:
        yield f"`{field}` is {numbers.mean():.4g} on average, far from the {feature.mean:g} that it is scaled by"


def _seen(field: str, values: Sequence[Any]) -> Seen:
    there = [value for value in values if value is not None]
    numbers = _numbers(there)
    return Seen(
        field=field,
        missing=1 - len(there) / len(values),
        distinct=_count(there),
        lowest=float(numbers.min()) if len(numbers) else None,
        highest=float(numbers.max()) if len(numbers) else None,
    )


def _numbers(there: Sequence[Any]) -> Array:
    numbers = [value for value in there if isinstance(value, int | float) and not isinstance(value, bool)]
    return np.array([value for value in numbers if abs(value) <= _LARGEST], float)


def _count(there: Sequence[Any]) -> int | None:
    distinct = len({repr(value) for value in there})
    return distinct if distinct <= _DISTINCT else None
