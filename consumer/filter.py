"""Which events are for the model: the others pass as they are, or are dropped, in their place in the order."""

from collections.abc import Sequence
from typing import Any

from consumer.deadletter.causes import Code, clipped
from consumer.pipeline.expression import Expression
from consumer.pipeline.paths import is_part
from consumer.records.columns import Columns
from consumer.records.reader import Reader
from consumer.types import Cause, DeadLetter, Enriching, Event, Filtered, Result, Stage

# Parts are read as texts, a timestamp as a number of milliseconds.
_PART = str | int | None


class Filter:
    """Asks an expression of each event; those that it is true for are enriched.

    The filter reads events by itself, before anything else does: one that is not for the model need not have what
    its features ask for.

    Args:
        expression: the question.
        reader: decodes the fields that it is about.
        enricher: of those that are for the model.
        drop: what is not for the model is dropped, not passed on.
    """

    def __init__(self, expression: Expression, reader: Reader, enricher: Enriching, *, drop: bool) -> None:
        self._expression = expression
        self._reader = reader
        self._enricher = enricher
        self._drop = drop
        self._columns = Columns(reader, {field: _PART if is_part(field) else Any for field in expression.fields})

    def enrich(self, events: Sequence[Event]) -> list[Result]:
        """Return one result an event, in order."""
        results, chosen = self._look(events)
        if not chosen:
            return [result for result in results if result is not None]
        enriched = iter(self._enricher.enrich([events[place] for place in chosen]))
        return [next(enriched) if result is None else result for result in results]

    def _look(self, events: Sequence[Event]) -> tuple[list[Result | None], list[int]]:
        """Return what became of each event, None of those for the model, and the places of these."""
        rows, unread = self._reader.read([event.value() for event in events])
        places: Sequence[int] = range(len(events))
        read = events
        if unread:
            places = [place for place in places if place not in unread]
            read = [events[place] for place in places]
        unsaid: dict[int, Cause] = {}
        columns = self._columns.of(rows, read, unsaid)
        values = zip(*(columns[field] for field in self._expression.fields), strict=True)
        results: list[Result | None] = [None] * len(events)
        chosen: list[int] = []
        for row, (place, value) in enumerate(zip(places, values, strict=True)):
            cause = unsaid.get(row)
            try:
                if cause is None and self._expression.evaluate(*value):
                    chosen.append(place)
                    continue
            except (TypeError, ArithmeticError) as error:
                cause = Cause(Stage.FILTER, Code.FILTER_FAILED, clipped(f"`when`: {error}"))
            event = events[place]
            results[place] = Filtered(event, self._drop) if cause is None else DeadLetter(event, cause)
        for place, cause in unread.items():
            results[place] = DeadLetter(events[place], cause)
        return results, chosen
