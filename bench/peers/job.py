"""The jobs of the comparison, written once for all peers, as someone would who wants them to be fast.

Needs numpy, orjson and LiteRT alone, since it is imported in each peer's own environment. The same files, arithmetic
and answers as bench/pipelines; what is wrong with an event is an exception here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import orjson
from ai_edge_litert.interpreter import Interpreter

Array = npt.NDArray[Any]
Event = dict[str, Any]

ROOT: Final = Path(__file__).parents[2]
FLIGHTS: Final = ROOT / "examples" / "flights"
MODELS: Final = ROOT / "bench" / "models"
# As many as peers take at once.
ROWS: Final = 512
NEW_YORK: Final = ZoneInfo("America/New_York")


@lru_cache(maxsize=4096)
def weekday_and_hour(text: str) -> tuple[int, int]:
    """Return when it is in New York: Monday is 0."""
    moment = datetime.fromisoformat(text).astimezone(NEW_YORK)
    return moment.weekday(), moment.hour


class Kind(Protocol):
    """What tells one job from another."""

    model: Path
    field: str
    rows: int

    def inputs(self, events: Sequence[Event]) -> dict[str, Array]:
        """Return the model's input tensors."""
        ...

    def fields(self, outputs: Mapping[str, Array]) -> list[Event]:
        """Return the field of each event, in Python's own types."""
        ...

    def quick_fields(self, outputs: Mapping[str, Array]) -> list[Event]:
        """Return the field of each event, in what orjson writes fastest."""
        ...


class Vocabulary:
    """A file of categories, one a line, whose indices count from 1: 0 is any other."""

    def __init__(self, name: str) -> None:
        lines = (FLIGHTS / name).read_text().splitlines()
        self._indices: dict[str | None, int] = {entry: place for place, entry in enumerate(lines, 1)}
        self.size = len(lines) + 1

    def indices(self, values: Sequence[str | None]) -> Array:
        """Return each value's index."""
        find = self._indices.get
        return np.fromiter([find(value, 0) for value in values], np.int32, len(values))


class Flights:
    """What the jobs with flights share: their categories."""

    rows = ROWS

    def __init__(self) -> None:
        self._vocabularies = {
            "carrier": Vocabulary("carriers.txt"),
            "origin": Vocabulary("origins.txt"),
            "dest": Vocabulary("destinations.txt"),
        }

    def _indices(self, events: Sequence[Event]) -> dict[str, Array]:
        return {
            field: vocabulary.indices([event.get(field) for event in events])
            for field, vocabulary in self._vocabularies.items()
        }


class Small(Flights):
    """The example as it is: 7 numbers, 3 indices; minutes, and whether that is late."""

    model = FLIGHTS / "models" / "delay.tflite"
    field = "delay"

    _means = np.array((13.6, 1046, 1341, 1530, 0, 3, 13))
    _stds = np.array((41.9, 737, 468, 500, 1, 2, 4.7))
    _late = 0.5

    def inputs(self, events: Sequence[Event]) -> dict[str, Array]:
        """Return the model's input tensors."""
        rows = [
            (
                event.get("dep_delay") or 0.0,
                event["distance"],
                event["sched_dep_time"],
                event["sched_arr_time"],
                event["weekend"],
                *weekday_and_hour(event["time_hour"]),
            )
            for event in events
        ]
        numbers = (np.array(rows, dtype=np.float64) - self._means) / self._stds
        indices = {field: column.reshape(-1, 1) for field, column in self._indices(events).items()}
        return {"features": numbers.astype(np.float32), **indices}

    def fields(self, outputs: Mapping[str, Array]) -> list[Event]:
        """Return the field of each event, as numbers of Python."""
        minutes, late = outputs["minutes"].ravel().tolist(), (outputs["late"].ravel() > self._late).tolist()
        return [{"minutes": number, "late": verdict} for number, verdict in zip(minutes, late, strict=True)]

    quick_fields = fields


class Scores:
    """What the jobs share whose model answers with ten scores."""

    field = "prediction"

    def fields(self, outputs: Mapping[str, Array]) -> list[Event]:
        """Return the field of each event, as numbers of Python."""
        return [{"scores": row} for row in outputs["scores"].tolist()]

    def quick_fields(self, outputs: Mapping[str, Array]) -> list[Event]:
        """Return the field of each event, as arrays, which orjson writes faster and with no digits too many."""
        return [{"scores": row} for row in outputs["scores"]]


class Mixed(Scores, Flights):
    """128 columns: 3 numbers, and each category as one of its columns."""

    model = MODELS / "mixed.tflite"
    width = 128

    _means = np.array((13.6, 1046, 13))
    _stds = np.array((41.9, 737, 4.7))

    def __init__(self) -> None:
        super().__init__()
        sizes = [vocabulary.size for vocabulary in self._vocabularies.values()]
        self._starts = [len(self._means) + sum(sizes[:place]) for place in range(len(sizes))]

    def inputs(self, events: Sequence[Event]) -> dict[str, Array]:
        """Return the model's input tensor."""
        rows = [
            (event.get("dep_delay") or 0.0, event["distance"], weekday_and_hour(event["time_hour"])[1])
            for event in events
        ]
        matrix = np.zeros((len(events), self.width), dtype=np.float32)
        matrix[:, : len(self._means)] = (np.array(rows, dtype=np.float64) - self._means) / self._stds
        places = np.arange(len(events))
        for start, column in zip(self._starts, self._indices(events).values(), strict=True):
            matrix[places, start + column] = 1
        return {"features": matrix}


