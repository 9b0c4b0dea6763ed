"""Interpreters: one thread, padded batches, rebuilt after a failure."""

import gzip
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from consumer.assembly import assemble
from consumer.deadletter.causes import Code
from consumer.enrich import Enricher
from consumer.exits import OnelaneError, PipelineError, RefusedError
from consumer.features.matrix import Matrix
from consumer.features.number import NumberColumn
from consumer.features.plan import ColumnPlan
from consumer.model.engines import Engine, find_engine
from consumer.model.file import open_interpreter, read_model
from consumer.model.runner import buckets
from consumer.model.tensors import dequantise, quantise
from consumer.pipeline.features import NumberFeature
from consumer.pipeline.load import load
from consumer.records.answers import NumberColumn as NumberPrediction
from consumer.records.json_reader import JsonReader
from consumer.records.layouts import Only
from consumer.records.predictions import Predictions
from consumer.records.writer import JsonWriter
from consumer.types import DeadLetter, Enriched, PlainEvent
from tests.engine.conftest import ENGINES, MODELS, Opened

ROOT = Path(__file__).parents[2]
FLIGHTS = ROOT / "examples" / "flights"


def threads() -> int:
    """Return how many threads this process has."""
    return len(list(Path("/proc/self/task").iterdir()))


def test_invariant_6_an_interpreter_has_one_thread(engine: Engine) -> None:
    """Making and running interpreters adds no thread to the process."""
    opened = Opened("dense", engine)
    before = threads()
    runners = [opened.runner(1, 64) for _ in range(4)]
    for runner in runners:
        runner.run(opened.rows(64))
    assert threads() == before


def test_invariant_6_another_thread_is_refused(engine: Engine) -> None:
    """A runner belongs to the thread that made it."""
    opened = Opened("dense", engine)
    runner, caught = opened.runner(1), []

    def trespass() -> None:
        with pytest.raises(AssertionError, match="belongs to the thread that made it") as error:
            runner.run(opened.rows(1))
        caught.append(error)

    thread = threading.Thread(target=trespass)
    thread.start()
    thread.join()
    assert caught


@pytest.mark.parametrize("name", ["dense", "fixed", "several_outputs", "int8", "no_signature"])
def test_padded_batches_give_what_rows_give_alone(engine: Engine, name: str) -> None:
    """Whatever the number of rows, below, at and above the sizes that batches are padded to."""
    opened = Opened(name, engine)
    runner = opened.runner(*buckets(16))
    rows = opened.rows(40)
    alone = opened.one_by_one(rows)
    for count in (1, 2, 3, 4, 5, 15, 16, 17, 33, 40):
        answer = runner.run({tensor: array[:count] for tensor, array in rows.items()})
        for output, array in answer.items():
            np.testing.assert_allclose(array, alone[output][:count], rtol=1e-5, atol=1e-5)


def test_buckets_are_few_and_end_with_the_most_rows() -> None:
    """1, 4, 16 and so on; any other size would cost the engine a new plan."""
    assert buckets(1) == (1,)
    assert buckets(4) == (1, 4)
    assert buckets(5) == (1, 4, 5)
    assert buckets(256) == (1, 4, 16, 64, 256)


def test_a_failed_invoke_leaves_a_runner_that_works_once_it_is_rebuilt(engine: Engine) -> None:
    """And the engine's words do not pile up over failures."""
    opened = Opened("bad_row", engine)
    runner = opened.runner(1, 8)
    good = opened.rows(5)
    wrong = {"index": np.array([[999]], dtype=np.int32)}
    expected = runner.run(good)["y"]
    lengths = []
    for _ in range(30):
        with pytest.raises((RuntimeError, ValueError)) as caught:
            runner.run(wrong)
        lengths.append(len(str(caught.value)))
        runner.rebuild()
        np.testing.assert_array_equal(runner.run(good)["y"], expected)
    assert max(lengths) == lengths[0]


def test_invariant_3_rows_that_fail_inside_the_model_are_dead_letters_alone(engine: Engine) -> None:
    """An index that the model does not know fails the whole batch; only its row is lost, and the order is kept."""
    opened = Opened("bad_row", engine)
    # The mapping allows 0 to 9, the model knows 0 to 4.
    feature = NumberFeature(field="n", range=(0, 9))
    plan = ColumnPlan([Matrix(opened.signature.inputs["index"], [NumberColumn(feature)])])
    predictions = Predictions({"y": NumberPrediction("y", 0)}, {"model": opened.model.label})
    enricher = Enricher(JsonReader(plan.fields), plan, opened.runner(1, 4, 8), JsonWriter(predictions, Only("out")))
    numbers = [0, 7, 1, 2, 9, 0, 3]
    results = enricher.enrich([PlainEvent(b'{"n":%d}' % n, offset=place) for place, n in enumerate(numbers)])
    assert [result.event.offset() for result in results] == list(range(len(numbers)))
    dead = {place: result.cause for place, result in enumerate(results) if isinstance(result, DeadLetter)}
    assert list(dead) == [place for place, n in enumerate(numbers) if n > 4]
    assert all(cause.code == Code.INVOKE_FAILED and "out of bounds" in cause.message for cause in dead.values())
    alone = [enricher.enrich([PlainEvent(b'{"n":%d}' % n)])[0] for n in range(5)]
    values = {n: result.value for n, result in enumerate(alone) if isinstance(result, Enriched)}
    assert [r.value for r in results if isinstance(r, Enriched)] == [values[n] for n in numbers if n in values]


