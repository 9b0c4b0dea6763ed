"""How dead letters look to a person and to a program."""

import base64
from collections.abc import Generator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from consumer.cli.printed import Printed
from consumer.cli.progress import has_bars
from consumer.deadletter.letter import Letter
from consumer.deadletter.listing import DIMENSIONS, Histogram
from consumer.deadletter.selection import Span
from consumer.types import Event

_BAR: Final = 20
# Of a terminal that has room for bars beside names.
_WIDE: Final = 60
_MOST_ROWS: Final = 10
_HEX: Final = 16
_MOST_HEX: Final = 4096
_STEP: Final = 256
_PLAIN_WIDTH: Final = 120


def make_console() -> Console:
    """Return a console; where there is no terminal, lines are 120 long."""
    console = Printed(highlight=False)
    return console if console.is_terminal else Printed(highlight=False, width=_PLAIN_WIDTH)


def in_progress(records: Iterable[Event], spans: Mapping[int, Span], what: str) -> Generator[Event]:
    """Pass records on, with a progress bar on a terminal that is gone at the end."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    starts = {partition: start for partition, (start, _) in spans.items()}
    at = dict(starts)
    with Progress(*columns, console=console, transient=True, disable=not has_bars(console)) as bar:
        task = bar.add_task(what, total=sum(stop - start for start, stop in spans.values()))
        for count, record in enumerate(records):
            yield record
            at[record.partition()] = record.offset() + 1
            if count % _STEP == 0:
                bar.update(task, completed=sum(at.values()) - sum(starts.values()))


def moment(milliseconds: int) -> str:
    """Write a time as people and programs read it."""
    try:
        when = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{milliseconds} ms"
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def counted(count: int, singular: str = "dead letter") -> str:
    """Write a number of things."""
    return f"{count:,} {singular}" if count == 1 else f"{count:,} {singular}s"


def histogram_json(histogram: Histogram) -> dict[str, object]:
    """Return a histogram for programs: all of it."""
    ends = {
        name: moment(at)
        for name, at in (("oldest", histogram.oldest), ("newest", histogram.newest))
        if at is not None
    }
    return {"total": histogram.total, **ends, **{name: dict(histogram.rows(name)) for name in DIMENSIONS}}


def histogram_table(histogram: Histogram, width: int) -> Table:
    """Return a histogram for people: a block of rows a dimension, the ten most frequent of each.

    Args:
        histogram: the counts.
        width: of the terminal; a narrow one has no room for bars.
    """
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    if width >= _WIDE:
        table.add_column(style="cyan", no_wrap=True)

    def add(name: str, what: Text, count: int) -> None:
        bar = [_bar(count, histogram.total)] if width >= _WIDE else []
        table.add_row(name, what, f"{count:,}", *bar)

    for dimension in DIMENSIONS:
        rows = histogram.rows(dimension)
        if dimension == "replays" and [value for value, _ in rows] == ["0"]:
            continue
        if dimension == "field" and [value for value, _ in rows] == [""]:
            continue
        for number, (value, count) in enumerate(rows[:_MOST_ROWS]):
            name = "" if number else dimension
            add(name, Text(printable(value or "none")), count)
        if len(rows) > _MOST_ROWS:
            rest = sum(count for _, count in rows[_MOST_ROWS:])
            add("", Text(f"{len(rows) - _MOST_ROWS:,} more"), rest)
    return table


def letter_table(letter: Letter) -> Table:
    """Return what a dead letter says, without its value."""
    record = letter.record
    kind, died = record.timestamp()
    had, happened = letter.timestamp
    pairs = [
        ("dead letter", f"{record.topic()} {record.partition()}:{record.offset()}"),
        ("dead since", moment(died) if kind else "unknown"),
        ("event", f"{letter.topic} {letter.partition}:{letter.offset}"),
        ("timestamp", moment(happened) if had else "no timestamp"),
        ("stage", letter.stage),
        ("cause", letter.cause),
        ("field", letter.field),
        ("message", letter.message),
        ("model", letter.model),
        ("pipeline", letter.pipeline),
        ("replays", str(letter.replays) if letter.replays else None),
        ("key", _short(record.key())),
        *((f"header {name}", _short(value)) for name, value in letter.own_headers),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None:
            table.add_row(Text(printable(name)), Text(printable(value)))
    return table


def letter_json(letter: Letter, told: bytes | None = None) -> dict[str, object]:
    """Return a dead letter for programs.

    Args:
        letter: it.
        told: what its value says, as JSON, where its bytes don't: they stand beside it then, in base64.
    """
    record = letter.record
    kind, died = record.timestamp()
    had, happened = letter.timestamp
    return {
        "topic": record.topic(),
        "partition": record.partition(),
        "offset": record.offset(),
        "timestamp": moment(died) if kind else None,
        "event": {
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
            "timestamp": moment(happened) if had else None,
        },
        "stage": letter.stage,
        "cause": letter.cause,
        "field": letter.field,
        "message": letter.message,
        "model": letter.model,
        "pipeline": letter.pipeline,
        "replays": letter.replays,
        "key": _bytes_json(record.key()),
        "headers": [{"name": name, "value": _bytes_json(value)} for name, value in letter.own_headers],
        "value": _value_json(record.value()) if told is None else _told_json(told, record.value() or b""),
    }


def value_text(value: bytes | None) -> str:
    """Write a value for people: JSON with its digits as they are, else text, else bytes in hex."""
    if value is None:
        return "(no value: a tombstone)"
    try:
        return printable(msgspec.json.format(value, indent=2).decode())
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return printable(value.decode()) if value else "(empty)"
    except UnicodeDecodeError:
        return _hex_dump(value)


def printable(text: str) -> str:
    """Write what a terminal would obey as escapes; a dead letter may hold anything."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def dumps(content: Mapping[str, object]) -> str:
    """Write JSON for programs, and for people who look on."""
    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()


def _bar(count: int, total: int) -> str:
    return "█" * max(1, round(_BAR * count / total))


def _short(value: bytes | None) -> str:
    if value is None:
        return "null"
    try:
        return value.decode() if value else "(empty)"
    except UnicodeDecodeError:
        return "0x" + value.hex()


def _bytes_json(value: bytes | None) -> object:
    if value is None:
        return None
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _value_json(value: bytes | None) -> object:
    if value is None:
        return None
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return _bytes_json(value)
    return {"json": orjson.Fragment(value)}


def _told_json(told: bytes, value: bytes) -> object:
    shown = _value_json(told)
    if isinstance(shown, dict) and "json" in shown:
        return shown | {"base64": base64.b64encode(value).decode()}
    return _bytes_json(value)


def _hex_dump(value: bytes) -> str:
    lines = [_hex_line(value, at) for at in range(0, min(len(value), _MOST_HEX), _HEX)]
    if len(value) > _MOST_HEX:
        lines.append(f"… {len(value) - _MOST_HEX:,} more bytes: --raw")
    return "\n".join(lines)


def _hex_line(value: bytes, at: int) -> str:
    part = value[at : at + _HEX]
    text = "".join(c if c.isascii() and c.isprintable() else "." for c in part.decode("latin-1"))
    return f"{at:08x}  {part.hex(' '):<{3 * _HEX - 1}}  {text}"
