"""Raw events: bytes that nobody looks into but the features that ask for ``@value``."""

from collections.abc import Sequence
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

    def column(self, rows: Sequence[Any], field: str) -> list[Any]:
        """Refuse: a raw value has no fields.

        Raises:
            LookupError: always; the pipeline file is refused before it comes to this.
        """
        del rows
        raise LookupError(f"a raw event has no field {field!r}")
