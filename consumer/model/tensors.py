"""What a model's tensors look like, and the arithmetic of quantised ones."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Interpreter(Protocol):
    """Runs the model; see ``consumer.model.runner``."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a batch."""
        ...

    def rebuild(self) -> None:
        """Start anew after a failure."""
        ...


class Tensor(msgspec.Struct, frozen=True):
    """An input or output of the model.

    Attributes:
        name: as in the signature, or the tensor's own where the model has no signature.
        index: its number in the interpreter.
        shape: with -1 for a dimension that may vary; dimension 0 counts rows.
        dtype: numpy's name, such as float32 or int8.
        scale: of a quantised tensor, value = (stored - zero_point) * scale; 0 where it is not quantised.
        zero_point: see scale.
    """

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0

    @property
    def width(self) -> int:
        """Values in one row."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) if len(self.shape) > 1 else 1

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.width * np.dtype(self.dtype).itemsize

    @property
    def floats(self) -> str:
        """The type of floats that its values are made as: its own, or float32 where it is quantised or boolean."""
        return self.dtype if np.dtype(self.dtype).kind == "f" else "float32"

    def __str__(self) -> str:
        shape = ", ".join("?" if size < 0 else str(size) for size in self.shape)
        return f"`{self.name}` ({self.dtype}[{shape}])"


def whole_within(numbers: Array, limits: "np.iinfo[Any]") -> npt.NDArray[np.bool_]:
    """Return which numbers are whole and fit a type of integers.

    Its highest is not always a float: compared as one, 2**63 would pass for an int64.
    """
    if numbers.dtype.kind != "f":
        inside: npt.NDArray[np.bool_] = (numbers >= limits.min) & (numbers <= limits.max)
        return inside
    exact = numbers.astype(np.float64, copy=False)
    whole: npt.NDArray[np.bool_] = exact == np.rint(exact)
    whole &= (exact >= float(limits.min)) & (exact < float(limits.max + 1))
    return whole


def from_floats(numbers: Array, tensor: Tensor) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Put numbers into a tensor of floats, or into one that is made of floats.

    Returns:
        The array in the tensor's type, and which of the numbers it can't hold: too large, or not finite.
    """
    with np.errstate(over="ignore"):  # an overflow becomes infinite, and that is looked for
        narrow = numbers.astype(tensor.floats)
    odd = ~np.isfinite(narrow)
    if odd.any():
        narrow[odd] = 0
    return quantise(narrow, tensor) if tensor.scale else narrow.astype(tensor.dtype, copy=False), odd


def quantise(numbers: Array, tensor: Tensor) -> Array:
    """Return stored = round(value / scale) + zero_point, halves away from zero, saturated at the type's ends.

    Formula: https://ai.google.dev/edge/litert/models/quantization_spec
    """
    limits = np.iinfo(tensor.dtype)
    steps = numbers.astype(np.float64)
    steps /= tensor.scale
    stored = np.abs(steps)
    stored += 0.5
    np.floor(stored, out=stored)
    np.copysign(stored, steps, out=stored)
    stored += tensor.zero_point
    return stored.clip(limits.min, limits.max, out=stored).astype(tensor.dtype)


def dequantise(stored: Array, tensor: Tensor) -> Array:
    """Return value = (stored - zero_point) * scale as float32; other tensors as they are."""
    if not tensor.scale:
        return stored
    return ((stored.astype(np.int32) - tensor.zero_point) * np.float32(tensor.scale)).astype(np.float32)
