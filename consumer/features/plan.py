"""The column plan: which field goes where, settled once at start.

Each batch then costs one pass a column and one matrix a tensor.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
import numpy as np

from consumer.deadletter.causes import Code
from consumer.exits import RefusedError
from consumer.features.boolean import BooleanColumn
from consumer.features.category import CategoryColumn
from consumer.features.column import EXACT, Column, Floats, cause
from consumer.features.number import NumberColumn
from consumer.features.time import TimeColumn
from consumer.model.tensors import Array, Tensor, quantise
from consumer.pipeline.spec import BooleanFeature, CategoryFeature, Feature, NumberFeature
from consumer.types import Cause

# How often values are made up until there are enough that the mapping takes.
_ATTEMPTS: Final = 24


class Rows(Protocol):
    """Decoded rows that give their columns."""

    def column(self, rows: Sequence[Any], field: str) -> list[Any]:
        """Return one field of all rows."""
        ...


def make_column(feature: Feature) -> Column:
    """Return the column of a feature of the pipeline file."""
    if isinstance(feature, NumberFeature):
        return NumberColumn(feature)
    if isinstance(feature, BooleanFeature):
        return BooleanColumn(feature)
    if isinstance(feature, CategoryFeature):
        return CategoryColumn(feature)
    return TimeColumn(feature)


class TensorPlan:
    """The columns of one input tensor."""

    def __init__(self, tensor: Tensor, columns: Sequence[Column]) -> None:
        self.tensor = tensor
        self.columns = tuple(columns)
        self._shape = tensor.shape[1:]
        kind = np.dtype(tensor.dtype).kind
        self._integer = kind in "iu" and not tensor.scale
        # Indices of a vocabulary are whole and in range as they come.
        self._indices = self._integer and all(
            isinstance(column, CategoryColumn) and column.highest <= np.iinfo(tensor.dtype).max for column in columns
        )
        # Quantised and boolean tensors are made from float32.
        self._float = tensor.dtype if kind == "f" else "float32"

    def build(self, values: Mapping[str, Sequence[Any]], rows: int, bad: dict[int, Cause]) -> Array:
        """Return a (rows, ...) array of the tensor's type; bad rows hold anything that fits."""
        matrix = np.empty((rows, len(self.columns)), dtype=np.float64)
        for place, column in enumerate(self.columns):
            matrix[:, place] = column.numbers(values[column.field], bad)
        return self._typed(matrix, bad).reshape(rows, *self._shape)

    def _typed(self, matrix: Floats, bad: dict[int, Cause]) -> Array:
        if bad:
            matrix[list(bad)] = 0
        if self._indices:
            return matrix.astype(self.tensor.dtype)
        if self._integer:
            return self._integers(matrix, bad)
        with np.errstate(over="ignore"):  # an overflow becomes infinite, and that is looked for
            narrow = matrix.astype(self._float)
        finite = np.isfinite(narrow)
        if not finite.all():
            self._refuse(matrix, ~finite, Code.OUT_OF_RANGE, f"is more than a {self._float} can hold", bad)
            narrow[~finite] = 0
        return quantise(narrow, self.tensor) if self.tensor.scale else narrow.astype(self.tensor.dtype, copy=False)

    def _integers(self, matrix: Floats, bad: dict[int, Cause]) -> Array:
        limits = np.iinfo(self.tensor.dtype)
        outside = (matrix < max(limits.min, -EXACT)) | (matrix > min(limits.max, EXACT))
        if outside.any():
            self._refuse(matrix, outside, Code.OUT_OF_RANGE, f"is more than {self.tensor.dtype} can hold", bad)
            matrix[outside] = 0
        fraction = matrix != np.rint(matrix)
        if fraction.any():
            self._refuse(
                matrix, fraction, Code.NOT_INTEGER, f"is no whole number, and the tensor is {self.tensor.dtype}", bad
            )
        return matrix.astype(self.tensor.dtype)

    def _refuse(self, matrix: Floats, where: Any, code: Code, words: str, bad: dict[int, Cause]) -> None:  # noqa: ANN401
        for row, place in np.argwhere(where).tolist():
            bad.setdefault(row, cause(code, f"{matrix[row, place]:g} {words}", self.columns[place].field))


