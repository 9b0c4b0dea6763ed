"""The load probe: are batches right for this model on this machine, and what does a row cost?

Several public models take a larger batch without complaint and fold all rows into one output, so nothing is believed
that was not compared. The rows compared are made by the mapping and distinct: zeros would hide it.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import msgspec
import numpy as np

from consumer.exits import RefusedError
from consumer.model.engines import Engine
from consumer.model.file import ModelFile, Signature, cant_run, engine_text
from consumer.model.quiet import engine_words
from consumer.model.runner import Runner, buckets
from consumer.model.tensors import Array, Tensor

# Rows compared with their row-by-row results; enough for every kernel to leave its first tile.
_COMPARED: Final = 16
_LEAST_RUNS: Final = 2
_MOST_RUNS: Final = 5
# Sizes of batches have as many turns in this time, in each of which short runs are repeated in that time, in seconds.
_PATIENCE: Final = 0.1
_SHORT: Final = 0.002
# A run of so many seconds hardly notices that it is planned anew.
_LONG: Final = 0.02
# A size at which a row costs so many times what it costs at the best is too large; where it costs so little more, the
# larger one is as good, with fewer calls.
_CLEARLY: Final = 1.25
_ROUNDING: Final = 1e-6
_ABOUT: Final = 1.05
# Float kernels may add in another order for another batch size.
_RELATIVE: Final = 1e-4
_ABSOLUTE: Final = 1e-5


class Verdict(msgspec.Struct, frozen=True):
    """What the probe found.

    Attributes:
        batched: whether batches give what single rows give.
        why: where they do not, what happened.
        row_seconds: cost of one row in the largest invocation used.
        rows: the most rows a batch may have, by the file's ``rows`` and ``time``.
        at_once: the most of them in one invocation: where a row costs least, or about so.
    """

    batched: bool
    why: str
    row_seconds: float
    rows: int
    at_once: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of invocations that runners use."""
        return buckets(self.at_once)

    def of(self, rows: int) -> "Verdict":
        """Return it with batches of so many rows, run all at once where batches are right."""
        return msgspec.structs.replace(self, rows=rows, at_once=rows if self.batched else 1)


class Limit(msgspec.Struct, frozen=True):
    """What the pipeline file allows a batch: rows, and seconds."""

    rows: int
    seconds: float

    def within(self, row_seconds: float) -> int:
        """Return how many rows a batch may have where one takes so long; at least one."""
        return max(1, min(self.rows, int(self.seconds / row_seconds + _ROUNDING)))


def probe(
    engine: Engine,
    model: ModelFile,
    signature: Signature,
    samples: Callable[[int], Mapping[str, Array]],
    limit: Limit,
) -> Verdict:
    """Find out how to run a model, in two or three batches' time and that of a few single rows.

    Args:
        engine: runs it.
        model: the file.
        signature: the model's tensors.
        samples: makes distinct mapped rows: count -> tensor name -> (count, ...) array.
        limit: what a batch may be.

    Raises:
        RefusedError: the engine can't run the model at all, its outputs do not count rows, or it keeps state.
    """
    single = Runner(engine, model, signature, (1,))
    one, other = _rows(samples(2))
    with _refusing(engine, model), engine_words():
        _refuse_odd_answers(single, model, one, other)
        row_seconds = _shortest(lambda: single.run(one), _LEAST_RUNS, _MOST_RUNS, limit.seconds / 4)
    # What a row costs alone decides how many are tried together: a batch that could take too long never is.
    most = limit.within(row_seconds)
    if most == 1:
        return Verdict(batched=True, why="", row_seconds=row_seconds, rows=1, at_once=1)
    inputs = samples(max(2, min(_COMPARED, most, int(limit.seconds / 2 / row_seconds))))
    with _refusing(engine, model):
        alone = [single.raw_outputs(row) for row in _rows(inputs)]
    batch = Runner(engine, model, signature, (most,))
    why = _difference(batch, signature, inputs, alone)
    if why:
        return Verdict(batched=False, why=why, row_seconds=row_seconds, rows=most, at_once=1)
    many = max(len(alone), min(most, int(limit.seconds / 4 / row_seconds)))
    with _refusing(engine, model):
        at_once, row_seconds = _cheapest(batch, inputs, many, limit)
    rows = limit.within(row_seconds)
    # Where the largest that there was time for is the best, there is no end in sight: the more rows the cheaper.
    return Verdict(
        batched=True,
        why="",
        row_seconds=row_seconds,
        rows=rows,
        at_once=rows if at_once == many else min(at_once, rows),
    )


