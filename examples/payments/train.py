"""Train the fraud model, convert it for TensorFlow Lite, measure it and write golden rows.

Run from the repository's root, after make_events: `python -m examples.payments.train`. The metrics and the golden
rows come from the converted file, never from the Keras model: what is measured is what is served.
"""

import os
from typing import Any, Final

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # has to come before TensorFlow is imported

import zlib

import keras
import numpy as np
import tensorflow as tf

from examples.convert import to_float
from examples.payments.make_events import COUNTRIES, HERE, SAMPLE, Event, payments
from examples.served import Arrays, Served, golden_row, report_files, write_lines

SEED: Final = 23
BUCKETS: Final = 50
BATCH: Final = 512
EPOCHS: Final = 60
GOLDEN_ROWS: Final = 100
MODEL: Final = HERE / "models" / "fraud.tflite"


def within(event: Event, *path: str) -> Any:  # noqa: ANN401 - a field is anything
    """Give a nested field; None where it, or what it is in, is absent or null."""
    value: Any = event
    for name in path:
        value = (value or {}).get(name)
    return value


def price(event: Event) -> float | None:
    """Give the first item's price."""
    items = event.get("items") or [{}]
    return items[0].get("price")


def amount_of(value: float | str | None, highest: float) -> float:
    """Give log1p of a number, or of a text that is one; absent is 0, and none is below 0 or over the highest."""
    return float(np.log1p(np.clip(float(value or 0), 0, highest)))


def numbers(event: Event) -> list[float]:
    """Compute one row of the tensor `numbers`."""
    return [
        amount_of(within(event, "pay", "amount"), 100_000),
        amount_of(within(event, "user", "orders"), 10_000),
        amount_of(within(event, "card", "age_days"), 10_000),
        amount_of(price(event), 100_000),
        float(within(event, "card", "present") or False),
        (int(event["at"][11:13]) - 12) / 7,
    ]


def presence(event: Event) -> list[float]:
    """Compute one row of the tensor `presence`: 1 where the field is there and not null."""
    fields = (
        within(event, "pay", "tip"),
        within(event, "user", "orders"),
        within(event, "card", "age_days"),
        price(event),
    )
    return [float(field is not None) for field in fields]


def bucket(identifier: float | str) -> int:
    """Hash an identifier: CRC-32 of its text; 12, 12.0 and "12" have the same one."""
    text = str(int(identifier)) if isinstance(identifier, float) and identifier.is_integer() else str(identifier)
    return zlib.crc32(text.encode()) % BUCKETS


def country(event: Event) -> int:
    """Give the line in countries.txt, counted from 1; 0 is another one, or none."""
    name = within(event, "user", "country")
    return COUNTRIES.index(name) + 1 if name in COUNTRIES else 0


def inputs_of(events: list[Event]) -> Arrays:
    """Compute the model's input tensors in plain Python: the independent twin of the worker's mapping."""
    return {
        "numbers": np.array([numbers(event) for event in events], "float32"),
        "merchant": np.array([[bucket(event["merchant"]["id"])] for event in events], "int32"),
        "country": np.array([[country(event)] for event in events], "int32"),
        "presence": np.array([presence(event) for event in events], "float32"),
    }


class Lookup(keras.layers.Layer):
    """A table with one row a category."""

    def __init__(self, entries: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.table = self.add_weight(shape=(entries, width), initializer="uniform", name="table")

    def call(self, index: tf.Tensor) -> tf.Tensor:
        """Give [n, width] for indices of [n, 1]."""
        return tf.reshape(tf.gather(self.table, index), [-1, self.width])


def build() -> keras.Model:
    """Build the network: two tables beside numbers and presence, two hidden layers, one chance."""
    inputs = {
        "numbers": keras.Input([6], name="numbers"),
        "merchant": keras.Input([1], dtype="int32", name="merchant"),
        "country": keras.Input([1], dtype="int32", name="country"),
        "presence": keras.Input([4], name="presence"),
    }
    parts = [
        inputs["numbers"],
        inputs["presence"],
        Lookup(BUCKETS, 4)(inputs["merchant"]),
        Lookup(len(COUNTRIES) + 1, 3)(inputs["country"]),
    ]
    hidden = keras.layers.Concatenate()(parts)
    for width in (32, 16):
        hidden = keras.layers.Dense(width, activation="relu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="score")(hidden))


def fit() -> keras.Model:
    """Train until the validation payments stop improving."""
    train, train_frauds, _ = payments("training")
    validate, validate_frauds, _ = payments("validation")
    model = build()
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="binary_crossentropy")
    model.fit(
        inputs_of(train),
        train_frauds.astype("float32"),
        validation_data=(inputs_of(validate), validate_frauds.astype("float32")),
        batch_size=BATCH,
        epochs=EPOCHS,
        callbacks=[
            keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.3),
            keras.callbacks.EarlyStopping(patience=6, restore_best_weights=True),
        ],
        verbose=2,
    )
    return model


