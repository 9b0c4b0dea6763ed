"""What every format's writer is: events and outputs in, enriched values out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy.typing as npt

from consumer.records.layouts import Layout
from consumer.records.predictions import Predictions
from consumer.records.reader import Bad
from consumer.types import Event


class Batch(Protocol):
    """The events that are still on their way; each method gives one item an event, in order."""

    def events(self) -> Sequence[Event]:
        """Return the events."""
        ...

    def values(self) -> Sequence[bytes]:
        """Return the events' values as they came."""
        ...

    def rows(self) -> Sequence[Any]:
        """Return what the reader made of them."""
        ...


class Writer(Protocol):
    """Writes enriched values."""

    def write(self, batch: Batch, outputs: Mapping[str, npt.NDArray[Any]]) -> tuple[list[bytes], Bad]:
        """Put events and outputs together.

        Args:
            batch: the events.
            outputs: tensor name -> array of (rows, ...), dequantised.

        Returns:
            One enriched value for each good event in order, and the causes of the others by their place in the batch.
        """
        ...


def as_they_came(batch: Batch) -> Sequence[bytes]:
    """Return the values of JSON events."""
    return batch.values()


def as_translated(batch: Batch) -> Sequence[bytes]:
    """Return what a reader of another format made of the events."""
    return [row.text for row in batch.rows()]


class JsonWriter:
    """JSON beside the bytes of JSON events.

    Args:
        predictions: writes outputs.
        layout: puts event and predictions together.
        events: gives the events of a batch as JSON.
    """

    def __init__(
        self, predictions: Predictions, layout: Layout, events: Callable[[Batch], Sequence[bytes]] = as_they_came
    ) -> None:
        self._predictions = predictions
        self._layout = layout
        self._events = events

    def write(self, batch: Batch, outputs: Mapping[str, npt.NDArray[Any]]) -> tuple[list[bytes], Bad]:
        """Put events and outputs together."""
        parts, bad = self._predictions.parts(outputs)
        values = self._events(batch)
        if bad:
            values = [value for place, value in enumerate(values) if place not in bad]
        return self._layout.write(values, parts), bad


class FramedWriter:
    """Puts the same before each value that another writer makes.

    Args:
        lead: what stands before each.
        writer: makes the values.
    """

    def __init__(self, lead: bytes, writer: Writer) -> None:
        self._lead = lead
        self._writer = writer

    def write(self, batch: Batch, outputs: Mapping[str, npt.NDArray[Any]]) -> tuple[list[bytes], Bad]:
        """Put events and outputs together."""
        values, bad = self._writer.write(batch, outputs)
        return [self._lead + value for value in values], bad
