"""Odd models through a whole pipeline file: what is refused at the start, and what enriched records then say."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from consumer.assembly import Assembly, assemble
from consumer.deadletter.causes import Code
from consumer.exits import RefusedError
from consumer.lane import Reason
from consumer.model.engines import Engine
from consumer.model.file import open_interpreter
from consumer.pipeline.load import load
from consumer.types import DeadLetter, Enriched, PlainEvent, Result
from tests.engine.conftest import MODELS, Opened

THREE = [{"field": name, "kind": "number"} for name in "abc"]
FOUR = [{"field": name, "kind": "number"} for name in "abcd"]
FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"


def number(tensor: str, index: int | None = None) -> dict[str, Any]:
    """Return an output field."""
    return {"tensor": tensor, "kind": "number"} | ({} if index is None else {"index": index})


def assembled(
    folder: Path,
    engine: Engine,
    model: str,
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    *,
    signature: str | None = None,
    **batch: object,
) -> Assembly:
    """Write a pipeline file (JSON is YAML too) and assemble it."""
    path = folder / "pipeline.yaml"
    pipeline = {
        "name": "odd",
        "input": {"topic": "in"},
        "output": {"topic": "out", "layout": "only"},
        "dead_letters": {"topic": "dead"},
        "model": {
            "path": str(MODELS / f"{model}.tflite"),
            "engine": engine.name,
            "signature": signature,
            "inputs": inputs,
            "outputs": outputs,
        },
        "batch": batch,
    }
    path.write_text(json.dumps(pipeline, indent=1))
    return assemble(load(path, {}))


def events(rows: Sequence[Sequence[float]]) -> list[PlainEvent]:
    """Make events with the fields a, b, c and so on."""
    return [
        PlainEvent(json.dumps(dict(zip("abcd", row, strict=False))).encode(), offset=place)
        for place, row in enumerate(rows)
    ]


def predictions(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return what enriched records say; there must be no dead letter."""
    said = []
    for result in results:
        assert isinstance(result, Enriched), result
        said.append(json.loads(result.value)["prediction"])
    return said


def some_rows(count: int, width: int) -> list[list[float]]:
    """Make distinct rows of numbers that a float32 holds exactly."""
    rows: list[list[float]] = (np.random.default_rng(3).integers(-64, 64, (count, width)) / 32).tolist()
    return rows


@pytest.mark.parametrize("name", ["int8", "uint8"])
def test_a_quantised_model_answers_what_the_arithmetic_by_hand_says(
    engine: Engine, tmp_path: Path, name: str
) -> None:
    """From JSON to JSON, the same as quantising, invoking a bare interpreter and dequantising by hand."""
    assembly = assembled(tmp_path, engine, name, {"x": THREE}, {"left": number("y", 0), "right": number("y", 1)})
    rows = some_rows(23, 3)
    said = predictions(assembly.enrichers()().enrich(events(rows)))
    bare = open_interpreter(engine, assembly.model)
    bare.allocate_tensors()
    into, out = bare.get_input_details()[0], bare.get_output_details()[0]
    limits = np.iinfo(into["dtype"])
    for row, answer in zip(rows, said, strict=True):
        scale, zero = into["quantization"]
        stored = np.clip(np.rint(np.array(row, np.float32) / np.float32(scale)) + zero, limits.min, limits.max)
        bare.set_tensor(into["index"], stored.astype(into["dtype"])[None])
        bare.invoke()
        scale, zero = out["quantization"]
        expected = (bare.get_tensor(out["index"])[0].astype(float) - zero) * scale
        assert [answer["left"], answer["right"]] == pytest.approx(expected.tolist(), rel=1e-6)


def test_the_int8_example_answers_a_batch_as_it_answers_single_events(engine: Engine) -> None:
    """Byte for byte, on each engine: what a record says does not depend on its neighbours."""
    file = load(FLIGHTS / "pipeline-int8.yaml", {})
    named = msgspec.structs.replace(file.spec.model, engine=engine.name)
    file = msgspec.structs.replace(file, spec=msgspec.structs.replace(file.spec, model=named))
    enricher = assemble(file).enrichers()()
    flight = {
        "dep_delay": 4.0, "distance": 529.0, "sched_dep_time": 500, "sched_arr_time": 651, "weekend": True,
        "time_hour": "2013-11-23T10:00:00Z", "carrier": "US", "origin": "EWR", "dest": "CLT",
    }  # fmt: skip
    flights = [PlainEvent(json.dumps(flight | {"dep_delay": delay}).encode()) for delay in range(-20, 60, 2)]
    alone = [result for event in flights for result in enricher.enrich([event])]
    assert values(enricher.enrich(flights)) == values(alone)


