"""Outputs to JSON: all output fields and the provenance, one object a row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from consumer.deadletter.causes import Code, clipped
from consumer.records.answers import Column, OutputColumn
from consumer.records.reader import Bad
from consumer.records.weave import Part, weave
from consumer.types import Cause, Stage


class Predictions:
    """All output fields and the provenance: one JSON object a row.

    Args:
        columns: output fields by name.
        provenance: what each record says of its origin: {"model": "delay@3f2a91c0", ...}.
    """

    def __init__(self, columns: Mapping[str, OutputColumn], provenance: Mapping[str, str]) -> None:
        self._columns = dict(columns)
        self._names = [(b"," if place else b"{") + orjson.dumps(name) + b":" for place, name in enumerate(columns)]
        self._tail = b"," + orjson.dumps(dict(provenance))[1:]

    def encode(self, outputs: Mapping[str, npt.NDArray[Any]]) -> tuple[list[bytes], Bad]:
        """Write the outputs of a batch.

        Args:
            outputs: tensor name -> array of (rows, ...), dequantised.

        Returns:
            One JSON object for each good row in order, and the causes of the others by row.
        """
        parts, bad = self.parts(outputs)
        rows = len(next(iter(outputs.values())))
        return weave(parts, rows - len(bad)), bad

    def parts(self, outputs: Mapping[str, npt.NDArray[Any]]) -> tuple[list[Part], Bad]:
        """Write the outputs of a batch, to be woven together with other parts of their records."""
        bad: Bad = {}
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is looked for
            columns = {name: column.take(outputs, bad) for name, column in self._columns.items()}
        _look_for_infinite(columns, bad)
        if bad:
            rows = len(next(iter(columns.values())))
            good = np.array([row not in bad for row in range(rows)])
            columns = {name: np.ascontiguousarray(column[good]) for name, column in columns.items()}
        parts: list[Part] = []
        for lead, (name, column) in zip(self._names, columns.items(), strict=True):
            parts += [lead, self._columns[name].encode(column)]
        return [*parts, self._tail], bad


def _look_for_infinite(columns: Mapping[str, Column], bad: Bad) -> None:
    for name, column in columns.items():
        if column.dtype == object or np.isfinite(column).all():
            continue
        each = column.reshape(len(column), -1)
        for row in np.flatnonzero(~np.isfinite(each).all(axis=1)).tolist():
            values = each[row]
            message = clipped(f"the model answered {values[~np.isfinite(values)][0]}")
            bad.setdefault(row, Cause(Stage.OUTPUTS, Code.NOT_FINITE, message, name))
