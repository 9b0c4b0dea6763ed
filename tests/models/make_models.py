"""Make the odd models beside this file: each is right or wrong about batches in a way of its own.

Needs the environment of examples/flights/requirements-train.txt, and gives the same bytes each time:
`python tests/models/make_models.py`. What each model is for stands in its function's docstring.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # has to come before TensorFlow is imported

import numpy as np
import tensorflow as tf  # type: ignore[import-not-found]  # only in the training environment
from tensorflow.lite.python import schema_py_generated as schema  # type: ignore[import-not-found]
from tensorflow.lite.tools import flatbuffer_utils  # type: ignore[import-not-found]

HERE = Path(__file__).parent

_random = np.random.default_rng(7)
TWO_BY_THREE = _random.normal(size=(3, 2)).astype("float32")
TWO_BY_FOUR = _random.normal(size=(4, 2)).astype("float32")
TABLE = _random.normal(size=(5, 2)).astype("float32")

# A converter's settings are its attributes.
Settings = Callable[[Any], None]


def _as_it_is(_converter: Any) -> None:  # noqa: ANN401 - TensorFlow has no types
    pass


def floats(*shape: int | None, name: str = "x") -> Any:  # noqa: ANN401
    """Describe an input tensor; None is a size that may vary."""
    return tf.TensorSpec(shape, tf.float32, name=name)


def convert(function: Callable[..., Any], *inputs: Any, settings: Settings = _as_it_is, owner: Any = None) -> bytes:  # noqa: ANN401
    """Convert a function of tensors to a model with one signature."""
    concrete = tf.function(function, input_signature=inputs).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], owner or tf.Module())
    settings(converter)
    return bytes(converter.convert())


def edit(content: bytes, change: Callable[[Any], None]) -> bytes:
    """Change a model's flatbuffer."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    change(model)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def dense() -> bytes:
    """[-1, 3] -> [-1, 2]: the plain case, as a converter writes it today."""
    return convert(lambda x: {"y": tf.matmul(x, TWO_BY_THREE)}, floats(None, 3))


def fixed() -> bytes:
    """[1, 3] -> [1, 2]: says one row, and is right about any number of them."""
    return convert(lambda x: {"y": tf.matmul(x, TWO_BY_THREE)}, floats(1, 3))


def folds() -> bytes:
    """[1, 2, 2] -> [1, 4]: n rows become one row of 4 n values, without complaint."""

    def reshape_to_one_row(model: Any) -> None:  # noqa: ANN401
        _target_of_reshape(model)[:] = np.array([1, -1], "int32").view("uint8")

    return edit(convert(lambda x: {"y": tf.reshape(x * 2.0, [1, 4])}, floats(1, 2, 2)), reshape_to_one_row)


def _target_of_reshape(model: Any) -> Any:  # noqa: ANN401
    graph = model.subgraphs[0]
    reshape = next(
        o for o in graph.operators if len(o.inputs) > 1 and graph.tensors[o.inputs[1]].type == schema.TensorType.INT32
    )
    return model.buffers[graph.tensors[reshape.inputs[1]].buffer].data


def reshape_error() -> bytes:
    """[1, 2, 2] -> [1, 2]: a reshape to [1, 4] is in the way of a second row."""
    return convert(lambda x: {"y": tf.matmul(tf.reshape(x, [1, 4]), TWO_BY_FOUR)}, floats(1, 2, 2))


def row_mix() -> bytes:
    """[-1, 3] -> [-1, 3]: shapes follow, but each row's answer depends on the others."""
    return convert(lambda x: {"y": x - tf.reduce_mean(x, axis=0, keepdims=True)}, floats(None, 3))


def no_signature() -> bytes:
    """As `dense`, but tensors have only their own names."""

    def drop_signature(model: Any) -> None:  # noqa: ANN401
        model.signatureDefs = None
        graph = model.subgraphs[0]
        graph.tensors[graph.inputs[0]].name = "measurements"
        graph.tensors[graph.outputs[0]].name = "scores"

    return edit(dense(), drop_signature)


def _calibration() -> Iterator[dict[str, Any]]:
    rows = np.random.default_rng(11).uniform(-2, 2, size=(64, 3)).astype("float32")
    for row in range(len(rows)):
        yield {"x": rows[row : row + 1]}


def _quantised(dtype: Any) -> bytes:  # noqa: ANN401
    def settings(converter: Any) -> None:  # noqa: ANN401
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = _calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = dtype
        converter.inference_output_type = dtype
        # One scale a channel would give FULLY_CONNECTED version 12, which tflite-runtime 2.14 can't load.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True

    return convert(lambda x: {"y": tf.matmul(x, TWO_BY_THREE)}, floats(None, 3), settings=settings)


def int8() -> bytes:
    """As `dense`, with int8 tensors."""
    return _quantised(tf.int8)


def uint8() -> bytes:
    """As `dense`, with uint8 tensors at both ends."""
    return _quantised(tf.uint8)


def several_outputs() -> bytes:
    """[-1, 3] -> [-1], [-1, 1] and [-1, 3]: a row's value need not have a dimension of its own."""
    return convert(
        lambda x: {"total": tf.reduce_sum(x, 1), "first": x[:, :1] * 2.0, "each": tf.abs(x)}, floats(None, 3)
    )


