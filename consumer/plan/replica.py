"""One replica of the experiment with threads: a process that runs the model when it is told to, and says how it went.

It stands for a worker that shares its machine with others: a process of its own, pinned by nothing.
"""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Final, cast

import msgspec

from consumer.model.engines import Choice, find_engine
from consumer.model.file import ModelFile, Signature, engine_text
from consumer.model.runner import Runner
from consumer.model.tensors import Array

# One run of the model after the other, with the tensors of each: a batch whose rows have lengths takes several.
Batch = Sequence[Mapping[str, Array]]

# A batch that takes so long is run once before it counts, a shorter one twice.
_SLOW: Final = 0.25
# Times that are told of a cell, evenly taken from all of them in order.
_TOLD: Final = 500


class Stage(msgspec.Struct, frozen=True):
    """What all replicas are given once.

    Attributes:
        engine: its name.
        model: the file.
        signature: of the model.
        sizes: by the rows of a batch, the sizes that batches are padded to.
        batches: by the rows of a batch, batches to run in turns.
    """

    engine: str
    model: ModelFile
    signature: Signature
    sizes: dict[int, tuple[int, ...]]
    batches: dict[int, list[Batch]]


class Task(msgspec.Struct, frozen=True):
    """What to run: batches of so many rows, in an interpreter of so many threads."""

    rows: int
    threads: int


class Window(msgspec.Struct, frozen=True):
    """When to run it: from one moment to another, on the monotonic clock, which all processes share."""

    start: float
    stop: float


class Ran(msgspec.Struct, frozen=True):
    """How it went.

    Attributes:
        runs: batches.
        seconds: from the start to the end of the last of them.
        cpu: seconds of the processor, of all threads.
        times: of a batch each, in seconds, in order; of many, some.
    """

    runs: int
    seconds: float
    cpu: float
    times: list[float]


class Failed(msgspec.Struct, frozen=True):
    """It did not go well: the engine's words."""

    words: str


def serve(end: Connection) -> None:
    """Run what is asked for until nobody asks any more; the process's whole life."""
    # The parent ends it, by its handle; a Ctrl-C goes to all of a terminal's processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What the engine says of a model, it said when the model was proved.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    try:
        stage = cast("Stage", end.recv())
        while True:
            task = cast("Task", end.recv())
            try:
                runner = _ready(stage, task)
                end.send(None)
                window = cast("Window", end.recv())
                end.send(_run(runner, stage.batches[task.rows], window))
            except (RuntimeError, ValueError) as error:
                end.send(Failed(engine_text(error, 200)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone


def _ready(stage: Stage, task: Task) -> Runner:
    """Make an interpreter and run it before it counts: the first time packs weights and touches new memory."""
    engine = find_engine(cast("Choice", stage.engine), task.threads)
    runner = Runner(engine, stage.model, stage.signature, stage.sizes[task.rows])
    began = time.perf_counter()
    for batch in stage.batches[task.rows]:
        _batch(runner, batch)
        if time.perf_counter() - began > _SLOW:
            return runner
    _batch(runner, stage.batches[task.rows][0])
    return runner


def _run(runner: Runner, batches: Sequence[Batch], window: Window) -> Ran:
    times: list[float] = []
    time.sleep(max(0.0, window.start - time.monotonic()))
    cpu, began = time.process_time(), time.perf_counter()
    span = window.stop - window.start
    now = began
    for batch in cycle(batches):
        _batch(runner, batch)
        after = time.perf_counter()
        times.append(after - now)
        now = after
        if now - began >= span:
            break
    return Ran(len(times), now - began, time.process_time() - cpu, _some(sorted(times)))


def _batch(runner: Runner, batch: Batch) -> None:
    for inputs in batch:
        runner.run(inputs)


def _some(ordered: list[float]) -> list[float]:
    count = len(ordered)
    if count <= _TOLD:
        return ordered
    return [ordered[place * (count - 1) // (_TOLD - 1)] for place in range(_TOLD)]
