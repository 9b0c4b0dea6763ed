"""Train the flight-delay models, convert them for TensorFlow Lite, measure them and write golden rows.

The metrics and the golden rows come from the converted files, never from the Keras model: what is measured is
what is served.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # has to come before TensorFlow is imported

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from make_events import (
    HELD_OUT_MONTHS,
    HERE,
    TRAIN_MONTHS,
    VALIDATE_MONTHS,
    VOCABULARIES,
    arrived,
    in_months,
    read_flights,
    sample,
)

Arrays = dict[str, np.ndarray]

SEED = 13
LATE_AFTER = 15  # minutes
ZONE = "America/New_York"

# Minutes are learned in these units and served in minutes; the answer is held within the two limits, so that
# the 256 steps of the int8 model are 2.6 minutes wide, not 5.
MINUTES_MEAN, MINUTES_STD = 7.0, 45.0
MINUTES_LOW, MINUTES_HIGH = -60.0, 600.0

EMBEDDING_WIDTHS = {"carrier": 4, "origin": 2, "dest": 8}
HIDDEN = (64, 32)
UNKNOWN_SHARE = 0.02
CALIBRATION_ROWS = 2000
GOLDEN_ROWS = 50
BATCH = 1024
FLOAT_MODEL = HERE / "models" / "delay.tflite"
INT8_MODEL = HERE / "models" / "delay_int8.tflite"


@dataclass(frozen=True)
class Column:
    """One column of the tensor `features`, as pipeline.yaml describes it."""

    field: str
    mean: float = 0
    std: float = 1
    missing: float = 0
    part: str = ""

    def values(self, flights: pd.DataFrame) -> np.ndarray:
        """Compute the column for all flights."""
        raw = flights[self.field]
        if self.part:
            local = pd.to_datetime(raw, utc=True).dt.tz_convert(ZONE).dt
            raw = local.day_of_week if self.part == "weekday" else getattr(local, self.part)
        number = raw.astype("float64").fillna(self.missing).to_numpy()
        return ((number - self.mean) / self.std).astype("float32")


# The means and deviations are those of the training months, rounded.
COLUMNS = (
    Column("dep_delay", mean=13.6, std=41.9),
    Column("distance", mean=1046, std=737),
    Column("sched_dep_time", mean=1341, std=468),
    Column("sched_arr_time", mean=1530, std=500),
    Column("weekend"),
    Column("time_hour", mean=3, std=2, part="weekday"),
    Column("time_hour", mean=13, std=4.7, part="hour"),
)


def read_vocabulary(field: str) -> dict[str, int]:
    """Map an entry to its index: that of its line, counted from 1, because 0 is "unknown"."""
    lines = (HERE / VOCABULARIES[field]).read_text().splitlines()
    return {entry: index for index, entry in enumerate(lines, start=1)}


def inputs_of(flights: pd.DataFrame) -> Arrays:
    """Compute the model's input tensors with pandas alone: the independent twin of the worker's mapping."""
    tensors = {"features": np.stack([column.values(flights) for column in COLUMNS], axis=1)}
    for field in VOCABULARIES:
        index = flights[field].map(read_vocabulary(field)).fillna(0)
        tensors[field] = index.to_numpy("int32").reshape(-1, 1)
    return tensors


class Lookup(keras.layers.Layer):
    """A table with one row a category.

    Keras's own Embedding would convert to ten operators, most of which only allow for negative indices.
    """

    def __init__(self, entries: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.table = self.add_weight(shape=(entries, width), initializer="uniform", name="table")

    def call(self, index: tf.Tensor) -> tf.Tensor:
        """Give [n, width] for indices of [n, 1]."""
        return tf.reshape(tf.gather(self.table, index), [-1, self.width])


def build() -> keras.Model:
    """Build the network: three tables beside the numbers, two hidden layers, two heads."""
    features = keras.Input([len(COLUMNS)], name="features")
    indices = {field: keras.Input([1], name=field, dtype="int32") for field in EMBEDDING_WIDTHS}
    parts = [features]
    for field, width in EMBEDDING_WIDTHS.items():
        parts.append(Lookup(len(read_vocabulary(field)) + 1, width)(indices[field]))
    hidden = keras.layers.Concatenate()(parts)
    for width in HIDDEN:
        hidden = keras.layers.Dense(width, activation="relu")(hidden)
    minutes = keras.layers.Dense(1, name="minutes")(hidden)
    late = keras.layers.Dense(1, activation="sigmoid", name="late")(hidden)
    return keras.Model({"features": features, **indices}, {"minutes": minutes, "late": late})


def targets_of(flights: pd.DataFrame) -> Arrays:
    """Compute what the two heads should say."""
    delay = flights["arr_delay"].to_numpy("float32").reshape(-1, 1)
    return {"minutes": (delay - MINUTES_MEAN) / MINUTES_STD, "late": (delay > LATE_AFTER).astype("float32")}


def forget_some(inputs: Arrays, rng: np.random.Generator) -> Arrays:
    """Call a few known categories unknown, so that index 0 learns what an average one is like."""
    hidden = {f: np.where(rng.random(inputs[f].shape) < UNKNOWN_SHARE, 0, inputs[f]) for f in VOCABULARIES}
    return {**inputs, **{field: index.astype("int32") for field, index in hidden.items()}}


def fit(train: pd.DataFrame, validate: pd.DataFrame) -> keras.Model:
    """Train until the validation month stops improving."""
    model = build()
    # The absolute error asks for the median: a mean would follow the few flights that are hours late.
    model.compile(
        optimizer=keras.optimizers.Adam(2e-3),
        loss={"minutes": "mae", "late": "binary_crossentropy"},
    )
    callbacks = [
        keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.3),
        keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True),
    ]
    model.fit(
        forget_some(inputs_of(train), np.random.default_rng(SEED)),
        targets_of(train),
        validation_data=(inputs_of(validate), targets_of(validate)),
        batch_size=BATCH,
        epochs=40,
        callbacks=callbacks,
        verbose=2,
    )
    return model


def serve_minutes(model: keras.Model) -> None:
    """Fold the units of the learned delay into the last layer, which costs no operator."""
    head = model.get_layer("minutes")
    kernel, bias = head.get_weights()
    head.set_weights([kernel * MINUTES_STD, bias * MINUTES_STD + MINUTES_MEAN])


def save(model: keras.Model, folder: str) -> None:
    """Save the model with a named signature whose batch dimension is open."""
    spec = {"features": tf.TensorSpec([None, len(COLUMNS)], tf.float32, "features")}
    spec |= {field: tf.TensorSpec([None, 1], tf.int32, field) for field in VOCABULARIES}

    def serve(features: tf.Tensor, carrier: tf.Tensor, origin: tf.Tensor, dest: tf.Tensor) -> dict[str, tf.Tensor]:
        out = model({"features": features, "carrier": carrier, "origin": origin, "dest": dest}, training=False)
        return {"minutes": tf.clip_by_value(out["minutes"], MINUTES_LOW, MINUTES_HIGH), "late": out["late"]}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", serve, input_signature=list(spec.values()))
    archive.write_out(folder, verbose=False)


def calibration(train: pd.DataFrame) -> Arrays:
    """Choose the rows that set the int8 ranges: random ones, none beyond the range of the answer."""
    rows = train.sample(CALIBRATION_ROWS, random_state=SEED)
    longest = train.nlargest(20, "dep_delay")
    rows = pd.concat([rows, longest])
    return inputs_of(rows.assign(dep_delay=rows["dep_delay"].clip(upper=MINUTES_HIGH)))


def convert(folder: str, train: pd.DataFrame) -> None:
    """Write the float32 and the int8 model."""
    FLOAT_MODEL.parent.mkdir(exist_ok=True)
    FLOAT_MODEL.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
    rows = calibration(train)

    def representative() -> Iterator[Arrays]:
        for i in range(len(rows["features"])):
            yield {name: tensor[i : i + 1] for name, tensor in rows.items()}

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    # One scale a channel would give FULLY_CONNECTED version 12, which tflite-runtime 2.14 can't load.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001
    INT8_MODEL.write_bytes(converter.convert())


def quantised(tensor: np.ndarray, detail: dict) -> np.ndarray:
    """Bring floats into an int8 tensor's range; anything else stays as it is."""
    if detail["dtype"] != np.int8:
        return tensor
    scale, zero = detail["quantization"]
    return np.clip(np.round(tensor / scale) + zero, -128, 127).astype("int8")


