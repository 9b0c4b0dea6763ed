"""What the fields of JSON events hold: types, absences, values."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import msgspec
import orjson

from consumer.exits import PipelineError
from consumer.features.number import JSON_NUMBER
from consumer.pipeline.paths import joined, parse

# Beyond so many different values a field is no category.
MOST_ENTRIES: Final = 1000
_DEEPEST: Final = 8
_LONG_TEXT: Final = 24
# Of a field's values: a sample of real events has broken ones in it.
_NEARLY: Final = 0.9
_RARE: Final = 0.05
# Days and times as people write them, in whatever order, and as mails do.
_DATED: Final = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T,].*)?|[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} .*")
# Beyond it floats don't tell integers apart.
_EXACT: Final = 2**53


class Field(msgspec.Struct):
    """A field over all events.

    Attributes:
        path: of it, as features write it.
        events: how many events there are.
        types: how often it is a number, boolean, text, list or object.
        values: how often each text, number or boolean is there; emptied when there are too many.
        many: whether there were too many.
        digits: how many of its texts are numbers; these count among its numbers.
        integers: whether all numbers are whole.
        first: of its numbers.
        total: sum of its numbers, each without the first: large ones that differ little would have no deviation.
        squares: sum of the squares of these.
        lowest: of its numbers.
        highest: of its numbers.
        times: how many of its texts are RFC 3339 times, as features of that kind read them.
        dates: how many of its texts are other times.
        letters: characters of all its texts.
        lengths: of its lists of numbers.
        example: a text.
    """

    path: str
    events: int = 0
    types: Counter[str] = msgspec.field(default_factory=Counter)
    values: Counter[Any] = msgspec.field(default_factory=Counter)
    many: bool = False
    digits: int = 0
    integers: bool = True
    first: float | None = None
    total: float = 0.0
    squares: float = 0.0
    lowest: float = math.inf
    highest: float = -math.inf
    times: int = 0
    dates: int = 0
    letters: int = 0
    lengths: Counter[int] = msgspec.field(default_factory=Counter)
    example: str = ""

    @property
    def kind(self) -> str:
        """What nearly all its values are: number, boolean, text or list; mixed where they are not of one type."""
        if self.numbers >= _NEARLY * max(1, self.present):
            return "number"
        kind, count = next(iter(self.types.most_common(1)), ("null", 0))
        return kind if count >= _NEARLY * self.present else "mixed"

    @property
    def present(self) -> int:
        """In how many events it is there and not null."""
        return self.types.total()

    @property
    def numbers(self) -> int:
        """How often it is a number, or a text that is one."""
        return self.types["number"] + self.digits

    @property
    def missing(self) -> float:
        """In which part of the events it is absent or null."""
        return 1 - self.present / self.events

    @property
    def mean(self) -> float:
        """Of its numbers."""
        return (self.first or 0.0) + self.total / max(1, self.numbers)

    @property
    def std(self) -> float:
        """Of its numbers; 0 where it is too large to be told."""
        count = max(1, self.numbers)
        mean = self.total / count
        variance = self.squares / count - mean * mean  # a power that is too large raises, a product is infinite
        return math.sqrt(variance) if 0 < variance < math.inf else 0.0

    @property
    def is_time(self) -> bool:
        """Whether nearly all its texts are times."""
        return self.kind == "text" and self.times >= _NEARLY * self.types["text"]

    @property
    def is_date(self) -> bool:
        """Whether nearly all its texts are times, but not such as features read."""
        return self.kind == "text" and not self.is_time and self.times + self.dates >= _NEARLY * self.types["text"]

    @property
    def is_identifier(self) -> bool:
        """Whether it tells events apart, rather than saying anything of them."""
        if self.kind not in ("number", "text") or (self.kind == "number" and not self.integers):
            return False
        if self.is_time or self.is_date:
            return False
        every = self.many or (self.present > 1 and len(self.values) == self.present)
        if self.kind == "number" and max(-self.lowest, self.highest) > _EXACT:
            return every
        named = self.path.lower().rpartition(".")[2]
        return every and (
            named.endswith("id") or named in ("key", "uuid", "offset") or (self.kind == "text" and not self.is_long)
        )

    @property
    def is_constant(self) -> bool:
        """Whether it is always the same."""
        return len(self.values) == 1 and self.present > 1

    @property
    def is_long(self) -> bool:
        """Whether its texts are sentences or contents, not names."""
        text = self.kind == "text" and not (self.is_time or self.is_date)
        return text and self.letters / self.present > _LONG_TEXT

    @property
    def is_category(self) -> bool:
        """Whether it has few enough texts to be counted."""
        if self.kind != "text" or self.many:
            return False
        return not (self.is_time or self.is_date or self.is_long or self.is_identifier)

    @property
    def is_vector(self) -> bool:
        """Whether it is a list of numbers, nearly always there and of one length: no other can stand in for it."""
        return max(self.lengths.values(), default=0) >= _NEARLY * self.events

    @property
    def is_rare(self) -> bool:
        """Whether it is absent or null in nearly all events."""
        return self.present <= _RARE * self.events


class Look(msgspec.Struct):
    """What was seen of a sample.

    Attributes:
        fields: in the order in which they come, rare ones too.
        names: that events have at their top, whatever they hold.
        events: how many there are.
        bad: how many lines are no events.
        first_bad: place of the first of these and what is wrong with it.
    """

    fields: list[Field]
    names: set[str]
    events: int = 0
    bad: int = 0
    first_bad: str = ""


def look_at_fields(lines: Iterable[bytes], name: str, limit: int) -> Look:
    """Look at the fields of JSON events.

    Raises:
        PipelineError: no line is an event; names file and line of the first that is none.
    """
    fields: dict[str, Field] = {}
    look = Look([], set())
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = _event(line)
        except ValueError as error:
            look.bad += 1
            look.first_bad = look.first_bad or f"{name}:{number}: {error}"
            continue
        look.events += 1
        look.names |= event.keys()
        for path, value in _flat(event, ""):
            if _can_be_named(path):
                _take(fields.setdefault(path, Field(path)), value)
        if look.events == limit:
            break
    if not look.events:
        told = f"{look.first_bad}; a sample is JSON lines, an object a line" if look.bad else f"{name}: no events"
        raise PipelineError(told)
    for field in fields.values():
        field.events = look.events
    look.fields = list(fields.values())
    return look


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if "valid UTF-8" in error.msg:
            raise ValueError("not UTF-8") from None
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(event, dict):
        raise ValueError(f"an event is a JSON object, not {_word(event)}")  # noqa: TRY004 - a line's fault
    return event


def _flat(event: Mapping[str, Any], before: str, depth: int = 1) -> Iterator[tuple[str, Any]]:
    for name, value in event.items():
        path = joined(before, name)
        if isinstance(value, dict) and value and depth < _DEEPEST:
            yield from _flat(value, path, depth + 1)
        elif isinstance(value, list) and value and isinstance(value[0], dict) and value[0] and depth < _DEEPEST:
            yield from _flat(value[0], f"{path}[0]", depth + 1)
        else:
            yield path, value


def _can_be_named(path: str) -> bool:
    """Return whether a feature can read it: a name without letters, or with quotes in it, has no path."""
    try:
        return bool(parse(path))
    except ValueError:
        return False


def _take(field: Field, value: Any) -> None:  # noqa: ANN401
    if value is None:
        return
    kind = _word(value)
    field.types[kind] += 1
    if kind == "number":
        _count(field, value)
    elif kind == "text":
        # What `text: allow` takes; 007 is no number, but a name.
        if JSON_NUMBER.fullmatch(value) and math.isfinite(float(value)):
            field.digits += 1
            _count(field, float(value))
        field.letters += len(value)
        is_time = _is_time(value)
        field.times += is_time
        field.dates += not is_time and _DATED.fullmatch(value) is not None
        field.example = field.example or value
    elif kind == "list" and value and all(map(_is_number, value)):
        field.lengths[len(value)] += 1
    if kind in ("number", "text", "boolean") and not field.many:
        field.values[value] += 1
        if len(field.values) > MOST_ENTRIES:
            field.many = True
            field.values.clear()


def _count(field: Field, number: float) -> None:
    if field.first is None:
        field.first = float(number)
    away = float(number) - field.first
    field.total += away
    field.squares += away * away
    field.lowest, field.highest = min(field.lowest, number), max(field.highest, number)
    field.integers = field.integers and float(number).is_integer()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_time(text: str) -> bool:
    """Return whether features take a text for a time, seconds that are put in at the ends of months apart."""
    with suppress(msgspec.ValidationError):
        msgspec.convert(text, datetime)
        return True
    return False


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if _is_number(value):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "object"
