"""Raw events: bytes that nobody looks into but the features that ask for ``@value``."""

from collections.abc import Mapping, Sequence
from typing import Any

from consumer.deadletter.causes import Code
from consumer.records.reader import Bad
from consumer.types import Cause, Stage


class RawReader:
    """Takes values as they are; all fields are parts of the record."""

    def read(self, values: Sequence[bytes | None]) -> tuple[list[bytes], Bad]:
        """Return the values that are there; empty ones are no less raw, but hold nothing to predict from."""
        bad: Bad = {}
        for place, value in enumerate(values):
            if not value:
                words = "a tombstone" if value is None else "an empty value"
                bad[place] = Cause(Stage.DECODE, Code.NO_VALUE, words)
        return [value for value in values if value], bad

    def columns(self, rows: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        """Return none: a raw value has no fields."""
        del rows
        return {}
