"""What the demo shows: colours and boxes on a terminal, plain lines elsewhere."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import orjson
from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from consumer.deadletter.headers import PREFIX
from consumer.types import Event

_SHOWN: Final = ("carrier", "flight", "origin", "dest", "dep_delay", "time_hour")


class Outcome(msgspec.Struct):
    """What came of the demo."""

    enriched: list[Event]
    dead: list[Event]
    latencies: list[float]
    backlog_seconds: float
    backlog_events: int


def make_console() -> Console:
    """Return a console; where there is no terminal, lines are as long as they need to be."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=120)


def progress_bar(console: Console) -> Progress:
    """Return a progress bar, which is silent where there is no terminal."""
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def show_pairs(console: Console, events: Sequence[tuple[bytes, bytes]], field: str) -> None:
    """Show events before and after, side by side."""
    console.print("\n[bold]Three events, before and after[/bold] (fields left out here; the event's bytes are kept)")
    for before, after in events:
        if not console.is_terminal:
            console.print(f"event     {_line(before, None)}", soft_wrap=True)
            console.print(f"enriched  {_line(after, field)}", soft_wrap=True)
            continue
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(ratio=2)
        grid.add_column(ratio=3)
        grid.add_row(
            Panel(_few(orjson.loads(before), None), title="event", title_align="left"),
            Panel(_few(orjson.loads(after), field), title="enriched record", title_align="left"),
        )
        console.print(grid)


def show_dead_letters(console: Console, dead: Sequence[Event], wrongs: dict[bytes, str]) -> None:
    """Show dead letters with their causes."""
    heads = ("what was wrong", "stage", "cause", "field", "message", "from")
    table = _table(console, "Dead letters: untouched events, each with its cause in headers", heads=heads)
    for letter in dead:
        told = {name.removeprefix(PREFIX): (value or b"").decode() for name, value in letter.headers() or ()}
        place = f"{told['partition']}@{told['offset']}"
        wrong = wrongs.get(letter.value() or b"", "")
        table.add_row(wrong, told["stage"], told["cause"], told.get("field", ""), Text(told["message"]), place)
    console.print()
    console.print(table)


def show_summary(console: Console, sent: int, outcome: Outcome, stopped: dict[str, Any]) -> None:
    """Show the closing table."""
    table = _table(console, "What happened")
    table.add_column()
    table.add_column(justify="right")
    table.add_row("events in", f"{sent:,}")
    table.add_row("enriched", f"{len(outcome.enriched):,}")
    table.add_row("dead letters", f"{len(outcome.dead):,}")
    rate = outcome.backlog_events / max(outcome.backlog_seconds, 1e-9)
    table.add_row("events/s through the backlog", f"{rate:,.0f}")
    p50, p99 = np.percentile(outcome.latencies, [50, 99])
    table.add_row("produce to enriched record, p50", f"{1000 * p50:.1f} ms")
    table.add_row("produce to enriched record, p99", f"{1000 * p99:.1f} ms")
    for reason, count in sorted(stopped.get("batches", {}).items()):
        table.add_row(f"batches closed by {reason}", f"{count:,}")
    console.print()
    console.print(table)


def _line(event: bytes, field: str | None) -> str:
    return ", ".join(_few(orjson.loads(event), field).plain.splitlines())


def _table(console: Console, title: str, *, heads: Sequence[str] = ()) -> Table:
    """Return a table: boxed on a terminal, aligned lines elsewhere."""
    box = HEAVY_HEAD if console.is_terminal else None
    table = Table(title=title, title_justify="left", show_header=bool(heads), box=box, pad_edge=console.is_terminal)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _few(event: dict[str, Any], field: str | None) -> Text:
    """Write a few fields of an event, and the added one in bold."""
    lines = [f"{name}: {orjson.dumps(event[name]).decode()}" for name in _SHOWN if name in event]
    text = Text("\n".join(lines))
    if field is not None:
        added = [f"{field}.{name}: {orjson.dumps(value).decode()}" for name, value in event[field].items()]
        text.append("\n" + "\n".join(added), style="bold green")
    return text
