"""Outputs to JSON, a column at a time: numbers of a whole batch are formatted in one call.

A float32 is written with the fewest digits that give it back (9.31, not 9.3100004196167).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import orjson

from consumer.deadletter.causes import Code, clipped
from consumer.records.reader import Bad
from consumer.types import Cause, Stage

Column = npt.NDArray[Any]


class OutputColumn(Protocol):
    """One output field: which values of which tensor, and how they are written."""

    tensor: str
    index: int

    def encode(self, column: Column) -> list[bytes]:
        """Write a (rows,) column of finite numbers, one piece of JSON a row."""
        ...


class NumberColumn:
    """Writes the value itself."""

    def __init__(self, tensor: str, index: int) -> None:
        self.tensor = tensor
        self.index = index

    def encode(self, column: Column) -> list[bytes]:
        """Write a (rows,) column of finite numbers."""
        return orjson.dumps(column, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


class OverColumn:
    """Writes whether the value is over a threshold."""

    def __init__(self, tensor: str, index: int, threshold: float) -> None:
        self.tensor = tensor
        self.index = index
        self._threshold = threshold

    def encode(self, column: Column) -> list[bytes]:
        """Write a (rows,) column as true or false."""
        return [b"true" if over else b"false" for over in (column > self._threshold).tolist()]


class Predictions:
    """All output fields and the provenance: one JSON object a row.

    Args:
        columns: output fields by name.
        provenance: what each record says of its origin: {"model": "delay@3f2a91c0", ...}.
    """

    def __init__(self, columns: Mapping[str, OutputColumn], provenance: Mapping[str, str]) -> None:
        self._columns = dict(columns)
        names = [(b"," if place else b"{") + orjson.dumps(name) + b":" for place, name in enumerate(columns)]
        tail = b"," + orjson.dumps(dict(provenance))[1:]
        self._template = b"%b".join(part.replace(b"%", b"%%") for part in [*names, tail])

    def encode(self, outputs: Mapping[str, npt.NDArray[Any]]) -> tuple[list[bytes], Bad]:
        """Write the outputs of a batch.

        Args:
            outputs: tensor name -> array of (rows, ...), dequantised.

        Returns:
            One JSON object for each good row in order, and the causes of the others by row.
        """
        columns = {name: _column(outputs[c.tensor], c.index) for name, c in self._columns.items()}
        bad = _not_finite(columns)
        if bad:
            rows = len(next(iter(columns.values())))
            good = np.array([row not in bad for row in range(rows)])
            columns = {name: np.ascontiguousarray(column[good]) for name, column in columns.items()}
        return self._join(columns), bad

    def _join(self, columns: Mapping[str, Column]) -> list[bytes]:
        if not len(next(iter(columns.values()))):
            return []  # the empty column would be written as one empty piece
        pieces: list[Sequence[bytes]] = [self._columns[name].encode(column) for name, column in columns.items()]
        # A template and one formatting a row: the fastest of the ways tried to put bytes together.
        return [self._template % row for row in zip(*pieces, strict=True)]


def _column(tensor: npt.NDArray[Any], index: int) -> Column:
    return np.ascontiguousarray(tensor.reshape(len(tensor), -1)[:, index])


def _not_finite(columns: Mapping[str, Column]) -> Bad:
    bad: Bad = {}
    for name, column in columns.items():
        finite = np.isfinite(column)
        if not finite.all():
            for row in np.flatnonzero(~finite).tolist():
                message = clipped(f"the model answered {column[row]}")
                bad.setdefault(row, Cause(Stage.OUTPUTS, Code.NOT_FINITE, message, name))
    return bad
