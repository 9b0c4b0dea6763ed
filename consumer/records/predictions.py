"""Outputs to JSON: all output fields and the provenance, one object a row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from consumer.deadletter.causes import Code, clipped
from consumer.records.answers import Column, OutputColumn
from consumer.records.reader import Bad
from consumer.types import Cause, Stage


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
        bad: Bad = {}
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is looked for
            columns = {name: column.take(outputs, bad) for name, column in self._columns.items()}
        _look_for_infinite(columns, bad)
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


def _look_for_infinite(columns: Mapping[str, Column], bad: Bad) -> None:
    for name, column in columns.items():
        if column.dtype == object or np.isfinite(column).all():
            continue
        each = column.reshape(len(column), -1)
        for row in np.flatnonzero(~np.isfinite(each).all(axis=1)).tolist():
            values = each[row]
            message = clipped(f"the model answered {values[~np.isfinite(values)][0]}")
            bad.setdefault(row, Cause(Stage.OUTPUTS, Code.NOT_FINITE, message, name))