def predict(path: Path, inputs: Arrays, rows: int) -> Arrays:
    """Run a converted model over all inputs, so many rows at a time."""
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    runner = interpreter.get_signature_runner("serving_default")
    details_in, details_out = runner.get_input_details(), runner.get_output_details()
    ready = {name: quantised(tensor, details_in[name]) for name, tensor in inputs.items()}
    chunks = [
        runner(**{name: tensor[start : start + rows] for name, tensor in ready.items()})
        for start in range(0, len(ready["features"]), rows)
    ]
    joined = {name: np.concatenate([chunk[name] for chunk in chunks])[:, 0] for name in details_out}
    return {name: dequantised(tensor, details_out[name]) for name, tensor in joined.items()}


def dequantised(tensor: np.ndarray, detail: dict) -> np.ndarray:
    """Bring an int8 tensor back to floats."""
    if detail["dtype"] != np.int8:
        return tensor
    scale, zero = detail["quantization"]
    return (tensor.astype("float32") - zero) * np.float32(scale)


def area_under_curve(truth: np.ndarray, score: np.ndarray) -> float:
    """Compute the ROC-AUC from ranks: how often a late flight scores above one on time."""
    ranks = pd.Series(score).rank().to_numpy()
    positives = int(truth.sum())
    above = ranks[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(truth) - positives)))


