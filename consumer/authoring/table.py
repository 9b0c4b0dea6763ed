"""How many indices an input of a model knows: found by trying, since no signature says it."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from consumer.model.engines import Engine
from consumer.model.file import ModelFile, Signature
from consumer.model.runner import Runner
from consumer.model.tensors import Array, Tensor

# Of a larger table, or of an input that takes any number, nothing is said.
_MOST: Final = 2**20


def table_sizes(engine: Engine, model: ModelFile, signature: Signature) -> dict[str, int]:
    """Return, for each input of one index a row, how many it knows: from 0 up to that, without it."""
    sizes: dict[str, int] = {}
    zeros = {name: _zeros(tensor) for name, tensor in signature.inputs.items()}
    for name, tensor in signature.inputs.items():
        if tensor.width == 1 and tensor.dtype.startswith(("int", "uint")) and not tensor.scale:
            size = _size(Runner(engine, model, signature, (1,)), zeros, tensor)
            if size is not None:
                sizes[name] = size
    return sizes


def _zeros(tensor: Tensor) -> Array:
    return np.zeros((1, *(max(size, 1) for size in tensor.shape[1:])), dtype=tensor.dtype)


def _size(runner: Runner, zeros: Mapping[str, Array], tensor: Tensor) -> int | None:
    """Return the first index that the model fails on; None if there is none, or it fails on the first."""
    most = min(_MOST, int(np.iinfo(tensor.dtype).max))
    if not _takes(runner, zeros, tensor, 0) or _takes(runner, zeros, tensor, most):
        return None
    known, unknown = 0, most
    while unknown - known > 1:
        middle = (known + unknown) // 2
        known, unknown = (middle, unknown) if _takes(runner, zeros, tensor, middle) else (known, middle)
    return unknown


def _takes(runner: Runner, zeros: Mapping[str, Array], tensor: Tensor, index: int) -> bool:
    try:
        runner.run({**zeros, tensor.name: np.full_like(zeros[tensor.name], index)})
    except (RuntimeError, ValueError):
        runner.rebuild()
        return False
    return True
