"""What the training scripts of these examples share: a converted model as it is served, and the files they write."""

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

Arrays = dict[str, np.ndarray]


class Served:
    """A .tflite file behind an interpreter with one thread, in the units of its Keras model.

    Metrics and golden rows come from here: what is measured is what is served.
    """

    def __init__(self, path: Path) -> None:
        self.runner = Interpreter(model_path=str(path), num_threads=1).get_signature_runner("serving_default")
        self.inputs = self.runner.get_input_details()
        self.outputs = self.runner.get_output_details()

    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Run one batch, real numbers in and out; integers that are indices stay as they are."""
        stored = {name: _quantised(inputs[name], detail) for name, detail in self.inputs.items()}
        return {name: _real(tensor, self.outputs[name]) for name, tensor in self.runner(**stored).items()}

    def run_all(self, inputs: Mapping[str, np.ndarray], rows: int = 256) -> Arrays:
        """Run all rows, so many at a time."""
        count = len(next(iter(inputs.values())))
        parts = [
            self.run({name: tensor[start : start + rows] for name, tensor in inputs.items()})
            for start in range(0, count, rows)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.outputs}


def _quantised(tensor: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    if not scale:
        return tensor
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(tensor / scale) + zero, limits.min, limits.max).astype(detail["dtype"])


def _real(tensor: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    return (tensor.astype("float32") - zero) * np.float32(scale) if scale else tensor


def write_gzip(path: Path, content: bytes) -> None:
    """Write bytes compressed, with no time and no name in the header: same content, same bytes."""
    path.write_bytes(gzip.compress(content, compresslevel=9, mtime=0))


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write compact JSON lines, compressed if the name says so."""
    lines = (json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n" for row in rows)
    content = "".join(lines).encode()
    if path.suffix == ".gz":
        write_gzip(path, content)
    else:
        path.write_bytes(content)


def golden_row(served: Served, event: int, inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Give one row's input tensors and what the model answers to them, without the batch dimension."""
    outputs = served.run({name: tensor[np.newaxis] for name, tensor in inputs.items()})
    return {
        "id": event,
        "inputs": {name: _plain(tensor) for name, tensor in inputs.items()},
        "outputs": {name: _plain(tensor[0]) for name, tensor in outputs.items()},
    }


def _plain(tensor: np.ndarray) -> Any:  # noqa: ANN401 - numbers, nested as deep as the tensor
    """Give nested lists; a float32 is written with as few digits as tell it from its neighbours."""
    if tensor.ndim:
        return [_plain(part) for part in tensor]
    return float(str(tensor)) if np.issubdtype(tensor.dtype, np.floating) else int(tensor)


def report_files(folder: Path) -> None:
    """Print size and hash of the models, for the model card."""
    for path in sorted(folder.glob("*.tflite")):
        print(path.name, path.stat().st_size, "bytes, sha256", hashlib.sha256(path.read_bytes()).hexdigest())
