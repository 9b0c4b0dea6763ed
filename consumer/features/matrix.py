"""A list of features: columns side by side in one tensor."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from consumer.deadletter.causes import Code
from consumer.features.block import Values
from consumer.features.category import CategoryColumn
from consumer.features.column import EXACT, Column, Floats, cause
from consumer.model.tensors import Array, Tensor, from_floats
from consumer.types import Cause


class Matrix:
    """Columns side by side in one tensor, in row-major order where it has more dimensions."""

    def __init__(self, tensor: Tensor, columns: Sequence[Column]) -> None:
        self.tensors = (tensor,)
        self.ragged = ()
        self.sources = tuple(columns)
        self._tensor = tensor
        # The field of each of a row's values.
        self._fields = [column.field for column in columns for _ in range(column.width)]
        self._shape = tensor.shape[1:]
        kind = np.dtype(tensor.dtype).kind
        self._integer = kind in "iu" and not tensor.scale
        # Indices of a vocabulary are whole and in range as they come.
        self._indices = self._integer and all(
            isinstance(column, CategoryColumn) and column.indices and column.highest <= np.iinfo(tensor.dtype).max
            for column in columns
        )

    def build(self, values: Values, rows: int, bad: dict[int, Cause]) -> dict[str, Array]:
        """Return a (rows, ...) array of the tensor's type."""
        matrix = np.empty((rows, len(self._fields)), dtype=np.float64)
        place = 0
        with np.errstate(over="ignore"):  # an overflow becomes infinite, and that is looked for
            for column in self.sources:
                numbers = column.numbers(values[column.field], bad)
                matrix[:, place : place + column.width] = numbers.reshape(rows, column.width)
                place += column.width
            typed = self._typed(matrix, bad)
        return {self._tensor.name: typed.reshape(rows, *self._shape)}

    def _typed(self, matrix: Floats, bad: dict[int, Cause]) -> Array:
        if bad:
            matrix[list(bad)] = 0
        if self._indices:
            return matrix.astype(self._tensor.dtype)
        if self._integer:
            return self._integers(matrix, bad)
        made, odd = from_floats(matrix, self._tensor)
        if odd.any():
            self._refuse(matrix, odd, Code.OUT_OF_RANGE, f"is more than a {self._tensor.floats} can hold", bad)
        return made

    def _integers(self, matrix: Floats, bad: dict[int, Cause]) -> Array:
        limits = np.iinfo(self._tensor.dtype)
        outside = (matrix < max(limits.min, -EXACT)) | (matrix > min(limits.max, EXACT))
        if outside.any():
            self._refuse(matrix, outside, Code.OUT_OF_RANGE, f"is more than {self._tensor.dtype} can hold", bad)
            matrix[outside] = 0
        fraction = matrix != np.rint(matrix)
        if fraction.any():
            self._refuse(
                matrix, fraction, Code.NOT_INTEGER, f"is no whole number, and the tensor is {self._tensor.dtype}", bad
            )
        return matrix.astype(self._tensor.dtype)

    def _refuse(self, matrix: Floats, where: Any, code: Code, words: str, bad: dict[int, Cause]) -> None:  # noqa: ANN401
        for row, place in np.argwhere(where).tolist():
            bad.setdefault(row, cause(code, f"{matrix[row, place]:g} {words}", self._fields[place]))
