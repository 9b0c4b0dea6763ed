"""What every format's reader is: values in, typed rows out."""

from collections.abc import Mapping, Sequence
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

    def columns(self, rows: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        """Return the declared fields of all rows, of the types that they were declared with; None: absent or null."""
        ...
