"""One interpreter, run in batches.

A new batch size costs the engine a re-plan (0.1 to 3 ms the first time), so batches are padded to a few sizes with
copies of their last row, whose answers are thrown away.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from consumer.model.engines import Engine
from consumer.model.file import ModelFile, Signature, open_interpreter
from consumer.model.tensors import Array, dequantise

_GROWTH: Final = 4


def buckets(rows: int) -> tuple[int, ...]:
    """Return the sizes that batches of up to ``rows`` are padded to: 1, 4, 16, ... and ``rows`` itself."""
    sizes = [1]
    while sizes[-1] * _GROWTH < rows:
        sizes.append(sizes[-1] * _GROWTH)
    return (*sizes, rows) if rows > 1 else (1,)


class Runner:
    """Runs a model on arrays of rows. One thread may use it: that which made it.

    Args:
        sizes: the batch sizes it may use, ascending; (1,) runs row by row.
    """

    def __init__(self, engine: Engine, model: ModelFile, signature: Signature, sizes: Sequence[int]) -> None:
        self._engine = engine
        self._model = model
        self._inputs = signature.inputs
        self._outputs = signature.outputs
        self._key = signature.key
        self._sizes = tuple(sizes)
        self._owner = threading.get_ident()
        self._open()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model.

        Args:
            inputs: tensor name -> array of (rows, ...) in the tensor's own dtype, quantised if it is.

        Returns:
            Tensor name -> array of (rows, ...), dequantised to float32 where the model quantises.

        Raises:
            RuntimeError, ValueError: the engine failed; call ``rebuild`` before the next run.
        """
        if threading.get_ident() != self._owner:
            raise AssertionError("an interpreter belongs to the thread that made it")
        rows = len(next(iter(inputs.values())))
        largest = self._sizes[-1]
        if rows <= largest:
            return self._run(inputs, rows)
        parts = [
            self._run(
                {name: array[start : start + largest] for name, array in inputs.items()}, min(largest, rows - start)
            )
            for start in range(0, rows, largest)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in self._outputs}

    def rebuild(self) -> None:
        """Make the interpreter anew: after a failure its state and its heap of error texts are not to be trusted."""
        self._open()

    def _open(self) -> None:
        self._interpreter = open_interpreter(self._engine, self._model)
        # Of a model with several signatures, each is a graph of its own, which only its own runner runs.
        self._by_name = None if self._key is None else self._interpreter.get_signature_runner(self._key)
        self._shapes: list[tuple[int, ...]] = []

    def _run(self, inputs: Mapping[str, Array], rows: int) -> dict[str, Array]:
        size = next(size for size in self._sizes if size >= rows)
        raw = self.raw_outputs({name: _padded(inputs[name], size) for name in self._inputs})
        return {name: dequantise(raw[name][:rows], tensor) for name, tensor in self._outputs.items()}

    def _resize(self, size: int, inputs: Mapping[str, Array]) -> None:
        shapes = [(size, *inputs[name].shape[1:]) for name in self._inputs]
        if shapes == self._shapes:
            return
        self._shapes = []  # if this fails, the next run must not take the old shapes for granted
        for tensor, shape in zip(self._inputs.values(), shapes, strict=True):
            self._interpreter.resize_tensor_input(tensor.index, shape)
        self._interpreter.allocate_tensors()
        self._shapes = shapes

    def raw_outputs(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        """Run one batch of exactly one size, unpadded and uncut."""
        if self._by_name is not None:
            found = self._by_name(**{name: inputs[name] for name in self._inputs})
            return {name: found[name] for name in self._outputs}
        rows = len(next(iter(inputs.values())))
        self._resize(rows, inputs)
        for name, tensor in self._inputs.items():
            self._interpreter.set_tensor(tensor.index, inputs[name])
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(tensor.index) for name, tensor in self._outputs.items()}


def _padded(array: Array, size: int) -> Array:
    short = size - len(array)
    return array if not short else np.concatenate([array, np.repeat(array[-1:], short, axis=0)])
