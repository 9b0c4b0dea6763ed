"""Make the models of the comparison: their weights are drawn, not trained, since only their cost matters here.

Needs the environment of examples/flights/requirements-train.txt, with orjson beside it, and gives the same bytes each
time: `python bench/models/make_models.py`.

mixed: 128-512-512-512-10, dense, in float32 and in int8 throughout. attention: two layers of self-attention over 64
tokens, 64 wide, 4 heads.
"""

import gzip
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # has to come before TensorFlow is imported

import numpy as np
import tensorflow as tf  # type: ignore[import-not-found]  # only in the training environment

sys.path.insert(0, str(Path(__file__).parents[2]))  # a script's own folder is there, the repository's is not

from bench.peers.job import FLIGHTS, Mixed

HERE = Path(__file__).parent
SEED = 11

WIDTHS = (128, 512, 512, 512, 10)
TOKENS, WIDTH, HEADS, INNER, WORDS, LAYERS, CLASSES = 64, 64, 4, 256, 1000, 2, 10

Weights = Callable[..., Any]


def drawn(random: np.random.Generator) -> Weights:
    """Return what draws weights of a shape, of a size that keeps what they are multiplied with as large as it is."""
    return lambda *shape: random.normal(scale=shape[0] ** -0.5, size=shape).astype("float32")


def mixed() -> tuple[Any, Any]:
    """[-1, 128] -> [-1, 10]: dense layers."""
    weights = drawn(np.random.default_rng(SEED))
    layers = [(weights(before, after), weights(after) * 0) for before, after in itertools.pairwise(WIDTHS)]

    def call(features: Any) -> Any:  # noqa: ANN401 - TensorFlow has no types
        x = features
        for place, (kernel, bias) in enumerate(layers):
            x = tf.matmul(x, kernel) + bias
            x = x if place == len(layers) - 1 else tf.nn.relu(x)
        return {"scores": tf.nn.softmax(x)}

    return call, tf.TensorSpec((None, WIDTHS[0]), tf.float32, name="features")


def attention() -> tuple[Any, Any]:
    """[-1, 64] of int32 -> [-1, 10]: a small encoder, its tokens' mean classified."""
    weights = drawn(np.random.default_rng(SEED))
    table = weights(WORDS, WIDTH) * np.float32(WORDS**0.5)
    places = weights(TOKENS, WIDTH) * np.float32(TOKENS**0.5 / 4)
    layers = [
        [weights(WIDTH, WIDTH) for _ in range(4)] + [weights(WIDTH, INNER), weights(INNER, WIDTH)]
        for _ in range(LAYERS)
    ]
    last = weights(WIDTH, CLASSES)

    def dense(x: Any, kernel: Any) -> Any:  # noqa: ANN401
        # One large product, which the engine's fast kernel takes.
        flat = tf.matmul(tf.reshape(x, (-1, kernel.shape[0])), kernel)
        return tf.reshape(flat, (-1, TOKENS, kernel.shape[1]))

    def heads(x: Any) -> Any:  # noqa: ANN401
        return tf.transpose(tf.reshape(x, (-1, TOKENS, HEADS, WIDTH // HEADS)), (0, 2, 1, 3))

    def normal(x: Any) -> Any:  # noqa: ANN401
        mean = tf.reduce_mean(x, axis=-1, keepdims=True)
        spread = tf.reduce_mean(tf.square(x - mean), axis=-1, keepdims=True)
        return (x - mean) * tf.math.rsqrt(spread + 1e-5)

    def call(tokens: Any) -> Any:  # noqa: ANN401
        x = tf.gather(table, tokens) + places
        for query, key, value, out, wide, narrow in layers:
            y = normal(x)
            q, k, v = (heads(dense(y, kernel)) for kernel in (query, key, value))
            seen = tf.matmul(tf.nn.softmax(tf.matmul(q, k, transpose_b=True) * (WIDTH // HEADS) ** -0.5), v)
            x += dense(tf.reshape(tf.transpose(seen, (0, 2, 1, 3)), (-1, TOKENS, WIDTH)), out)
            x += dense(tf.nn.relu(dense(normal(x), wide)), narrow)
        return {"scores": tf.nn.softmax(tf.matmul(tf.reduce_mean(normal(x), axis=1), last))}

    return call, tf.TensorSpec((None, TOKENS), tf.int32, name="tokens")


def convert(call: Any, spec: Any, samples: Callable[[], Iterator[Any]] | None = None) -> bytes:  # noqa: ANN401
    """Convert a function to a model with one signature; to int8 throughout where there are samples."""
    concrete = tf.function(call, input_signature=[spec]).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    if samples is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def features() -> Iterator[Any]:
    """Return rows of the example's events, as the job makes them."""
    job = Mixed()
    with gzip.open(FLIGHTS / "events.jsonl.gz") as lines:
        for line in itertools.islice(lines, 0, None, 10):
            yield [job.inputs([json.loads(line)])["features"]]


def main() -> None:
    """Write the files."""
    (HERE / "mixed.tflite").write_bytes(convert(*mixed()))
    (HERE / "mixed_int8.tflite").write_bytes(convert(*mixed(), samples=features))
    (HERE / "attention.tflite").write_bytes(convert(*attention()))


if __name__ == "__main__":
    main()
