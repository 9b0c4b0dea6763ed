"""The examples' models, whatever the mapping: both engines answer as was noted where the models were trained."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from consumer.model.engines import Engine
from consumer.model.file import open_interpreter, read_model
from consumer.model.tensors import Array

EXAMPLES = Path(__file__).parents[2] / "examples"
MODELS = {
    "text/models/language.tflite": None,
    "text/models/language_1024.tflite": 1024,
    "image/models/digits.tflite": None,
    "payments/models/fraud.tflite": None,
}


def golden_rows(example: str) -> list[dict[str, Any]]:
    """Read what the model was given and answered, row by row."""
    return [orjson.loads(line) for line in (EXAMPLES / example / "golden.jsonl").read_bytes().splitlines()]


def stacked(rows: list[Any], length: int | None) -> Array:
    """Put rows side by side, shorter ones filled up with 0: [PAD] in ids, and masked out."""
    kind = "float32" if np.asarray(rows[0]).dtype.kind == "f" else "int32"
    if np.ndim(rows[0]) > 1 or isinstance(rows[0][0], float):
        return np.array(rows, kind)
    filled = np.zeros((len(rows), length or max(map(len, rows))), kind)
    for place, row in enumerate(rows):
        filled[place, : len(row)] = row
    return filled


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [1, 7, 100])
def test_a_batch_of_any_size_answers_as_the_golden_rows_say(engine: Engine, name: str, rows: int) -> None:
    """Each golden row was run alone and unpadded: neither its neighbours nor padding may change what it says."""
    golden = golden_rows(Path(name).parts[0])
    runner = open_interpreter(engine, read_model(EXAMPLES / name)).get_signature_runner("serving_default")
    for start in range(0, len(golden), rows):
        some = golden[start : start + rows]
        inputs = {key: stacked([row["inputs"][key] for row in some], MODELS[name]) for key in some[0]["inputs"]}
        for key, answer in runner(**inputs).items():
            np.testing.assert_allclose(answer, [row["outputs"][key] for row in some], rtol=1e-4, atol=1e-5)


def test_the_int8_model_sees_the_same_digits(engine: Engine) -> None:
    """Its scale and zero point take the golden rows to the same answers, but for a digit on the brink."""
    golden = golden_rows("image")
    model = read_model(EXAMPLES / "image" / "models" / "digits_int8.tflite")
    runner = open_interpreter(engine, model).get_signature_runner("serving_default")
    scale, zero = runner.get_input_details()["image"]["quantization"]
    images = np.array([row["inputs"]["image"] for row in golden], "float32")
    answer = runner(image=np.clip(np.round(images / scale) + zero, -128, 127).astype("int8"))["logits"]
    told = np.array([row["outputs"]["logits"] for row in golden]).argmax(axis=1)
    assert (answer.argmax(axis=1) != told).sum() <= 1