@contextmanager
def _refusing(engine: Engine, model: ModelFile) -> Iterator[None]:
    """Take a failure on single rows of the mapping's own making for what it is: nothing to start with."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise cant_run(engine, model, error) from None


def _rows(inputs: Mapping[str, Array]) -> list[dict[str, Array]]:
    count = len(next(iter(inputs.values())))
    return [{name: array[row : row + 1] for name, array in inputs.items()} for row in range(count)]


def _refuse_odd_answers(
    single: Runner, model: ModelFile, one: Mapping[str, Array], other: Mapping[str, Array]
) -> None:
    """Run one row, another, and the first again; the first run also packs weights."""
    first = single.raw_outputs(one)
    for name, output in first.items():
        if output.ndim == 0 or len(output) != 1:
            raise RefusedError(
                f"model {model.label}: output `{name}` of one row has the shape {list(output.shape)}, "
                "but dimension 0 has to count rows"
            )
    single.raw_outputs(other)
    for name, output in single.raw_outputs(one).items():
        if not np.array_equal(output, first[name], equal_nan=output.dtype.kind == "f"):
            raise RefusedError(
                f"model {model.label} does not answer the same row alike twice (output `{name}`): it keeps state "
                "between calls, or rolls dice; padding, rebalances and replays would change what it says"
            )


def _shortest(run: Callable[[], object], least: int, most: int, seconds: float) -> float:
    """Return the shortest of some runs, in seconds: noise only ever adds.

    Args:
        run: is timed.
        least: how often it is run in any case.
        most: how often it is run where so many fit into ``seconds``.
        seconds: after which it is not run once more.
    """
    taken: list[float] = []
    while len(taken) < least or (len(taken) < most and sum(taken) < seconds):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return max(min(taken), 1e-9)


def _cheapest(batch: Runner, inputs: Mapping[str, Array], most: int, limit: Limit) -> tuple[int, float]:
    """Return how many rows to run at once, and what one costs then.

    Most models are the cheaper by the row the more rows there are. In some, what a layer makes of many rows no longer
    fits the cache, and a row of a batch of 256 was seen to cost half as much again as one of four.

    All sizes are run in each of several turns: whoever else is on the machine slows it down for a while, and would
    slow down one size if each had its time. A turn ends at a size that is clearly too large, as far as is known.

    The first run after one of another size plans, and at first touches new memory, which was seen to take six times
    as long: it does not count, but where a run takes so long that a plan is nothing beside it.
    """
    sizes = (*(size for size in buckets(most)[1:] if 2 * size <= most), most)
    costs = dict.fromkeys(sizes, math.inf)
    last, turn, began = len(next(iter(inputs.values()))), 0, time.perf_counter()
    patience = min(_PATIENCE, limit.seconds / 4)
    while turn < _LEAST_RUNS or (turn < _MOST_RUNS and time.perf_counter() - began < patience):
        least = math.inf
        for size in sizes:
            # Made of rows that are known to go well.
            many = {name: np.resize(array, (size, *array.shape[1:])) for name, array in inputs.items()}
            if size != last and not _LONG < costs[size] * size < math.inf:
                batch.raw_outputs(many)
            taken = _shortest(partial(batch.raw_outputs, many), 1, _MOST_RUNS, _SHORT)
            costs[size] = min(costs[size], taken / size)
            last = size
            if costs[size] > _CLEARLY * least:
                break
            least = min(least, costs[size])
        turn += 1
    size = max(size for size, cost in costs.items() if cost <= _ABOUT * min(costs.values()))
    return size, costs[size]


def _difference(
    batch: Runner, signature: Signature, inputs: Mapping[str, Array], alone: Sequence[Mapping[str, Array]]
) -> str:
    """Say how a batch differs from its rows; nothing where it does not."""
    rows = len(alone)
    for name, array in inputs.items():
        tensor = signature.inputs[name]
        if len(tensor.shape) != array.ndim:
            return f"input {tensor} has no dimension for rows"
    try:
        together = batch.raw_outputs(inputs)
    except (RuntimeError, ValueError) as error:
        return f"the engine refuses a batch of {rows}: {engine_text(error, 200)}"
    for name, output in together.items():
        if output.ndim == 0 or len(output) != rows:
            return f"a batch of {rows} gives output `{name}` the shape {list(output.shape)}"
    for name, output in together.items():
        expected = np.concatenate([result[name] for result in alone])
        if not _close(output, expected, signature.outputs[name]):
            return f"output `{name}` of a batch is not that of its rows"
    return ""


def _close(batch: Array, rows: Array, tensor: Tensor) -> bool:
    if tensor.scale:  # one step of rounding
        return bool(np.all(np.abs(batch.astype(np.int64) - rows.astype(np.int64)) <= 1))
    if batch.dtype.kind != "f":  # a label, say: its neighbour is another label
        return bool(np.array_equal(batch, rows))
    return bool(np.allclose(batch, rows, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True))
