"""What fills input tensors: from columns of decoded values to whole arrays."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np

from consumer.model.tensors import Array, Tensor
from consumer.types import Cause

Values = Mapping[str, Sequence[Any]]

# Stands in integer tensors of a varying length where a row has ended; the row is run without it.
ABSENT: Final = -1


class Source(Protocol):
    """A field that a feature reads.

    Attributes:
        field: the event's field.
        accepts: the type that it is decoded as; always takes None for absent and null.
    """

    field: str
    accepts: Any

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return values that events could well have, as different as the feature allows."""
        ...


class Block(Protocol):
    """Makes one or several input tensors."""

    @property
    def tensors(self) -> Sequence[Tensor]:
        """What it fills."""
        ...

    @property
    def sources(self) -> Sequence[Source]:
        """What it reads; several may read one field."""
        ...

    @property
    def ragged(self) -> Sequence[str]:
        """Which of its tensors have rows of their own lengths, told by ``ABSENT`` beyond their ends."""
        ...

    def build(self, values: Values, rows: int, bad: dict[int, Cause]) -> dict[str, Array]:
        """Return the tensors by name, each an array of (rows, ...) of the tensor's type.

        Args:
            values: by field, one a row, of the types in ``sources``.
            rows: how many.
            bad: takes the cause of each row that can't be had; the arrays hold anything there that fits.
        """
        ...