def convert(model: keras.Model) -> bytes:
    """Convert with an open batch."""

    def serve(
        numbers: tf.Tensor, merchant: tf.Tensor, country: tf.Tensor, presence: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        inputs = {"numbers": numbers, "merchant": merchant, "country": country, "presence": presence}
        return {"score": model(inputs, training=False)}

    signature = [
        tf.TensorSpec([None, 6], tf.float32, "numbers"),
        tf.TensorSpec([None, 1], tf.int32, "merchant"),
        tf.TensorSpec([None, 1], tf.int32, "country"),
        tf.TensorSpec([None, 4], tf.float32, "presence"),
    ]
    return to_float(model, serve, signature)


def area_under_curve(truth: np.ndarray, score: np.ndarray) -> float:
    """Compute the ROC-AUC: how often a fraud scores above an honest payment, a tie counting half."""
    honest = np.sort(score[~truth])
    below = np.searchsorted(honest, score[truth], "left") + np.searchsorted(honest, score[truth], "right")
    return float(below.mean() / 2 / len(honest))


def report(name: str, truth: np.ndarray, score: np.ndarray) -> None:
    """Print how well a score finds the frauds."""
    safe = np.clip(score.astype("float64"), 1e-6, 1 - 1e-6)
    loss = -np.mean(np.where(truth, np.log(safe), np.log(1 - safe)))
    worst = np.argsort(-score, kind="stable")[: len(score) // 20]
    area, found = area_under_curve(truth, score), truth[worst].sum() / truth.sum()
    print(f"{name:<36} ROC-AUC {area:.4f}, log loss {loss:.4f}, of the frauds in the first 5 %: {found:.4f}")


def evaluate() -> None:
    """Measure the file on held-out payments, beside a plain baseline and the best there can be."""
    events, truth, chances = payments("held out")
    score = Served(MODEL).run_all(inputs_of(events))["score"][:, 0]
    print(f"held out: {len(events)} payments, {truth.sum()} frauds")
    report("base rate", truth, np.full(len(truth), truth.mean()))
    amounts = np.array([float(event["pay"]["amount"]) for event in events])
    report("amount, ranked (loss means nothing)", truth, amounts / amounts.max())
    report("model", truth, score)
    report("the rule that made them", truth, chances)
    report("model, sample", truth[:SAMPLE], score[:SAMPLE])
    for threshold in (0.1, 0.3, 0.5):
        told = score > threshold
        right = (told & truth).sum()
        share, found = right / told.sum(), right / truth.sum()
        print(f"over {threshold}: {told.sum()} told, {share:.3f} of them fraud, {found:.3f} of the frauds found")


def write_golden() -> None:
    """Write what the model says to the first events, one row at a time."""
    events = payments("held out")[0][:GOLDEN_ROWS]
    served, inputs = Served(MODEL), inputs_of(events)
    rows = [{name: tensor[place] for name, tensor in inputs.items()} for place in range(len(events))]
    golden = [golden_row(served, event["id"], row) for event, row in zip(events, rows, strict=True)]
    write_lines(HERE / "golden.jsonl", golden)


def main() -> None:
    """Do it all."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    MODEL.write_bytes(convert(fit()))
    evaluate()
    write_golden()
    report_files(HERE / "models")


if __name__ == "__main__":
    main()
