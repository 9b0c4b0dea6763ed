"""An example's pipeline, run over its events once: what the model was given, what it said, what came out."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from consumer.assembly import assemble
from consumer.model.runner import Runner
from consumer.model.tensors import Array
from consumer.pipeline.load import load
from consumer.types import Cause, DeadLetter, Enriched, PlainEvent

EXAMPLES = Path(__file__).parents[2] / "examples"
BATCH = 64

# A row's tensors by name, without the batch dimension.
Row = Mapping[str, Array]


class _Recorder:
    """An interpreter that remembers each row it was given, and what the model said to it."""

    def __init__(self, runner: Runner, rows: list[tuple[Row, Row]]) -> None:
        self._runner = runner
        self._rows = rows
        self.rebuild: Callable[[], None] = runner.rebuild

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model."""
        outputs = self._runner.run(inputs)
        count = len(next(iter(inputs.values())))
        self._rows += [
            ({k: v[i] for k, v in inputs.items()}, {k: v[i] for k, v in outputs.items()}) for i in range(count)
        ]
        return outputs


@dataclass(frozen=True)
class Told:
    """An event that was enriched: its record, and the model's inputs and outputs for it."""

    record: dict[str, Any]
    inputs: Row
    outputs: Row


@dataclass(frozen=True)
class Example:
    """What became of an example's events, each by its place in the file."""

    told: dict[int, Told]
    dead: dict[int, Cause]


@cache
def enriched(name: str, pipeline: str = "pipeline.yaml", size: int | None = None) -> Example:
    """Enrich an example's events in batches.

    Args:
        name: of the example's folder.
        pipeline: its file.
        size: of each value in bytes, where the events are no JSON lines.
    """
    rows: list[tuple[Row, Row]] = []
    assembly = assemble(load(EXAMPLES / name / pipeline, {}))
    make = assembly.enrichers(lambda runner: _Recorder(runner, rows))
    enricher, told, dead = make(), {}, {}
    all_values = values(name, size)
    # Rows of different lengths are not run in their order: those are told apart by running them one by one.
    batch = 1 if assembly.plan.ragged else BATCH
    for start in range(0, len(all_values), batch):
        events = [PlainEvent(v, offset=place) for place, v in enumerate(all_values[start : start + batch], start)]
        rows.clear()
        results = enricher.enrich(events)
        good = iter(rows)
        for result in results:
            place = result.event.offset()
            if isinstance(result, Enriched):
                told[place] = Told(orjson.loads(result.value), *next(good))
            elif isinstance(result, DeadLetter):
                dead[place] = result.cause
    return Example(told, dead)


@cache
def values(name: str, size: int | None = None) -> list[bytes]:
    """Return the example's events: the lines of events.jsonl.gz, or the parts of images.bin.gz."""
    if size is None:
        return gzip.decompress((EXAMPLES / name / "events.jsonl.gz").read_bytes()).splitlines()
    content = gzip.decompress((EXAMPLES / name / "images.bin.gz").read_bytes())
    return [content[start : start + size] for start in range(0, len(content), size)]


@cache
def truth(name: str) -> dict[int, str]:
    """Return what is true of each event, by its id, in their order."""
    lines = gzip.decompress((EXAMPLES / name / "truth.csv.gz").read_bytes()).decode().splitlines()[1:]
    return {int(event): said for event, said in (line.split(",") for line in lines)}


@cache
def golden(name: str) -> dict[int, dict[str, Any]]:
    """Return inputs and outputs of 100 events, as they were where the model was trained, by the event's id."""
    rows = [orjson.loads(line) for line in (EXAMPLES / name / "golden.jsonl").read_bytes().splitlines()]
    return {row["id"]: row for row in rows}


def by_id(example: Example) -> dict[int, Told]:
    """Return what was enriched by the event's id."""
    return {told.record["id"]: told for told in example.told.values()}


def assert_golden(name: str, told: Mapping[int, Told]) -> None:
    """Check the mapping's inputs and the model's outputs against the golden rows; a text's ids may be padded by 0."""
    for event, row in golden(name).items():
        for tensor, numbers in row["inputs"].items():
            mine = told[event].inputs[tensor]
            assert mine.dtype.kind == ("f" if np.asarray(numbers).dtype.kind == "f" else "i"), tensor
            np.testing.assert_allclose(
                mine[: len(numbers)], numbers, rtol=1e-6, atol=1e-7, err_msg=f"{tensor} {event}"
            )
            assert not mine[len(numbers) :].any(), f"{tensor} of {event} is longer"
        for tensor, numbers in row["outputs"].items():
            np.testing.assert_allclose(told[event].outputs[tensor], numbers, rtol=1e-4, atol=1e-5, err_msg=str(event))


def softmax(logits: Array) -> Sequence[float]:
    """Return chances that add up to 1."""
    powers = np.exp(logits.astype("float64") - logits.max())
    return list((powers / powers.sum()).tolist())
