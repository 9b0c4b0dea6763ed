"""kind: python. What a function of the pipeline's own makes of whole output tensors."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson

from consumer.hooks import WrongAnswerError, WrongRowsError, call_hook
from consumer.pipeline.outputs import PythonOutput
from consumer.records.answers import Column, Outputs
from consumer.records.reader import Bad
from consumer.trial import misfit
from consumer.types import Stage

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "number": (int, float),
    "integer": (int,),
    "text": (str,),
    "boolean": (bool,),
}


class HookColumn:
    """Writes what a hook returns, one JSON value a row.

    Args:
        name: of the output field, for causes.
        output: of the pipeline file.
        function: takes arrays of (rows, ...) by tensor, dequantised, and returns one value a row.
    """

    def __init__(
        self, name: str, output: PythonOutput, function: Callable[[Mapping[str, Any]], Sequence[Any]]
    ) -> None:
        self.tensors = tuple(output.tensors)
        self.hook = output.function
        self._name = name
        self._type = output.type
        self._function = function

    def take(self, outputs: Outputs, bad: Bad) -> Column:
        """Return (rows,) pieces of JSON."""
        rows = len(outputs[self.tensors[0]])
        called = call_hook(
            self._function, lambda places: self._pieces(outputs, places, rows), range(rows), Stage.OUTPUTS, self._name
        )
        for row, why in called.bad.items():
            bad.setdefault(row, why)
        column = np.full(rows, None, dtype=object)
        for places, pieces in called.parts:
            for place, piece in zip(places, pieces, strict=True):
                column[place] = piece
        return column

    def encode(self, column: Column) -> list[bytes]:
        """Return the pieces."""
        pieces: list[bytes] = column.tolist()
        return pieces

    def misfit(self, outputs: Outputs) -> str:
        """Say what is wrong with the function's answer for several rows at once; nothing where nothing is.

        Args:
            outputs: of as many rows as ``trial_rows`` says.
        """

        def run(places: list[int]) -> list[bytes]:
            return self._pieces({name: outputs[name][places] for name in self.tensors}, places, len(places))

        return misfit(self._function, run, len(outputs[self.tensors[0]]))

    def _pieces(self, outputs: Outputs, places: list[int], rows: int) -> list[bytes]:
        arrays = {name: outputs[name] if len(places) == rows else outputs[name][places] for name in self.tensors}
        for name, array in arrays.items():  # other fields are made of them too
            arrays[name] = array.view()
            arrays[name].flags.writeable = False
        values = list(self._function(arrays))
        if len(values) != len(places):
            raise WrongRowsError(f"returned {len(values)} values for {len(places)} rows")
        return [self._piece(value) for value in values]

    def _piece(self, value: Any) -> bytes:  # noqa: ANN401
        plain = value.item() if isinstance(value, np.generic) else value
        kinds = _TYPES.get(self._type)
        if kinds is not None and (not isinstance(plain, kinds) or (isinstance(plain, bool) and bool not in kinds)):
            raise WrongAnswerError(f"returned {plain!r}, which is no {self._type}")
        if not _finite(plain):
            raise WrongAnswerError(f"returned {plain!r}: JSON has no such number")
        if isinstance(plain, int) and not -(2**63) <= plain < 2**63:
            raise WrongAnswerError(f"returned {plain!r}, which is more than 64 bits hold")
        return orjson.dumps(plain, option=orjson.OPT_SERIALIZE_NUMPY)


def _finite(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, float | np.floating):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, np.ndarray):
        return value.dtype.kind != "f" or bool(np.isfinite(value).all())
    return all(map(_finite, value)) if isinstance(value, list | tuple) else True
