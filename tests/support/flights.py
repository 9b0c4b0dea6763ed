"""The flights example, assembled once: a real pipeline with a real model on LiteRT."""

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import orjson

from consumer.assembly import Assembly, assemble
from consumer.pipeline.load import load
from consumer.pipeline.outputs import NumberOutput
from consumer.types import Enriching, PlainEvent

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"


@cache
def flights(name: str = "pipeline.yaml") -> Assembly:
    """Return the example, with its late probability as a number too, as the golden rows have it."""
    file = load(FLIGHTS / name, {})
    outputs = {**file.spec.model.outputs, "late_probability": NumberOutput(tensor="late")}
    model = msgspec.structs.replace(file.spec.model, outputs=outputs)
    return assemble(msgspec.structs.replace(file, spec=msgspec.structs.replace(file.spec, model=model)))


def flights_enricher(name: str = "pipeline.yaml") -> Enriching:
    """Make an enricher with an interpreter of its own."""
    return flights(name).enrichers()()


@cache
def flight_values() -> list[bytes]:
    """Return the example's events."""
    with gzip.open(FLIGHTS / "events.jsonl.gz") as lines:
        return [line.rstrip(b"\n") for line in lines]


def flight_events(count: int) -> list[PlainEvent]:
    """Return the first of the example's events."""
    return [PlainEvent(value, offset=place, topic="flights") for place, value in enumerate(flight_values()[:count])]


@cache
def golden() -> dict[int, dict[str, Any]]:
    """Return what the model answered where it was trained, by the flight's id."""
    rows = [orjson.loads(line) for line in (FLIGHTS / "golden.jsonl").read_bytes().splitlines()]
    return {row["id"]: row for row in rows}


def flights_beside(folder: Path, more: str = "") -> Path:
    """Write the example's pipeline file into a folder, with more at its end; its other files are where they were."""
    text = (FLIGHTS / "pipeline.yaml").read_text()
    for name in ("models/delay.tflite", "carriers.txt", "origins.txt", "destinations.txt"):
        text = text.replace(name, str(FLIGHTS / name))
    path = folder / "pipeline.yaml"
    path.write_text(text + more)
    return path