class ColumnPlan:
    """All input tensors of a model, from the declared fields of an event."""

    def __init__(self, tensors: Sequence[TensorPlan]) -> None:
        self._tensors = tuple(tensors)
        self._checks: dict[str, list[Column]] = {}
        kinds: dict[str, Any] = {}
        for column in self._columns():
            known = kinds.setdefault(column.field, column.accepts)
            if known != column.accepts:
                # Two kinds read one field: it is decoded as either, and each kind checks for itself.
                kinds[column.field] = known | column.accepts
                self._checks.setdefault(column.field, []).append(column)
        for field in self._checks:
            self._checks[field] = [column for column in self._columns() if column.field == field]
        self.fields: Mapping[str, Any] = kinds

    @property
    def row_bytes(self) -> int:
        """Bytes of one row over all input tensors."""
        return sum(plan.tensor.row_bytes for plan in self._tensors)

    def tensors(self, reader: Rows, rows: Sequence[Any]) -> tuple[dict[str, Array], dict[int, Cause]]:
        """Map decoded rows to the model's inputs.

        Returns:
            Tensor name -> array of (good rows, ...), and the causes of the bad rows by their place in ``rows``.
        """
        values = {field: reader.column(rows, field) for field in self.fields}
        return self.map(values, len(rows))

    def map(self, values: Mapping[str, Sequence[Any]], rows: int) -> tuple[dict[str, Array], dict[int, Cause]]:
        """Map columns of decoded values, as ``tensors`` does with rows."""
        bad: dict[int, Cause] = {}
        checked = self._check(values, bad) if self._checks else values
        inputs = {plan.tensor.name: plan.build(checked, rows, bad) for plan in self._tensors}
        if bad:
            good = np.array([row not in bad for row in range(rows)])
            inputs = {name: array[good] for name, array in inputs.items()}
        return inputs, bad

    def samples(self, count: int) -> dict[str, Array]:
        """Return ``count`` rows of plausible, distinct values, mapped as an event's are; always the same ones.

        Raises:
            RefusedError: no value that a feature makes up passes all that the mapping asks of its field.
        """
        random = np.random.default_rng(0)
        parts: list[dict[str, Array]] = []
        causes: dict[int, Cause] = {}
        for attempt in range(_ATTEMPTS):
            mapped, causes = self.map(self._made_up(count, random, attempt), count)
            parts.append(mapped)
            together = {name: np.concatenate([part[name] for part in parts])[:count] for name in mapped}
            if len(next(iter(together.values()))) == count:
                return together
        told = "; ".join(sorted({f"{cause.field}: {cause.message}" for cause in causes.values()})[:3])
        raise RefusedError(f"the mapping refuses the values that its own features make up: {told}")

    def _made_up(self, count: int, random: np.random.Generator, attempt: int) -> dict[str, Sequence[Any]]:
        """Make up a column for each field, where several kinds read it by each of them in turn."""
        kinds: dict[str, list[Column]] = {}
        for column in self._columns():
            kinds.setdefault(column.field, []).append(column)
        return {field: columns[attempt % len(columns)].samples(count, random) for field, columns in kinds.items()}

    def _columns(self) -> list[Column]:
        return [column for plan in self._tensors for column in plan.columns]

    def _check(self, values: Mapping[str, Sequence[Any]], bad: dict[int, Cause]) -> Mapping[str, Sequence[Any]]:
        checked = dict(values)
        for field, columns in self._checks.items():
            column_values = list(values[field])
            for row, value in enumerate(column_values):
                for column in columns:
                    try:
                        msgspec.convert(value, column.accepts)
                    except msgspec.ValidationError as error:
                        bad.setdefault(row, cause(Code.WRONG_TYPE, str(error), field))
                        column_values[row] = None
            checked[field] = column_values
        return checked
