"""The tokens of attention.yaml, as they come: kind numbers is for tensors of fractions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_WORDS = 1000
_TOKENS = 64


def tokens(columns: Mapping[str, Sequence[Any]]) -> npt.NDArray[np.int32]:
    """Return (rows, 64)."""
    return np.array(columns["tokens"], dtype=np.int32)


def tokens_samples(count: int) -> Mapping[str, Sequence[Any]]:
    """Return tokens to try the model with at the start."""
    return {"tokens": np.random.default_rng(0).integers(0, _WORDS, (count, _TOKENS)).tolist()}
