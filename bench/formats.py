"""What each format costs: CPU of reading events and writing enriched records, features and model left out.

`python -m bench.formats` runs all formats in turns, in one process, and prints a table: medians over the turns.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from consumer.assembly import Assembly
from consumer.types import Event, PlainEvent
from tests.support.flights import flight_values
from tests.support.formats import assembled, schema_of, written
from tests.support.registries import Registry

ROWS = 256
BATCHES = 8
TURNS = 15

# Name in the table -> formats of events and of records.
WAYS = {
    "json": ("json", "json"),
    "json_schema": ("json_schema", "json_schema"),
    "avro": ("avro", "avro"),
    "avro, of an earlier schema": ("avro", "avro"),
    "avro to json": ("avro", "json"),
    "protobuf": ("protobuf", "protobuf"),
    "protobuf to json": ("protobuf", "json"),
}


class Batch:
    """Events and what a reader made of them, none of them bad."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._values = [event.value() or b"" for event in events]
        self._rows: Sequence[Any] = []

    def read(self, assembly: Assembly) -> None:
        """Read the events, and all fields that features take."""
        reader = assembly.formats.reader
        self._rows, bad = reader.read(self._values)
        if bad:
            raise RuntimeError(f"{len(bad)} of {len(self._events)} events fell out: {next(iter(bad.values()))}")
        reader.columns(self._rows)

    def events(self) -> Sequence[Event]:
        """Return the events."""
        return self._events

    def values(self) -> Sequence[bytes]:
        """Return their values."""
        return self._values

    def rows(self) -> Sequence[Any]:
        """Return what the reader made of them."""
        return self._rows


class Way:
    """A way from events to records, with events for it.

    Args:
        name: one of WAYS.
        folder: for a pipeline file.
    """

    def __init__(self, name: str, folder: Path) -> None:
        source, target = WAYS[name]
        registry = Registry()
        event = schema_of(source)
        number = registry.add(event, "flights-value")
        if "earlier" in name:
            tree = orjson.loads(event.text)
            tree["fields"] = [field for field in tree["fields"] if field["name"] != "tailnum"]
            event = type(event)(event.kind, orjson.dumps(tree).decode())
            number = registry.add(event)
        changes: dict[str, Any] = {"input": {"format": source}, "output": {"format": target}}
        changes["registry"] = {"url": "http://localhost:1"}  # never asked: what it knows is given
        self._assembly: Assembly = assembled(folder, changes, lambda _: registry)
        flights = [orjson.loads(value) for value in flight_values()[: ROWS * BATCHES]]
        values = [written(source, flight, event, None if source == "json" else number) for flight in flights]
        self.bytes = sum(map(len, values)) / len(values)
        self._batches = [
            [PlainEvent(value) for value in values[start : start + ROWS]] for start in range(0, len(values), ROWS)
        ]
        self._outputs = {
            name: np.linspace(0, 1, ROWS, dtype=np.float32).reshape(ROWS, 1) for name in ("minutes", "late")
        }
        self.reading: list[float] = []
        self.writing: list[float] = []

    def run(self) -> None:
        """Take one turn."""
        reading = writing = 0.0
        for events in self._batches:
            began = time.process_time()
            batch = Batch(events)
            batch.read(self._assembly)
            read = time.process_time()
            self._assembly.formats.writer.write(batch, self._outputs)
            writing += time.process_time() - read
            reading += read - began
        events_in_all = ROWS * len(self._batches)
        self.reading.append(1e6 * reading / events_in_all)
        self.writing.append(1e6 * writing / events_in_all)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        ways = {name: Way(name, Path(folder)) for name in WAYS}
    for _ in range(TURNS):
        for way in ways.values():
            way.run()
    for line in table(ways):
        print(line)


def table(ways: dict[str, Way]) -> Sequence[str]:
    """Return the lines of a table in Markdown."""
    whole = {
        name: statistics.median(map(sum, zip(way.reading, way.writing, strict=True))) for name, way in ways.items()
    }
    lines = ["| format | bytes an event | read, us | write, us | both, us | to json |", "|---|---|---|---|---|---|"]
    for name, way in ways.items():
        read, write = statistics.median(way.reading), statistics.median(way.writing)
        ratio = whole[name] / whole["json"]
        lines.append(f"| {name} | {way.bytes:.0f} | {read:.2f} | {write:.2f} | {whole[name]:.2f} | {ratio:.1f} |")
    return lines


if __name__ == "__main__":
    main()