def report_minutes(name: str, truth: np.ndarray, guess: np.ndarray | float) -> None:
    """Print how far off a guess of the delay is."""
    over = guess - truth
    error = np.abs(over)
    print(f"{name:<28} MAE {error.mean():6.2f} min, median {np.median(error):5.2f}, bias {over.mean():+6.2f}")


def report_late(name: str, truth: np.ndarray, chance: np.ndarray) -> None:
    """Print how good the chances of being late are."""
    safe = np.clip(chance.astype("float64"), 1 / 512, 1 - 1 / 512)
    loss = -np.mean(np.where(truth, np.log(safe), np.log(1 - safe)))
    right = np.mean((chance > 0.5) == truth)  # noqa: PLR2004 - even odds
    area = area_under_curve(truth, chance)
    print(f"{name:<28} accuracy {right:.4f}, ROC-AUC {area:.4f}, log loss {loss:.4f}")


def evaluate(train: pd.DataFrame, held_out: pd.DataFrame) -> None:
    """Measure both files and the plain baselines on flights after all training dates."""
    truth = held_out["arr_delay"].to_numpy()
    late = truth > LATE_AFTER
    left = held_out["dep_delay"].to_numpy()
    inputs = inputs_of(held_out)
    print(f"held out: {len(held_out)} flights, {late.mean():.4f} of them late")
    answers = {path.name: predict(path, inputs, 256) for path in (FLOAT_MODEL, INT8_MODEL)}
    report_minutes("training mean", truth, train["arr_delay"].mean())
    report_minutes("training median", truth, train["arr_delay"].median())
    report_minutes("departure delay", truth, left)
    made_up = (train["arr_delay"] - train["dep_delay"]).median()
    report_minutes(f"departure delay {made_up:+.0f}", truth, left + made_up)
    for name, answer in answers.items():
        report_minutes(name, truth, answer["minutes"])
    base = float((train["arr_delay"] > LATE_AFTER).mean())
    report_late("training base rate", late, np.full(len(late), base))
    print(f"{'departure delay, ranked':<28} ROC-AUC {area_under_curve(late, left):.4f}")
    report_late("departure delay > 15", late, (left > LATE_AFTER).astype("float64"))
    for name, answer in answers.items():
        report_late(name, late, answer["late"])


def golden_flights(flights: pd.DataFrame) -> pd.DataFrame:
    """Choose rows of the sample that a wrong mapping would get wrong, and random ones."""
    rows = sample(flights)
    # In the evening New York's weekday is not UTC's.
    evening = rows[rows["time_hour"].str[8:10].astype(int) != rows["day"]]
    unknown = rows[~rows["dest"].isin(read_vocabulary("dest"))]
    special = pd.concat(
        [
            unknown,
            rows[rows["dep_delay"].isna()].sample(6, random_state=SEED),
            evening.sample(6, random_state=SEED),
            rows.nlargest(3, "dep_delay"),
            rows.groupby("carrier").sample(1, random_state=SEED),
        ]
    )
    rest = rows[~rows["id"].isin(special["id"])].sample(GOLDEN_ROWS, random_state=SEED)
    return pd.concat([special, rest]).drop_duplicates("id").head(GOLDEN_ROWS).sort_values("id")


def write_golden(flights: pd.DataFrame) -> None:
    """Write what the float32 model says to each golden flight, one row at a time."""
    rows = golden_flights(flights)
    answer = predict(FLOAT_MODEL, inputs_of(rows), 1)
    lines = [
        json.dumps({"id": int(i), "minutes": float(str(minutes)), "late_probability": float(str(late))})
        for i, minutes, late in zip(rows["id"], answer["minutes"], answer["late"], strict=True)
    ]
    (HERE / "golden.jsonl").write_text("".join(f"{line}\n" for line in lines))
    print(f"golden: {len(rows)} rows, origins {sorted(rows['origin'].unique())}")


def main() -> None:
    """Train, convert, measure, and write the golden rows."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    flights = read_flights()
    known = arrived(flights)
    train = in_months(known, TRAIN_MONTHS)
    model = fit(train, in_months(known, VALIDATE_MONTHS))
    serve_minutes(model)
    with tempfile.TemporaryDirectory() as folder:
        save(model, folder)
        convert(folder, train)
    evaluate(train, in_months(known, HELD_OUT_MONTHS))
    write_golden(flights)
    for path in (FLOAT_MODEL, INT8_MODEL):
        print(path.name, path.stat().st_size, "bytes, sha256", hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
