"""The declared fields of a batch of events, a column each: of their values, and of the records around these."""

from collections.abc import Mapping, Sequence
from typing import Any

from consumer.pipeline.paths import is_part
from consumer.records.parts import Parts
from consumer.records.reader import Bad, Reader
from consumer.types import Event


class Columns:
    """Gives the fields of events that a reader has read.

    Args:
        reader: of the events' values.
        fields: declared field -> the type that what reads it takes; of the values' own the reader knows it.
    """

    def __init__(self, reader: Reader, fields: Mapping[str, Any]) -> None:
        parts = {field: accepts for field, accepts in fields.items() if is_part(field)}
        self._reader = reader
        self._parts = Parts(parts) if parts else None

    def of(self, rows: Sequence[Any], events: Sequence[Event], bad: Bad) -> Mapping[str, Sequence[Any]]:
        """Return the fields of all rows, of the types that they were declared with; None: absent or null.

        Args:
            rows: as the reader gave them.
            events: whose rows they are.
            bad: takes the causes of rows of which a part of the record is of another type.
        """
        columns = self._reader.columns(rows)
        return columns if self._parts is None else {**columns, **self._parts.columns(events, bad)}
