"""Train the digit models, convert them for TensorFlow Lite, measure them and write golden rows.

Run from the repository's root, after make_events: `python -m examples.image.train`. The metrics and the golden rows
come from the converted files, never from the Keras model: what is measured is what is served.
"""

import os
from typing import Final

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # has to come before TensorFlow is imported

import base64
import gzip
import io
import json

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from examples.convert import to_float, to_int8
from examples.image.make_events import BRIGHTEST, HELD_OUT, HERE, TRAINING, VALIDATION, read_digits
from examples.served import Served, golden_row, report_files, write_lines

SEED: Final = 19
BATCH: Final = 32
EPOCHS: Final = 80
GOLDEN_ROWS: Final = 100

FLOAT_MODEL: Final = HERE / "models" / "digits.tflite"
INT8_MODEL: Final = HERE / "models" / "digits_int8.tflite"


def tensor_of(images: np.ndarray, brightest: int) -> np.ndarray:
    """Give float32 [n, 8, 8, 1] of 0 to 1, as both pipelines do: a pixel times 1/16, or of a PNG times 1/255."""
    return (images[..., np.newaxis] * (1 / brightest)).astype("float32")


def build() -> keras.Model:
    """Build the network: two convolutions, their maximum over each four pixels, one logit a digit."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input([8, 8, 1], name="image"),
            layers.GaussianNoise(0.1, seed=SEED),
            layers.Conv2D(24, 3, padding="same", activation="relu"),
            layers.Conv2D(48, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5, seed=SEED),
            layers.Dense(10, name="logits"),
        ]
    )


def fit(images: np.ndarray, digits: np.ndarray) -> keras.Model:
    """Train until the validation images stop improving."""
    model = build()
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    pixels = tensor_of(images, BRIGHTEST)
    model.fit(
        pixels[TRAINING],
        digits[TRAINING],
        validation_data=(pixels[VALIDATION], digits[VALIDATION]),
        batch_size=BATCH,
        epochs=EPOCHS,
        callbacks=[keras.callbacks.EarlyStopping(patience=12, restore_best_weights=True)],
        verbose=2,
    )
    return model


def convert(model: keras.Model, images: np.ndarray) -> None:
    """Write the float32 and the int8 model; all training images set the int8 ranges."""

    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": model(image, training=False)}

    signature = [tf.TensorSpec([None, 8, 8, 1], tf.float32, "image")]
    FLOAT_MODEL.write_bytes(to_float(model, serve, signature))
    rows = {"image": tensor_of(images[TRAINING], BRIGHTEST)}
    INT8_MODEL.write_bytes(to_int8(model, serve, signature, rows))


def nearest(images: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Guess each held-out digit by the training image most like it: the plain baseline."""
    train, held_out = (images[part].reshape(-1, 64).astype("int64") for part in (TRAINING, HELD_OUT))
    squares = (held_out**2).sum(axis=1, keepdims=True) - 2 * held_out @ train.T + (train**2).sum(axis=1)
    return digits[TRAINING][squares.argmin(axis=1)]


def evaluate(images: np.ndarray, digits: np.ndarray) -> None:
    """Measure both files on the held-out writers."""
    truth = digits[HELD_OUT]
    inputs = {"image": tensor_of(images[HELD_OUT], BRIGHTEST)}
    print(f"{len(truth)} held-out images; nearest training image {np.mean(nearest(images, digits) == truth):.4f}")
    answers = {path.name: Served(path).run_all(inputs)["logits"] for path in (FLOAT_MODEL, INT8_MODEL)}
    for name, logits in answers.items():
        print(f"{name}: accuracy {np.mean(logits.argmax(axis=1) == truth):.4f}")
    plain, quantised = answers.values()
    differ = np.mean(plain.argmax(axis=1) != quantised.argmax(axis=1))
    print(f"int8: a logit differs by {np.abs(plain - quantised).mean():.3f} on average; other digit {differ:.4f}")
    guess = plain.argmax(axis=1)
    for digit in range(10):
        wrong, times = np.unique(guess[(truth == digit) & (guess != digit)], return_counts=True)
        told = ", ".join(f"{w} {t}" for w, t in zip(wrong, times, strict=True))
        print(f"{digit}: {np.sum(truth == digit)} images, taken for {told or 'nothing else'}")


def write_golden() -> None:
    """Write what the float32 model says to the first events of 8 x 8 pixels, one row at a time."""
    served, golden = Served(FLOAT_MODEL), []
    for line in gzip.decompress((HERE / "events.jsonl.gz").read_bytes()).splitlines():
        event = json.loads(line)
        try:
            pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(event["image"]))))
        except (KeyError, TypeError, ValueError, OSError):
            continue  # one of the broken events
        if pixels.shape == (8, 8):
            golden.append(golden_row(served, event["id"], {"image": tensor_of(pixels, 255)}))
    write_lines(HERE / "golden.jsonl", golden[:GOLDEN_ROWS])


def main() -> None:
    """Do it all."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    images, digits = read_digits()
    convert(fit(images, digits), images)
    evaluate(images, digits)
    write_golden()
    report_files(HERE / "models")


if __name__ == "__main__":
    main()
