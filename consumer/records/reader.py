"""What every format's reader is: values in, typed rows out."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from consumer.types import Cause

# Place among what was given -> why that one fell out.
Bad: TypeAlias = dict[int, Cause]


class Reader(Protocol):
    """Decodes the declared fields of a batch of values."""

    def read(self, values: Sequence[bytes | None]) -> tuple[list[Any], Bad]:
        """Decode values.

        Returns:
            The rows of the good values in order, and the causes of the others by their place in ``values``.
        """
        ...

    def column(self, rows: Sequence[Any], field: str) -> list[Any]:
        """Return one declared field of all rows, of the type that it was declared with; None for absent and null."""
        ...
