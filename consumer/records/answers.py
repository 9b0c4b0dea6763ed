"""One output field each: which values of which tensor, and how they are written as JSON.

A column at a time: numbers of a whole batch are formatted in one call. A float32 is written with the fewest digits
that give it back (9.31, not 9.3100004196167).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from consumer.records.reader import Bad

# (rows,) or (rows, values).
Column: TypeAlias = npt.NDArray[Any]
Outputs: TypeAlias = Mapping[str, npt.NDArray[Any]]
Apply: TypeAlias = Literal["softmax", "sigmoid"] | None


class OutputColumn(Protocol):
    """One output field.

    Attributes:
        tensors: the names of the tensors that it is read from.
    """

    tensors: tuple[str, ...]

    def take(self, outputs: Outputs, bad: Bad) -> Column:
        """Return what is written: (rows,), or (rows, values) for lists.

        Args:
            outputs: tensor name -> (rows, ...).
            bad: takes the causes of rows that there is nothing for.
        """
        ...

    def encode(self, column: Column) -> list[bytes]:
        """Write what was taken, finite numbers all, one piece of JSON a row."""
        ...


def _rows(outputs: Outputs, tensor: str) -> Column:
    """Return an output as (rows, values)."""
    output = outputs[tensor]
    return output.reshape(len(output), -1)


class _OneValue:
    def __init__(self, tensor: str, index: int, apply: Apply = None) -> None:
        self.tensors: tuple[str, ...] = (tensor,)
        self._index = index
        self._apply = _APPLIED[apply]

    def take(self, outputs: Outputs, bad: Bad) -> Column:
        """Return one value a row."""
        del bad
        return np.ascontiguousarray(self._apply(_rows(outputs, *self.tensors))[:, self._index])


class NumberColumn(_OneValue):
    """Writes the value itself."""

    def encode(self, column: Column) -> list[bytes]:
        """Write a (rows,) column of finite numbers."""
        return _numbers(column)


class OverColumn(_OneValue):
    """Writes whether the value is over a threshold."""

    def __init__(self, tensor: str, index: int, threshold: float, apply: Apply = None) -> None:
        super().__init__(tensor, index, apply)
        self._threshold = threshold

    def encode(self, column: Column) -> list[bytes]:
        """Write a (rows,) column as true or false."""
        return [b"true" if over else b"false" for over in (column > self._threshold).tolist()]


class NumbersColumn:
    """Writes all values of a row as a list."""

    def __init__(self, tensor: str, apply: Apply = None) -> None:
        self.tensors: tuple[str, ...] = (tensor,)
        self._apply = _APPLIED[apply]

    def take(self, outputs: Outputs, bad: Bad) -> Column:
        """Return all values."""
        del bad
        return self._apply(_rows(outputs, *self.tensors))

    def encode(self, column: Column) -> list[bytes]:
        """Write a (rows, values) column of finite numbers."""
        if not len(column):
            return []  # it would be written as one empty piece
        whole = orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY)
        return [b"[" + row + b"]" for row in whole[2:-2].split(b"],[")]


class LabelColumn:
    """Writes the label of the largest value; neither softmax nor sigmoid moves that."""

    def __init__(self, tensor: str, labels: Sequence[str] | None) -> None:
        self.tensors: tuple[str, ...] = (tensor,)
        self._labels = _Labels(labels)

    def take(self, outputs: Outputs, bad: Bad) -> Column:
        """Return all values."""
        del bad
        return _rows(outputs, *self.tensors)

    def encode(self, column: Column) -> list[bytes]:
        """Write a (rows, values) column of finite numbers as labels; of equal values, the first's."""
        return self._labels.of(np.argmax(column, axis=1))


class TopColumn:
    """Writes the labels of the largest values with their scores."""

    def __init__(self, tensor: str, k: int, labels: Sequence[str] | None, apply: Apply = None) -> None:
        self.tensors: tuple[str, ...] = (tensor,)
        self._k = k
        self._labels = _Labels(labels)
        self._apply = _APPLIED[apply]

    def take(self, outputs: Outputs, bad: Bad) -> Column:
        """Return all values."""
        del bad
        return self._apply(_rows(outputs, *self.tensors))

    def encode(self, column: Column) -> list[bytes]:
        """Write a (rows, values) column of finite numbers; of equal values, the first comes first."""
        # Reversed and sorted stably: integers have no negative to sort by.
        places = column.shape[1] - 1 - np.argsort(column[:, ::-1], axis=1, kind="stable")[:, ::-1][:, : self._k]
        scores = iter(_numbers(np.take_along_axis(column, places, axis=1).ravel()))
        labels = iter(self._labels.of(places.ravel()))
        k = places.shape[1]
        return [
            b"[" + b",".join(b'{"label":%b,"score":%b}' % (next(labels), next(scores)) for _ in range(k)) + b"]"
            for _ in range(len(column))
        ]


class _Labels:
    """Labels as JSON, or the places of values where they have none."""

    def __init__(self, labels: Sequence[str] | None) -> None:
        self._written = None if labels is None else [orjson.dumps(label) for label in labels]

    def of(self, places: Column) -> list[bytes]:
        """Write the labels of (n,) places."""
        if self._written is None:
            return [b"%d" % place for place in places.tolist()]
        return [self._written[place] for place in places.tolist()]


def _numbers(column: Column) -> list[bytes]:
    if not len(column):
        return []  # it would be written as one empty piece
    return orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


def _as_it_is(output: Column) -> Column:
    return output


def _softmax(output: Column) -> Column:
    """exp(x - max) / sum of these, in float64; the largest is taken off so that none overflows."""
    wide = output.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    chances: Column = powers / powers.sum(axis=1, keepdims=True)
    return chances.astype(np.float32)


def _sigmoid(output: Column) -> Column:
    """1 / (1 + exp(-x)), in float64; from -|x|, so that nothing overflows."""
    wide = output.astype(np.float64)
    power = np.exp(-np.abs(wide))
    return (np.where(wide >= 0, 1.0, power) / (1.0 + power)).astype(np.float32)


_APPLIED: Final[Mapping[Apply, Callable[[Column], Column]]] = {
    None: _as_it_is,
    "softmax": _softmax,
    "sigmoid": _sigmoid,
}
