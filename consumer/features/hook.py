"""kind: python. What a function of the pipeline's own makes of whole columns, as a whole tensor."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, Final

import numpy as np

from consumer.deadletter.causes import Code
from consumer.exits import RefusedError
from consumer.features.block import Source, Values
from consumer.features.column import cause
from consumer.hooks import FAILURES, WrongAnswerError, WrongRowsError, call_hook, failure
from consumer.model.tensors import Array, Tensor, from_floats, whole_within
from consumer.pipeline.features import HookType, PythonFeature
from consumer.trial import misfit, trial_rows
from consumer.types import Cause, Stage

ACCEPTS: Final[Mapping[HookType, Any]] = {
    "number": float | None,
    "integer": int | None,
    "text": str | None,
    "boolean": bool | None,
    "any": Any,
}
_WORDS: Final = ("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath")


class HookField:
    """One of the fields that a hook reads.

    Args:
        field: it.
        kind: of its values.
        made: gives values for all of the hook's fields, if the hook has such a function.
    """

    def __init__(self, field: str, kind: HookType, made: Callable[[int], Mapping[str, Sequence[Any]]] | None) -> None:
        self.field = field
        self.accepts: Any = ACCEPTS[kind]
        self._kind = kind
        self._made = made

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return values that events could well have; those of the hook's own ``NAME_samples`` where it has one."""
        if self._made is not None:
            return self._given(self._made, count)
        if self._kind == "text":
            return [f"{random.choice(_WORDS)} {row}" for row in range(count)]
        if self._kind == "boolean":
            return [bool(value) for value in random.integers(0, 2, count)]
        if self._kind == "integer":
            return [int(value) for value in random.integers(0, 1000, count)]
        return [float(value) for value in random.normal(0, 1, count)]

    def _given(self, made: Callable[[int], Mapping[str, Sequence[Any]]], count: int) -> list[Any]:
        try:
            with redirect_stdout(sys.stderr):
                values = list(made(count)[self.field])
        except FAILURES as error:
            raise RefusedError(f"the samples of a hook for {self.field}: {failure(error, made)}") from error
        if len(values) != count:
            raise RefusedError(
                f"the samples of a hook for {self.field}: {len(values)} values, where {count} are wanted"
            )
        return values


class HookBlock:
    """A tensor that a hook makes.

    Args:
        feature: of the pipeline file.
        tensor: what it fills.
        function: takes columns by field, each a list with one value a row (None for absent and null), and returns an
            array of (rows, ...) of the tensor's shape.
        made: gives values to try it with.
    """

    def __init__(
        self,
        feature: PythonFeature,
        tensor: Tensor,
        function: Callable[[Mapping[str, Sequence[Any]]], Any],
        made: Callable[[int], Mapping[str, Sequence[Any]]] | None = None,
    ) -> None:
        self.tensors = (tensor,)
        self.ragged = ()
        self.sources: Sequence[Source] = [
            HookField(field, feature.types.get(field, "any"), made) for field in feature.fields
        ]
        self._fields = tuple(feature.fields)
        self._tensor = tensor
        self._shape = tensor.shape[1:]
        self._function = function

    def build(self, values: Values, rows: int, bad: dict[int, Cause]) -> dict[str, Array]:
        """Return a (rows, ...) array of the tensor's type."""
        good = [row for row in range(rows) if row not in bad] if bad else list(range(rows))
        name = self._tensor.name
        called = call_hook(self._function, lambda places: self._array(values, places), good, Stage.FEATURES, name)
        bad |= {row: why for row, why in called.bad.items() if row not in bad}
        made = np.zeros((rows, *self._shape), dtype=self._tensor.dtype)
        for places, array in called.parts:
            typed, odd = _typed(array, self._tensor)
            made[places] = typed
            for place in np.flatnonzero(odd).tolist():
                words = f"holds what no {self._tensor.dtype} can hold, or what is not finite"
                bad.setdefault(places[place], cause(Code.OUT_OF_RANGE, words, name))
        return {name: made}

    def misfit(self) -> str:
        """Say what is wrong with the function's answer for several rows at once; nothing where nothing is.

        Raises:
            RefusedError: the function that makes values to try it with fails.
        """
        random = np.random.default_rng(0)
        count = trial_rows([self._shape])
        values = {source.field: source.samples(count, random) for source in self.sources}
        return misfit(self._function, lambda places: self._array(values, places), count)

    def _array(self, values: Values, places: list[int]) -> Array:
        """Call the function; what it returns must be an array of the tensor's shape."""
        columns = {field: list(map(values[field].__getitem__, places)) for field in self._fields}
        made = self._function(columns)
        try:
            array = np.asarray(made)
        except (ValueError, TypeError) as error:  # lists of several lengths, for example
            raise WrongAnswerError(f"returned what is no array: {error}") from None
        wanted = (len(places), *self._shape)
        # Rows come first: of columns side by side the wrong way round, each event would get its neighbours' values.
        if array.shape[:1] != wanted[:1] or array.size != np.prod(wanted):
            raise WrongRowsError(f"returned an array of {list(array.shape)} for {list(wanted)}")
        if array.dtype.kind not in "fiub":
            raise WrongAnswerError(f"returned an array of type {array.dtype}, which is none of numbers")
        return array.reshape(wanted)


def _typed(array: Array, tensor: Tensor) -> tuple[Array, Array]:
    """Return an array of the tensor's type, and (rows,) whether a row holds what does not go into it."""
    dtype = np.dtype(tensor.dtype)
    if array.dtype == dtype and dtype.kind != "f":
        return array, np.zeros(len(array), dtype=bool)  # as stored, also where the tensor is quantised
    rows = len(array)
    if dtype.kind in "fb" or tensor.scale:
        made, odd = from_floats(array, tensor)
    else:
        odd = ~whole_within(array, np.iinfo(dtype))
        made = np.where(odd, 0, array).astype(dtype)
    unfit: Array = np.logical_or.reduce(odd.reshape(rows, -1), axis=1)
    return made, unfit