def values(results: Sequence[Result]) -> list[bytes]:
    """Return enriched values; there must be no dead letter."""
    enriched = [result.value for result in results if isinstance(result, Enriched)]
    assert len(enriched) == len(results)
    return enriched


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "batched"),
    [
        ("dense", THREE, {"y": number("y", 1)}, True),
        ("fixed", THREE, {"y": number("y", 1)}, True),
        ("folds", FOUR, {"y": number("y", 3)}, False),
        ("reshape_error", FOUR, {"y": number("y", 1)}, False),
        ("row_mix", THREE, {"y": number("y", 1)}, False),
        ("several_outputs", THREE, {"t": number("total"), "f": number("first"), "e": number("each", 2)}, True),
    ],
)
def test_an_event_is_answered_alike_alone_and_among_others(
    engine: Engine, tmp_path: Path, name: str, inputs: list[Any], outputs: dict[str, Any], *, batched: bool
) -> None:
    """Whatever the model does with batches: the verdict decides how it is run, never what it says."""
    assembly = assembled(tmp_path, engine, name, {"x": inputs}, outputs)
    assert assembly.verdict.batched == batched
    rows = events(some_rows(20, len(inputs)))
    together = predictions(assembly.enrichers()().enrich(rows))
    alone = [predictions(assembly.enrichers()().enrich([row]))[0] for row in rows]
    for one, other in zip(together, alone, strict=True):
        assert {name: one[name] for name in outputs} == pytest.approx({name: other[name] for name in outputs})


def test_outputs_of_every_shape_are_read_by_name_and_index(engine: Engine, tmp_path: Path) -> None:
    """Shapes [-1], [-1, 1] and [-1, 3] give the numbers that the model was made to compute."""
    outputs = {"total": number("total"), "first": number("first"), "third": number("each", 2)}
    assembly = assembled(tmp_path, engine, "several_outputs", {"x": THREE}, outputs)
    said = predictions(assembly.enrichers()().enrich(events([[1, -2, 0.5], [-4, 3, -8]])))
    assert [[s["total"], s["first"], s["third"]] for s in said] == [[-0.5, 2.0, 0.5], [-9.0, -8.0, 8.0]]


def test_a_model_without_a_signature_is_addressed_by_its_tensors_own_names(engine: Engine, tmp_path: Path) -> None:
    """It answers as the same model with a signature does."""
    rows = events(some_rows(7, 3))
    named = assembled(tmp_path, engine, "dense", {"x": THREE}, {"y": number("y", 0)})
    bare = assembled(tmp_path, engine, "no_signature", {"measurements": THREE}, {"y": number("scores", 0)})
    said, expected = (predictions(assembly.enrichers()().enrich(rows)) for assembly in (bare, named))
    assert [s["y"] for s in said] == [s["y"] for s in expected]


def test_a_row_for_which_the_model_answers_nan_is_a_dead_letter_alone(engine: Engine, tmp_path: Path) -> None:
    """JSON has no NaN, and its neighbours keep their answers and their order."""
    root = [{"field": "a", "kind": "number", "range": [-9, 9]}]
    enricher = assembled(tmp_path, engine, "nan", {"x": root}, {"y": number("y")}).enrichers()()
    results = enricher.enrich(events([[4], [-1], [9], [0]]))
    assert isinstance(results[1], DeadLetter)
    assert (results[1].cause.code, results[1].cause.field) == (Code.NOT_FINITE, "y")
    assert [s["y"] for s in predictions([results[0], *results[2:]])] == [2.0, 3.0, 0.0]


@pytest.mark.parametrize(
    ("name", "mapping", "words"),
    [
        ("custom_op", (THREE, {"y": number("y", 0)}), ["unresolved custom op: Betainc"]),
        ("flex_op", (FOUR, {"y": number("y")}), ["FlexMatrixDeterminant"]),
        ("several_signatures", (THREE, {"y": number("y", 0)}), ["several signatures (one, other): say which"]),
        ("stateful", (THREE[:1], {"y": number("y")}), ["keeps state between calls", "ASSIGN_VARIABLE"]),
        ("rnn", (THREE, {"y": number("y", 0)}), ["does not answer the same row alike twice", "`y`"]),
        ("scalar", (THREE, {"y": number("all")}), ["output `all` of one row has the shape []"]),
        ("tall", (THREE, {"y": number("y", 0)}), ["output `y` of one row has the shape [3, 2]"]),
        (
            "wide_dynamic",
            (THREE, {"y": number("y")}),
            ["pipeline.yaml:", "model.inputs.x: the model's input `x` (float32[?, ?]) varies in more than"],
        ),
    ],
)
def test_a_model_that_can_not_be_served_is_refused_at_the_start(
    engine: Engine, tmp_path: Path, name: str, mapping: tuple[list[Any], dict[str, Any]], words: list[str]
) -> None:
    """With what is wrong with it: operator, state, shape, or the mapping's place and the model's tensor."""
    with pytest.raises(RefusedError) as caught:
        assembled(tmp_path, engine, name, {"x": mapping[0]}, mapping[1])
    assert [word for word in words if word not in str(caught.value)] == []
    if name.endswith("_op"):
        assert f"{engine.name} {engine.version} can't run it" in str(caught.value)


