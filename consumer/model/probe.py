"""The load probe: are batches right for this model on this machine, and what does a row cost?

Several public models take a larger batch without complaint and fold all rows into one output, so nothing is believed
that was not compared. The rows compared are made by the mapping and distinct: zeros would hide it.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import numpy as np

from consumer.model.engines import Engine
from consumer.model.file import ModelFile, Signature, cant_run
from consumer.model.quiet import engine_words
from consumer.model.runner import Runner, buckets
from consumer.model.tensors import Array

# Rows compared with their row-by-row results; enough for every kernel to leave its first tile.
_COMPARED: Final = 16
# Float kernels may add in another order for another batch size.
_RELATIVE: Final = 1e-4
_ABSOLUTE: Final = 1e-5


class Verdict(msgspec.Struct, frozen=True):
    """What the probe found.

    Attributes:
        batched: whether batches give what single rows give.
        why: where they do not, what happened.
        row_seconds: cost of one row in the largest batch used.
        rows: the most rows a batch may have, by the file's ``rows`` and ``time``.
    """

    batched: bool
    why: str
    row_seconds: float
    rows: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """The batch sizes that runners use."""
        return buckets(self.rows) if self.batched else (1,)


class Limit(msgspec.Struct, frozen=True):
    """What the pipeline file allows a batch: rows, and seconds."""

    rows: int
    seconds: float


def probe(
    engine: Engine,
    model: ModelFile,
    signature: Signature,
    samples: Callable[[int], Mapping[str, Array]],
    limit: Limit,
) -> Verdict:
    """Find out how to run a model.

    Args:
        engine: runs it.
        model: the file.
        signature: the model's tensors.
        samples: makes distinct mapped rows: count -> tensor name -> (count, ...) array.
        limit: what a batch may be.

    Raises:
        RefusedError: the engine can't run the model at all.
    """
    rows, seconds = limit.rows, limit.seconds
    single = Runner(engine, model, signature, (1,))
    one = samples(1)
    try:
        with engine_words():
            single.run(one)  # the first invoke also packs weights
    except (RuntimeError, ValueError) as error:
        raise cant_run(engine, model, error) from None
    row_seconds = _cost(single, one)
    compared = max(1, min(_COMPARED, rows, int(seconds / row_seconds)))
    why = (
        _difference(Runner(engine, model, signature, (1,)), single, signature, samples(compared))
        if compared > 1
        else ""
    )
    if why:
        return Verdict(batched=False, why=why, row_seconds=row_seconds, rows=_rows(rows, seconds, row_seconds))
    # What a row costs in a batch decides how many fit into the time; a batch that could take too long is never tried.
    largest = _rows(rows, seconds, row_seconds)
    if largest > 1:
        batch = samples(largest)
        runner = Runner(engine, model, signature, (largest,))
        runner.run(batch)
        row_seconds = _cost(runner, batch) / largest
    return Verdict(batched=True, why="", row_seconds=row_seconds, rows=_rows(rows, seconds, row_seconds))


def _rows(rows: int, seconds: float, row_seconds: float) -> int:
    return max(1, min(rows, int(seconds / row_seconds)))


def _cost(runner: Runner, inputs: Mapping[str, Array]) -> float:
    """Return the shorter of two runs, in seconds: noise only ever adds."""
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        runner.run(inputs)
        taken.append(time.perf_counter() - start)
    return max(min(taken), 1e-9)


def _difference(batch: Runner, single: Runner, signature: Signature, inputs: Mapping[str, Array]) -> str:
    """Say how a batch differs from its rows; nothing where it does not."""
    rows = len(next(iter(inputs.values())))
    for name, array in inputs.items():
        tensor = signature.inputs[name]
        if len(tensor.shape) != array.ndim:
            return f"input {tensor} has no dimension for rows"
    try:
        together = batch.raw_outputs(inputs)
    except (RuntimeError, ValueError) as error:
        return f"the engine refuses a batch of {rows}: {' '.join(str(error).split())[-200:]}"
    for name, output in together.items():
        if output.ndim == 0 or len(output) != rows:
            return f"a batch of {rows} gives output `{name}` the shape {list(output.shape)}"
    alone = [
        single.raw_outputs({name: array[row : row + 1] for name, array in inputs.items()}) for row in range(rows)
    ]
    for name, output in together.items():
        expected = np.concatenate([result[name] for result in alone])
        if not _close(output, expected):
            return f"output `{name}` of a batch is not that of its rows"
    return ""


def _close(batch: Array, rows: Array) -> bool:
    if batch.dtype.kind in "iu":  # one step of rounding
        return bool(np.all(np.abs(batch.astype(np.int64) - rows.astype(np.int64)) <= 1))
    return bool(np.allclose(batch, rows, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True))
