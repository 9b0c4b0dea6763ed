"""Check the models on the engine at hand: golden rows, and every batch size against row by row.

Runs under ai-edge-litert and under tflite-runtime, and needs only NumPy beside it. The mapping is written out
once more, with the standard library, so that a mistake in train.py's would show.
"""

import gzip
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

try:
    from ai_edge_litert.interpreter import Interpreter

    ENGINE = "ai-edge-litert"
except ImportError:
    from tflite_runtime.interpreter import Interpreter

    ENGINE = "tflite-runtime"

HERE = Path(__file__).parent
ZONE = ZoneInfo("America/New_York")
BATCHES = (1, 4, 16, 64, 256)
ROWS = 256
# Another kernel may add the products in another order; a wrong mapping is off by far more.
TOLERANCE = 1e-3
VOCABULARIES = {
    field: {entry: i for i, entry in enumerate((HERE / name).read_text().splitlines(), start=1)}
    for field, name in (("carrier", "carriers.txt"), ("origin", "origins.txt"), ("dest", "destinations.txt"))
}

Event = dict[str, Any]
Arrays = dict[str, np.ndarray]


def features(event: Event) -> list[float]:
    """Compute one row of the tensor `features`."""
    local = datetime.fromisoformat(event["time_hour"]).astimezone(ZONE)
    return [
        ((event["dep_delay"] or 0) - 13.6) / 41.9,
        (event["distance"] - 1046) / 737,
        (event["sched_dep_time"] - 1341) / 468,
        (event["sched_arr_time"] - 1530) / 500,
        float(event["weekend"]),
        (local.weekday() - 3) / 2,
        (local.hour - 13) / 4.7,
    ]


def tensors(events: list[Event]) -> Arrays:
    """Compute the model's inputs for some events."""
    inputs = {"features": np.array([features(event) for event in events], "float32")}
    for field, entries in VOCABULARIES.items():
        inputs[field] = np.array([[entries.get(event[field], 0)] for event in events], "int32")
    return inputs


class Model:
    """An interpreter with one thread, resized by hand to each batch."""

    def __init__(self, path: Path) -> None:
        self.interpreter = Interpreter(model_path=str(path), num_threads=1)
        runner = self.interpreter.get_signature_runner("serving_default")
        self.inputs = runner.get_input_details()
        self.outputs = runner.get_output_details()

    def raw(self, inputs: Arrays) -> Arrays:
        """Run one batch; give the output tensors as the model has them."""
        for name, detail in self.inputs.items():
            self.interpreter.resize_tensor_input(detail["index"], inputs[name].shape, strict=True)
        self.interpreter.allocate_tensors()
        for name, detail in self.inputs.items():
            self.interpreter.set_tensor(detail["index"], quantised(inputs[name], detail))
        self.interpreter.invoke()
        return {name: self.interpreter.get_tensor(d["index"]).copy() for name, d in self.outputs.items()}

    def real(self, name: str, tensor: np.ndarray) -> np.ndarray:
        """Give an output in its own units."""
        scale, zero = self.outputs[name]["quantization"]
        return (tensor.astype("float64") - zero) * scale if scale else tensor.astype("float64")


def quantised(tensor: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """Bring floats into an int8 tensor's range; anything else stays as it is."""
    scale, zero = detail["quantization"]
    if not scale:
        return tensor
    return np.clip(np.round(tensor / scale) + zero, -128, 127).astype(detail["dtype"])


def batch_differences(model: Model, inputs: Arrays) -> dict[int, dict[str, float]]:
    """Compare each batch size with row by row: the largest difference of each output."""
    answers = {n: in_batches(model, inputs, n) for n in BATCHES}
    return {
        n: {name: float(np.abs(answer[name] - answers[1][name]).max()) for name in answer}
        for n, answer in answers.items()
    }


def in_batches(model: Model, inputs: Arrays, rows: int) -> Arrays:
    """Run all rows, so many at a time."""
    parts = [
        model.raw({name: tensor[start : start + rows] for name, tensor in inputs.items()})
        for start in range(0, ROWS, rows)
    ]
    return {name: model.real(name, np.concatenate([part[name] for part in parts])) for name in model.outputs}


def golden_difference(model: Model, events: dict[int, Event]) -> tuple[float, float]:
    """Compare with golden.jsonl: the largest difference of minutes and of the chance of being late."""
    minutes, late = 0.0, 0.0
    for line in (HERE / "golden.jsonl").read_text().splitlines():
        golden = json.loads(line)
        out = model.raw(tensors([events[golden["id"]]]))
        real = {name: float(model.real(name, tensor)[0, 0]) for name, tensor in out.items()}
        minutes = max(minutes, abs(real["minutes"] - golden["minutes"]))
        late = max(late, abs(real["late"] - golden["late_probability"]))
    return minutes, late


def main() -> int:
    """Check both models; 1 when the float32 model misses its golden rows or a batch size disagrees."""
    lines = gzip.decompress((HERE / "events.jsonl.gz").read_bytes()).splitlines()
    events = [json.loads(line) for line in lines]
    by_id = {event["id"]: event for event in events}
    inputs = tensors(events[:: len(events) // ROWS][:ROWS])
    failed = False
    for name in ("delay.tflite", "delay_int8.tflite"):
        model = Model(HERE / "models" / name)
        minutes, late = golden_difference(model, by_id)
        print(f"{ENGINE} {name}: golden rows within {minutes:.3g} min and {late:.3g}")
        failed |= name == "delay.tflite" and max(minutes, late) > TOLERANCE
        for rows, largest in batch_differences(model, inputs).items():
            print(f"  batches of {rows:3} against row by row: {largest}")
            failed |= max(largest.values()) > TOLERANCE
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