@pytest.mark.parametrize(("signature", "factor"), [("one", 2.0), ("other", 0.5)])
def test_each_of_several_signatures_can_be_chosen(
    engine: Engine, tmp_path: Path, signature: str, factor: float
) -> None:
    """By its name, in batches, after failures too; it is part of the pipeline's hash."""
    assembly = assembled(
        tmp_path, engine, "several_signatures", {"x": THREE}, {"y": number("y", 1)}, signature=signature, rows=8
    )
    assert (assembly.verdict.batched, assembly.verdict.rows) == (True, 8)
    enricher = assembly.enrichers()()
    for rows in (1, 5, 13):
        found = predictions(enricher.enrich(events([[row, row + 1, 0] for row in range(rows)])))
        assert [one["y"] for one in found] == [factor * (row + 1) for row in range(rows)]
    labels = {assembly.file.label}
    for other in {"one", "other"} - {signature}:
        again = assembled(
            tmp_path, engine, "several_signatures", {"x": THREE}, {"y": number("y", 1)}, signature=other
        )
        labels.add(again.file.label)
    assert len(labels) == 2


def test_a_signature_that_the_model_has_not_is_told_with_the_nearest(engine: Engine, tmp_path: Path) -> None:
    """Or that it has none to choose from."""
    mapping = ({"x": THREE}, {"y": number("y", 1)})
    with pytest.raises(RefusedError, match="has no signature othr; it has one, other"):
        assembled(tmp_path, engine, "several_signatures", *mapping, signature="othr")
    with pytest.raises(RefusedError, match="has no signature one; it has none: leave `signature` out"):
        assembled(tmp_path, engine, "no_signature", *mapping, signature="one")


def test_an_odd_output_that_nothing_is_read_from_does_no_harm(engine: Engine, tmp_path: Path) -> None:
    """One number for the whole batch beside one a row: the second is served, in batches."""
    assembly = assembled(tmp_path, engine, "scalar", {"x": THREE}, {"y": number("each")})
    assert assembly.verdict.batched
    assert [s["y"] for s in predictions(assembly.enrichers()().enrich(events([[1, 2, 3], [4, 5, 6]])))] == [6, 15]


@pytest.mark.parametrize(("name", "tensor", "allowed"), [("bad_row", "index", [0, 4]), ("bad_divisor", "x", [1, 9])])
def test_a_range_beyond_what_the_model_takes_is_found_at_the_start(
    engine: Engine, tmp_path: Path, name: str, tensor: str, allowed: list[int]
) -> None:
    """Rows of the mapping's own making fail alone: that is not mistaken for trouble with batches."""
    outputs = {"y": number("y", 0)}
    column = {"field": "a", "kind": "number", "range": allowed}
    assert assembled(tmp_path, engine, name, {tensor: [column]}, outputs).verdict.batched
    with pytest.raises(RefusedError, match=r"can't run it: .*(out of bounds|Division by 0)"):
        assembled(tmp_path, engine, name, {tensor: [column | {"range": [0, 9]}]}, outputs)


def test_what_an_interpreter_takes_is_measured_of_a_model_that_fails_on_some_rows(
    engine: Engine, tmp_path: Path
) -> None:
    """Of as many rows as fill a batch, one made it fail: a worker ended so at its start, with a bug."""
    column = {"field": "a", "kind": "number", "range": [-300, 300]}
    assembly = assembled(
        tmp_path, engine, "bad_divisor", {"x": [column]}, {"y": number("y", 0)}, rows=2048, wait="1ms"
    )
    whole = msgspec.structs.replace(assembly.verdict, rows=2048)
    assert any((row == 0).all() for row in assembly.plan.samples(2048)["x"])
    assert msgspec.structs.replace(assembly, verdict=whole).interpreter_bytes() >= 0


def test_rows_that_would_not_fit_into_a_batch_are_never_tried(engine: Engine, tmp_path: Path) -> None:
    """A batch of at most 60 bytes holds five rows of twelve; what closes such batches is called bytes."""
    assembly = assembled(tmp_path, engine, "dense", {"x": THREE}, {"y": number("y", 0)}, bytes="60B")
    assert (assembly.verdict.rows, assembly.rule.full) == (5, Reason.BYTES)
    roomy = assembled(tmp_path, engine, "dense", {"x": THREE}, {"y": number("y", 0)}, rows=64)
    assert (roomy.verdict.rows, roomy.rule.full) == (64, Reason.ROWS)


def test_all_interpreters_run_the_same_bytes(engine: Engine) -> None:
    """A model is in memory once, however many lanes there are."""
    seen: list[bytes] = []

    def make(content: bytes) -> Any:  # noqa: ANN401
        seen.append(content)
        return engine.interpreter(content)

    opened = Opened("dense", msgspec.structs.replace(engine, interpreter=make))
    first, second = opened.runner(1, 4), opened.runner(1, 4)
    rows = opened.rows(3)
    np.testing.assert_array_equal(first.run(rows)["y"], second.run(rows)["y"])
    first.rebuild()
    assert len(seen) == 4
    assert all(content is opened.model.content for content in seen)
