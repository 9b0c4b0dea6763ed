"""A model's bytes, read once: what was hashed is what is run, whatever happens to the file afterwards."""

import hashlib
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from consumer.exits import PipelineError, RefusedError
from consumer.model.engines import Engine
from consumer.model.tensors import Tensor

# Operators on resources that outlive a call: https://ai.google.dev/edge/litert/models/ops_variable
_STATEFUL: Final = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"})


class ModelFile(msgspec.Struct, frozen=True):
    """A .tflite file in memory.

    Attributes:
        name: the file's name without its ending.
        content: the flatbuffer.
        sha256: of the content, in hex.
    """

    name: str
    content: bytes
    sha256: str

    @property
    def label(self) -> str:
        """Name and short hash, as enriched records carry them."""
        return f"{self.name}@{self.sha256[:8]}"


class Signature(msgspec.Struct, frozen=True):
    """Inputs and outputs of a model by name.

    Attributes:
        inputs: by name.
        outputs: by name.
        key: its own name, of a model that has several: it is run by that; None where there is one, or none.
    """

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    key: str | None = None


def read_model(path: Path) -> ModelFile:
    """Read a .tflite file.

    Raises:
        PipelineError: it can't be read: whoever named it was wrong, as with any file that a pipeline names.
        RefusedError: it is no TensorFlow Lite flatbuffer (file identifier TFL3).
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # no path has a NUL in it
        raise PipelineError(f"model {path} can't be read: {getattr(error, 'strerror', None) or error}") from None
    if content[4:8] != b"TFL3":
        raise RefusedError(f"model {path} is no TensorFlow Lite file ({len(content)} bytes, without the mark TFL3)")
    return ModelFile(path.stem, content, hashlib.sha256(content).hexdigest())


def open_interpreter(engine: Engine, model: ModelFile) -> Any:  # noqa: ANN401 - neither runtime has types
    """Make an interpreter; its tensors are not allocated yet, since some models can't be at their default shape.

    Raises:
        RefusedError: the engine does not take this model; engine and model are named, with the engine's own words.
    """
    try:
        return engine.interpreter(model.content)
    except (RuntimeError, ValueError) as error:
        raise cant_run(engine, model, error) from None


def cant_run(engine: Engine, model: ModelFile, error: Exception) -> RefusedError:
    """Say that an engine can't run a model, for example for an operator that it lacks."""
    words = engine_text(error, 400)
    return RefusedError(f"model {model.label}: {engine.name} {engine.version} can't run it: {words}")


def engine_text(error: Exception, length: int) -> str:
    """Return an engine's own words on one line; where they are long, their end, which names the operator."""
    words = " ".join(str(error).split())
    return words if len(words) <= length else "…" + words[1 - length :]


def read_signature(interpreter: Any, model: ModelFile, wanted: str | None = None) -> Signature:  # noqa: ANN401
    """Return the tensors by their signature's names, or by their own names where the model has no signature.

    Args:
        interpreter: of the model.
        model: the file.
        wanted: which signature; not needed where there is one.

    Raises:
        RefusedError: it has several signatures and none is wanted, it has not the one that is, or a tensor is
            quantised per channel.
    """
    signatures = interpreter.get_signature_list()
    if wanted is not None and wanted not in signatures:
        known = f"it has {', '.join(signatures)}" if signatures else "it has none: leave `signature` out"
        raise RefusedError(f"model {model.label} has no signature {wanted}; {known}")
    if len(signatures) > 1 and wanted is None:
        names = ", ".join(signatures)
        raise RefusedError(f"model {model.label} has several signatures ({names}): say which with model.signature")
    key = wanted if len(signatures) > 1 else None
    if signatures:
        runner = interpreter.get_signature_runner(wanted or next(iter(signatures)))
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
    else:
        inputs = {details["name"]: details for details in interpreter.get_input_details()}
        outputs = {details["name"]: details for details in interpreter.get_output_details()}
    return Signature(
        {name: _tensor(name, details, model) for name, details in inputs.items()},
        {name: _tensor(name, details, model) for name, details in outputs.items()},
        key,
    )


def refuse_state(interpreter: Any, model: ModelFile) -> None:  # noqa: ANN401
    """Refuse a model that keeps state between calls: padding, rebalances and replays would corrupt it.

    Raises:
        RefusedError: it does; its operators are named.
    """
    kept = {operator["op_name"] for operator in interpreter._get_ops_details()} & _STATEFUL  # noqa: SLF001
    if kept:
        raise RefusedError(
            f"model {model.label} keeps state between calls ({', '.join(sorted(kept))}): padding, rebalances and "
            "replays would corrupt it. Convert it without variables"
        )


def _tensor(name: str, details: dict[str, Any], model: ModelFile) -> Tensor:
    quantisation = details["quantization_parameters"]
    scales, zero_points = quantisation["scales"], quantisation["zero_points"]
    if len(scales) > 1:
        raise RefusedError(
            f"model {model.label}: tensor `{name}` is quantised per channel, which no input or output may be"
        )
    shape = details["shape_signature"] if len(details["shape_signature"]) else details["shape"]
    return Tensor(
        name=name,
        index=int(details["index"]),
        shape=tuple(int(size) for size in shape),
        dtype=np.dtype(details["dtype"]).name,
        scale=float(scales[0]) if len(scales) else 0.0,
        zero_point=int(zero_points[0]) if len(zero_points) else 0,
    )
