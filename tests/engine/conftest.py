"""The engines that this environment is for, and odd models opened with them.

ENGINES, or else the environment's folder, names them, so that an engine that can't be imported fails here rather
than being skipped.
"""

import os
import sys
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from consumer.model.engines import Choice, Engine, find_engine
from consumer.model.file import ModelFile, Signature, open_interpreter, read_model, read_signature
from consumer.model.probe import Limit, Verdict, probe
from consumer.model.runner import Runner
from consumer.model.tensors import Array

MODELS = Path(__file__).parents[1] / "models"
_BOTH = Path(sys.prefix).name == ".venv-tflite-runtime"
ENGINES = os.environ.get("ENGINES", "tflite-runtime litert" if _BOTH else "litert").split()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine of this environment."""
    return find_engine(cast("Choice", request.param))


class Opened:
    """A model of tests/models, opened.

    Args:
        name: of the file.
        engine: runs it.
    """

    def __init__(self, name: str, engine: Engine) -> None:
        self.engine = engine
        self.model: ModelFile = read_model(MODELS / f"{name}.tflite")
        self.signature: Signature = read_signature(open_interpreter(engine, self.model), self.model)

    def rows(self, count: int, seed: int = 0) -> dict[str, Array]:
        """Return distinct rows that the model takes."""
        random = np.random.default_rng(seed)
        made = {}
        for name, tensor in self.signature.inputs.items():
            shape = (count, *tensor.shape[1:])
            numbers = random.integers(1, 3, shape) if tensor.dtype == "int32" else 30 * random.uniform(0.01, 1, shape)
            made[name] = numbers.astype(tensor.dtype)
        return made

    def runner(self, *sizes: int) -> Runner:
        """Make a runner."""
        return Runner(self.engine, self.model, self.signature, sizes)

    def verdict(self, rows: int = 64, seconds: float = 1.0) -> Verdict:
        """Probe it."""
        return probe(self.engine, self.model, self.signature, self.rows, Limit(rows, seconds))

    def one_by_one(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Return what the model says of each row alone, in an interpreter that never saw a batch."""
        count = len(next(iter(inputs.values())))
        runner = self.runner(1)
        answers = [runner.run({name: array[row : row + 1] for name, array in inputs.items()}) for row in range(count)]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in self.signature.outputs}