def test_quantised_tensors_are_filled_and_read_by_scale_and_zero_point(engine: Engine) -> None:
    """int8 in and out: what comes back is what the arithmetic by hand says of the interpreter's own integers."""
    opened = Opened("int8", engine)
    tensor, output = opened.signature.inputs["x"], opened.signature.outputs["y"]
    numbers = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
    stored = quantise(numbers, tensor)
    by_hand = np.clip(np.rint(numbers / tensor.scale) + tensor.zero_point, -128, 127).astype(np.int8)
    np.testing.assert_array_equal(stored, by_hand)
    raw = opened.runner(1).raw_outputs({"x": stored})["y"]
    answer = opened.runner(32).run({"x": stored})["y"]
    np.testing.assert_allclose(answer, (raw.astype(np.float64) - output.zero_point) * output.scale, rtol=1e-6)
    np.testing.assert_allclose(dequantise(raw, output), answer)
    dense = Opened("dense", engine).runner(32).run({"x": numbers})["y"]
    assert np.abs(answer - dense).max() < 0.5


def test_both_engines_agree_on_the_golden_rows(engine: Engine, tmp_path: Path) -> None:
    """The example's pipeline gives the committed minutes on each engine."""
    text = (FLIGHTS / "pipeline.yaml").read_text().replace("models/delay", str(FLIGHTS / "models" / "delay"))
    for name in ("carriers", "origins", "destinations"):
        text = text.replace(f"{name}.txt", str(FLIGHTS / f"{name}.txt"))
    path = tmp_path / "pipeline.yaml"
    path.write_text(text.replace("  inputs:", f"  engine: {engine.name}\n  inputs:", 1))
    enricher = assemble(load(path, {})).enrichers()()
    golden = [json.loads(line) for line in (FLIGHTS / "golden.jsonl").read_text().splitlines()]
    minutes = {row["id"]: row["minutes"] for row in golden}
    with gzip.open(FLIGHTS / "events.jsonl.gz") as lines:
        events = [PlainEvent(line.strip()) for line in lines if json.loads(line)["id"] in minutes]
    results = enricher.enrich(events)
    assert len(results) == len(golden)
    for result in results:
        assert isinstance(result, Enriched)
        told = json.loads(result.value)
        assert told["delay"]["minutes"] == pytest.approx(minutes[told["id"]], abs=1e-3)


@pytest.mark.parametrize(
    ("content", "why", "error"),
    [(None, "can't be read", PipelineError), (b"TFL3 is elsewhere", "no TensorFlow Lite file", RefusedError)],
)
def test_a_file_that_is_no_model_is_refused(
    tmp_path: Path, content: bytes | None, why: str, error: type[OnelaneError]
) -> None:
    """A missing file and one of another kind are told apart."""
    path = tmp_path / "some.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=why):
        read_model(path)


def test_a_cut_off_model_is_refused_by_litert(tmp_path: Path) -> None:
    """Half a file, as a copy still under way leaves it; tflite-runtime does not verify, and dies of it."""
    path = tmp_path / "half.tflite"
    path.write_bytes((MODELS / "dense.tflite").read_bytes()[:600])
    model = read_model(path)
    with pytest.raises(RefusedError, match=r"half@\w+: litert .* can't run it"):
        open_interpreter(find_engine("litert"), model)


def test_an_engine_that_is_not_installed_is_named_with_what_to_install() -> None:
    """The message says which package to install."""
    assert find_engine("auto").name == "litert"
    if "tflite-runtime" not in ENGINES:
        with pytest.raises(RefusedError, match=r"tflite-runtime can't be imported; pip install tflite-runtime"):
            find_engine("tflite-runtime")


def test_the_engine_writes_nothing_of_its_own_into_the_log(engine: Engine) -> None:
    """The first interpreter of a process tells of its delegate on stderr, which would break JSON lines."""
    code = (
        "from tests.engine.conftest import Opened\n"
        "from consumer.model.engines import find_engine\n"
        f"Opened('dense', find_engine('{engine.name}')).verdict()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
