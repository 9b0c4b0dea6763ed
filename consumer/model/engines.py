"""The two runtimes of TensorFlow Lite models, which share one Interpreter class.

LiteRT is the default; tflite-runtime, its predecessor under the old name, is an extra. Nothing else imports either.
"""

import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from consumer.exits import RefusedError

Choice = Literal["auto", "litert", "tflite-runtime"]

_MODULES: Final = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
}


class Engine(msgspec.Struct, frozen=True):
    """A runtime that is installed here.

    Attributes:
        name: litert or tflite-runtime.
        version: of the installed distribution.
        interpreter: makes an Interpreter of the model's bytes, with as many threads as were asked for: one.
    """

    name: str
    version: str
    interpreter: Callable[[bytes], Any]


def find_engine(choice: Choice, threads: int = 1) -> Engine:
    """Return the engine that a pipeline file names; for auto, the first that is installed.

    Args:
        choice: which.
        threads: of each interpreter. More than one is for ``consumer.plan``, which measures what that does.

    Raises:
        RefusedError: it is not installed.
    """
    names = list(_MODULES) if choice == "auto" else [choice]
    for name in names:
        module, distribution = _MODULES[name]
        try:
            runtime = importlib.import_module(module)
        except (ImportError, NameError):  # a broken wheel shows as NameError: LiteRT issue 4167
            continue
        return Engine(name, importlib.metadata.version(distribution), _maker(runtime, threads))
    raise RefusedError(f"model.engine: {' and '.join(names)} can't be imported; pip install {_MODULES[names[0]][1]}")


def _maker(runtime: Any, threads: int) -> Callable[[bytes], Any]:  # noqa: ANN401 - neither runtime has types
    def make(content: bytes) -> Any:  # noqa: ANN401
        # Said aloud, and one for each worker: more only makes workers on one machine starve each other.
        return runtime.Interpreter(model_content=content, num_threads=threads)

    return make