class MixedInt8(Mixed):
    """The same with int8 throughout."""

    model = MODELS / "mixed_int8.tflite"


class Attention(Scores):
    """64 tokens, as they come."""

    model = MODELS / "attention.tflite"
    rows = 16  # a row costs 170 us in batches of 4 to 16, more alone, and 280 us in those of 512

    def inputs(self, events: Sequence[Event]) -> dict[str, Array]:
        """Return the model's input tensor."""
        return {"tokens": np.array([event["tokens"] for event in events], dtype=np.int32)}


JOBS: Final[Mapping[str, type[Kind]]] = {
    "small": Small,
    "mixed": Mixed,
    "mixed_int8": MixedInt8,
    "attention": Attention,
}


class Model:
    """An interpreter of one thread.

    Batches are filled up to a power of two, since a new size costs more than rows too many.

    Args:
        path: the model's file.
    """

    def __init__(self, path: Path) -> None:
        self._interpreter = Interpreter(model_path=str(path), num_threads=1)
        runner = self._interpreter.get_signature_runner("serving_default")
        self._inputs = runner.get_input_details()
        self._outputs = runner.get_output_details()
        self._size = 0

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a batch: name -> (rows, ...), in float32 also where the model is quantised."""
        rows = len(next(iter(inputs.values())))
        size = 1 << (rows - 1).bit_length()
        stored = {name: padded(quantised(inputs[name], tensor), size) for name, tensor in self._inputs.items()}
        if size != self._size:
            for name, tensor in self._inputs.items():
                self._interpreter.resize_tensor_input(tensor["index"], stored[name].shape)
            self._interpreter.allocate_tensors()
            self._size = size
        for name, tensor in self._inputs.items():
            self._interpreter.set_tensor(tensor["index"], stored[name])
        self._interpreter.invoke()
        return {
            name: dequantised(self._interpreter.get_tensor(tensor["index"])[:rows], tensor)
            for name, tensor in self._outputs.items()
        }


def padded(array: Array, size: int) -> Array:
    """Repeat the last row."""
    short = size - len(array)
    return np.concatenate([array, np.repeat(array[-1:], short, axis=0)]) if short else array


def quantised(array: Array, tensor: Mapping[str, Any]) -> Array:
    """Return an array as a tensor stores it, halves away from zero."""
    scale, zero = tensor["quantization"]
    if not scale:
        return array
    steps = array / np.float64(scale)
    rounded = np.trunc(steps + np.copysign(0.5, steps)) + zero
    limits = np.iinfo(tensor["dtype"])
    stored: Array = np.clip(rounded, limits.min, limits.max).astype(tensor["dtype"])
    return stored


def dequantised(array: Array, tensor: Mapping[str, Any]) -> Array:
    """Return what a tensor stores as numbers."""
    scale, zero = tensor["quantization"]
    if not scale:
        return array
    numbers: Array = (array.astype(np.float32) - np.float32(zero)) * np.float32(scale)
    return numbers


class Job:
    """One of the jobs, with an interpreter of its own; one thread may use it.

    Args:
        name: one of JOBS.
    """

    def __init__(self, name: str) -> None:
        self._kind: Kind = JOBS[name]()
        self._model = Model(self._kind.model)

    def one(self, value: bytes) -> bytes:
        """Enrich an event."""
        return self.many([value])[0]

    def many(self, values: Sequence[bytes]) -> list[bytes]:
        """Enrich events, in batches of as many as suit the model."""
        events = [orjson.loads(value) for value in values]
        for batch in batches(events, self._kind.rows):
            fields = self._kind.quick_fields(self._model.run(self._kind.inputs(batch)))
            for event, field in zip(batch, fields, strict=True):
                event[self._kind.field] = field
        return [orjson.dumps(event, option=orjson.OPT_SERIALIZE_NUMPY) for event in events]

    def one_decoded(self, event: Event) -> Event:
        """Enrich an event; the one given stays as it is."""
        return self.many_decoded([event])[0]

    def many_decoded(self, events: Sequence[Event]) -> list[Event]:
        """Enrich events, in batches of as many as suit the model; those given stay as they are."""
        enriched: list[Event] = []
        for batch in batches(events, self._kind.rows):
            fields = self._kind.fields(self._model.run(self._kind.inputs(batch)))
            enriched += [{**event, self._kind.field: field} for event, field in zip(batch, fields, strict=True)]
        return enriched


def batches(events: Sequence[Event], rows: int) -> list[Sequence[Event]]:
    """Cut events into batches of so many at most."""
    return [events[start : start + rows] for start in range(0, len(events), rows)]
