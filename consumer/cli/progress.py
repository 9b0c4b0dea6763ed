"""A progress bar on a terminal, told once a batch."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from consumer.files import Sink
from consumer.sources import Source
from consumer.types import Event, Positions


class Progressing(msgspec.Struct):
    """A source, with how far it goes.

    Attributes:
        source: of events.
        total: where it ends, if that is known: bytes, or events.
        at: how far it is, in bytes; None where events are counted.
    """

    source: Source
    total: int | None
    at: Callable[[], int] | None


class _Watched:
    """A source that ends after some events, and tells of each batch."""

    def __init__(self, source: Source, limit: int | None, told: Callable[[int], None]) -> None:
        self._source = source
        self._left = limit
        self._told = told
        self._count = 0

    def positions(self) -> Positions:
        """Return how far each partition has been read."""
        return self._source.positions()

    def read(self, limit: int) -> list[Event]:
        """Return the next events."""
        most = limit if self._left is None else min(limit, self._left)
        events = self._source.read(most) if most else []
        if self._left is not None:
            self._left -= len(events)
        self._count += len(events)
        self._told(self._count)
        return events

    def where(self, event: Event) -> dict[str, object]:
        """Return what tells a person where an event is."""
        return self._source.where(event)


class _Above:
    """Takes bytes that are written to a terminal above its bar: in its place, they would be mixed with it."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, content: bytes, /) -> None:
        """Write whole lines, as they are."""
        self._console.out(content.decode("utf-8", "backslashreplace"), end="", highlight=False)

    def flush(self) -> None:
        """Do nothing: it has been written."""


@contextmanager
def progress(found: Progressing, limit: int | None, *, beside: bool = False) -> Iterator[tuple[Source, Sink]]:
    """Show a bar on stderr, if that is a terminal that is there for it; it is gone at the end.

    Args:
        found: the source.
        limit: how many events of it at most.
        beside: whether something else is written to the terminal too: then there is no bar.

    Returns:
        The source to read from, and what writes to stderr beside the bar.
    """
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[events]:,} events"),
        TimeRemainingColumn(),
    )
    by_count = found.at is None or limit is not None
    total = limit if by_count and limit is not None else found.total
    if beside or not has_bars(console):
        yield _Watched(found.source, limit, lambda _: None), sys.stderr.buffer
        return
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, events=0)

        def told(count: int) -> None:
            bar.update(task, completed=count if by_count or found.at is None else found.at(), events=count)

        yield _Watched(found.source, limit, told), _Above(console)


def has_bars(console: Console) -> bool:
    """Return whether stderr is a terminal that can take back what it shows; settings of colour don't make it one."""
    return sys.stderr is not None and sys.stderr.isatty() and not console.is_dumb_terminal
