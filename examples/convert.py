"""From a Keras model to .tflite: a named signature whose batch dimension is open, in float32 or int8."""

import tempfile
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from examples.served import Arrays

Serve = Callable[..., dict[str, tf.Tensor]]


def to_float(model: keras.Model, serve: Serve, signature: Sequence[tf.TensorSpec]) -> bytes:
    """Convert with float32 weights; `serve` gives the named outputs for tensors like the signature's."""
    return _convert(model, serve, signature, lambda _converter: None)


def to_int8(model: keras.Model, serve: Serve, signature: Sequence[tf.TensorSpec], rows: Arrays) -> bytes:
    """Convert with int8 weights, activations, inputs and outputs, one scale a tensor; the rows set the ranges."""

    def representative() -> Iterator[Arrays]:
        for row in range(len(next(iter(rows.values())))):
            yield {name: tensor[row : row + 1] for name, tensor in rows.items()}

    def quantise(converter: tf.lite.TFLiteConverter) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        # One scale a channel would give FULLY_CONNECTED version 12, which tflite-runtime 2.14 can't load.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001

    return _convert(model, serve, signature, quantise)


def _convert(
    model: keras.Model,
    serve: Serve,
    signature: Sequence[tf.TensorSpec],
    settings: Callable[[tf.lite.TFLiteConverter], None],
) -> bytes:
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", serve, input_signature=list(signature))
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        settings(converter)
        return bytes(converter.convert())
