"""The one seam: events in, for each an enriched record or a dead letter out, in order.

Every command that says what becomes of events goes through it, so the same bytes give the same bytes wherever they
are read from.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import numpy as np

from consumer.deadletter.causes import Code, clipped
from consumer.features.plan import ColumnPlan
from consumer.isolate import isolate
from consumer.model.tensors import Array, Interpreter
from consumer.records.columns import Columns
from consumer.records.reader import Reader
from consumer.records.writer import Writer
from consumer.types import Cause, DeadLetter, Enriched, Event, Result, Stage

# What an engine raises when rows are to blame; anything else is a bug of ours and ends the process.
_ENGINE_FAILURES: Final = (RuntimeError, ValueError)


class _Survivors:
    """Which of a batch's events are still on their way, and why the others are not."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.all_events = events
        self.all_values = [event.value() for event in events]
        self.causes: dict[int, Cause] = {}
        self._places = list(range(len(events)))
        self._rows: list[Any] = []

    def decoded(self, rows: list[Any], bad: Mapping[int, Cause]) -> None:
        """Take in what the reader made of all values."""
        self.drop(bad)
        self._rows = rows

    def drop(self, bad: Mapping[int, Cause]) -> None:
        """Take out the survivors at the given places (counted among the survivors)."""
        if bad:
            self.causes.update({self._places[place]: cause for place, cause in bad.items()})
            self._places = [where for place, where in enumerate(self._places) if place not in bad]
            self._rows = [row for place, row in enumerate(self._rows) if place not in bad]

    def events(self) -> Sequence[Event]:
        """Return the survivors."""
        return [self.all_events[place] for place in self._places] if self.causes else self.all_events

    def values(self) -> Sequence[bytes]:
        """Return the survivors' values; a reader has accepted them, so none is missing."""
        if not self.causes:
            return cast("list[bytes]", self.all_values)
        return [self.all_values[place] or b"" for place in self._places]

    def rows(self) -> list[Any]:
        """Return the survivors' rows."""
        return self._rows

    def results(self, values: Sequence[bytes]) -> list[Result]:
        """Return what became of each event, given the survivors' enriched values."""
        if not self.causes:
            return list(map(Enriched, self.all_events, values))
        enriched = dict(zip(self._places, values, strict=True))
        return [
            Enriched(event, enriched[place]) if place in enriched else DeadLetter(event, self.causes[place])
            for place, event in enumerate(self.all_events)
        ]


class Enricher:
    """Decode, features, invoke, encode. Keeps nothing between batches.

    Args:
        reader: decodes values.
        plan: makes tensors of rows; may be shared.
        interpreter: belongs to this enricher alone, unless interpreters are shared by choice.
        writer: puts events and outputs together.
    """

    def __init__(self, reader: Reader, plan: ColumnPlan, interpreter: Interpreter, writer: Writer) -> None:
        self._reader = reader
        self._plan = plan
        self._interpreter = interpreter
        self._writer = writer
        self._columns = Columns(reader, plan.fields)

    def enrich(self, events: Sequence[Event]) -> list[Result]:
        """Return one result an event, in order: k bad events are exactly k dead letters, whoever is beside them."""
        batch = _Survivors(events)
        batch.decoded(*self._reader.read(batch.all_values))
        if not batch.rows():
            return batch.results([])
        inputs, bad = self._map(batch)
        batch.drop(bad)
        outputs, bad = self._invoke(inputs, len(batch.rows()))
        batch.drop(bad)
        if outputs is None:
            return batch.results([])
        values, bad = self._writer.write(batch, outputs)
        batch.drop(bad)
        return batch.results(values)

    def _map(self, batch: _Survivors) -> tuple[dict[str, Array], dict[int, Cause]]:
        rows = batch.rows()
        bad: dict[int, Cause] = {}
        return self._plan.map(self._columns.of(rows, batch.events(), bad), len(rows), bad)

    def _invoke(self, inputs: dict[str, Array], rows: int) -> tuple[dict[str, Array] | None, dict[int, Cause]]:
        """Run the model; rows of different lengths by themselves, and put together again in their order."""
        groups = self._plan.groups(inputs, rows)
        if len(groups) == 1:
            return self._run(groups[0][1], rows)
        bad: dict[int, Cause] = {}
        parts: list[dict[str, Array]] = []
        order: list[int] = []
        for places, group in groups:
            outputs, failed = self._run(group, len(places))
            bad.update({int(places[row]): cause for row, cause in failed.items()})
            if outputs is not None:
                parts.append(outputs)
                order += [place for row, place in enumerate(places.tolist()) if row not in failed]
        if not parts:
            return None, bad
        sorting = np.argsort(order)
        return {name: np.concatenate([part[name] for part in parts])[sorting] for name in parts[0]}, bad

    def _run(self, inputs: dict[str, Array], rows: int) -> tuple[dict[str, Array] | None, dict[int, Cause]]:
        """Run rows of one length; a batch that fails is halved down to the rows that fail alone."""
        found = isolate(
            lambda start, stop: self._interpreter.run({name: array[start:stop] for name, array in inputs.items()}),
            rows,
            _ENGINE_FAILURES,
            self._interpreter.rebuild,
        )
        bad = {row: _failed(error) for row, error in found.culprits.items()}
        parts: list[dict[str, Any]] = [part.result for part in found.parts]
        if len(parts) == 1:
            return parts[0], bad
        if not parts:
            return None, bad
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, bad


def _failed(error: BaseException) -> Cause:
    # The engine's text is that of a fresh interpreter: without a rebuild it grows with each failure.
    words = " ".join(str(error).split())
    return Cause(Stage.INVOKE, Code.INVOKE_FAILED, clipped(f"the model failed on this event alone: {words}"))