def bad_row() -> bytes:
    """int32 [-1, 1] -> [-1, 2]: a table of 5 rows; some indices make the engine fail."""
    return convert(
        lambda index: {"y": tf.reshape(tf.gather(TABLE, index), [-1, 2])},
        tf.TensorSpec([None, 1], tf.int32, name="index"),
    )


def bad_divisor() -> bytes:
    """int32 [-1, 1] -> int32 [-1, 1]: 100 // x; a zero makes the engine fail."""
    return convert(lambda x: {"y": tf.math.floordiv(100, x)}, tf.TensorSpec([None, 1], tf.int32, name="x"))


def custom_op() -> bytes:
    """Has an operator of TensorFlow that is in neither engine, as a custom one."""

    def settings(converter: Any) -> None:  # noqa: ANN401
        converter.allow_custom_ops = True

    return convert(lambda x: {"y": tf.math.betainc(x, x, x)}, floats(None, 3), settings=settings)


def flex_op() -> bytes:
    """Has an operator that needs the Flex delegate (SELECT_TF_OPS), which neither engine brings along."""

    def settings(converter: Any) -> None:  # noqa: ANN401
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]

    return convert(lambda x: {"y": tf.linalg.det(x)}, floats(None, 2, 2), settings=settings)


def several_signatures() -> bytes:
    """Has the signatures `one` and `other`."""
    module = tf.Module()
    module.one = tf.function(lambda x: {"y": x * 2.0}, input_signature=[floats(None, 3)])
    module.other = tf.function(lambda x: {"y": x / 2.0}, input_signature=[floats(None, 3)])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"one": module.one, "other": module.other})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["one", "other"])
        return bytes(converter.convert())


def nan() -> bytes:
    """[-1, 1] -> [-1, 1]: the square root, which is NaN below zero."""
    return convert(lambda x: {"y": tf.sqrt(x)}, floats(None, 1))


def wide_dynamic() -> bytes:
    """[-1, -1] -> [-1, 1]: rows may be of any width, so nothing can be mapped to them."""
    return convert(lambda x: {"y": tf.reduce_sum(x, 1, keepdims=True)}, floats(None, None))


def stateful() -> bytes:
    """[-1, 1] -> [-1, 1]: adds up all rows it ever saw, in a resource variable."""
    module = tf.Module()
    module.total = tf.Variable(0.0)

    def add(x: Any) -> dict[str, Any]:  # noqa: ANN401
        module.total.assign_add(tf.reduce_sum(x))
        return {"y": x + module.total}

    module.add = tf.function(add, input_signature=[floats(None, 1)])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.add)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.experimental_enable_resource_variables = True
        return bytes(converter.convert())


def rnn() -> bytes:
    """[1, 3] -> [1, 2]: a recurrent cell whose state is a variable tensor: no operator's name tells of it."""

    def recur(model: Any) -> None:  # noqa: ANN401
        graph = model.subgraphs[0]
        cell = graph.operators[0]  # FULLY_CONNECTED with input and weights
        weights = cell.inputs[1]
        model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.RNN
        model.operatorCodes[0].version = 1
        cell.builtinOptionsType, cell.builtinOptions = schema.BuiltinOptions.RNNOptions, schema.RNNOptionsT()
        constants = [np.eye(2, dtype="float32"), np.zeros(2, "float32")]
        recurrent, bias = (_add_tensor(model, constant.shape, constant) for constant in constants)
        state = _add_tensor(model, (1, 2))
        graph.tensors[state].isVariable = True
        cell.inputs = [cell.inputs[0], weights, recurrent, bias, state]

    return edit(fixed(), recur)


def _add_tensor(model: Any, shape: tuple[int, ...], values: Any = None) -> int:  # noqa: ANN401
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.name = list(shape), schema.TensorType.FLOAT32, f"added_{len(shape)}"
    if values is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), "uint8")
        model.buffers.append(buffer)
        tensor.buffer = len(model.buffers) - 1
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def scalar() -> bytes:
    """[-1, 3] -> [] and [-1, 1]: one number for the whole batch, whatever its size, beside one a row."""
    return convert(lambda x: {"all": tf.reduce_sum(x), "each": tf.reduce_sum(x, 1, keepdims=True)}, floats(None, 3))


def tall() -> bytes:
    """[1, 3] -> [3, 2]: dimension 0 of the output does not count rows."""
    return convert(lambda x: {"y": tf.transpose(x) * np.array([[1.0, 2.0]], "float32")}, floats(1, 3))


MODELS = (
    dense,
    fixed,
    folds,
    reshape_error,
    row_mix,
    no_signature,
    int8,
    uint8,
    several_outputs,
    bad_row,
    bad_divisor,
    custom_op,
    flex_op,
    several_signatures,
    nan,
    wide_dynamic,
    stateful,
    rnn,
    scalar,
    tall,
)


def main() -> None:
    """Write all models."""
    for model in MODELS:
        path = HERE / f"{model.__name__}.tflite"
        path.write_bytes(model())
        print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
