"""Which replicas run with how many threads, in what order, and for how long."""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from consumer.operate.memory import resident
from consumer.plan.crew import AbreastError, Crew
from consumer.plan.machine import available
from consumer.plan.measured import NO_TIME, Abreast
from consumer.plan.replica import Stage, Task

# Of several looks at the same, the best one counts: whatever else a machine does takes away, and comes in bursts.
_ROUNDS: Final = 4
# Seconds of a look at least, and what comes to it to get ready.
_LEAST: Final = 0.05
_OVERHEAD: Final = 0.08
# Beyond what its batches should take, a replica has so many times as long to answer, and so many seconds.
_PATIENCE: Final = 4.0
_STARTING: Final = 30.0
# A replica takes about what this process does; together they may take this part of what is free.
_OF_MEMORY: Final = 0.5


class Cell(NamedTuple):
    """One combination."""

    rows: int
    replicas: int
    threads: int

    def __str__(self) -> str:
        return f"{self.replicas} x {self.threads} threads, batches of {self.rows}"


def cells(cores: int, rows: Sequence[int]) -> list[Cell]:
    """Return what to run, the most telling first.

    For each size of batch one replica and a replica a core, with one thread and with a thread a core, and twice as
    many replicas, with one thread and with twice as many; and for the smallest size all powers of two between.
    """
    telling = [(1, 1), (cores, 1), (1, cores), (2 * cores, 2 * cores), (cores, cores), (2 * cores, 1)]
    steps = sorted({1 << power for power in range(cores.bit_length())} | {cores, 2 * cores})
    found = [Cell(count, *pair) for count in sorted(rows, reverse=True) for pair in telling]
    found += [Cell(min(rows), replicas, threads) for replicas in steps for threads in steps]
    return list(dict.fromkeys(found))


def run_abreast(
    stage: Stage, cores: int, seconds: float, told: Callable[[float, str], None]
) -> tuple[list[Abreast], list[str]]:
    """Run all combinations, several times if there is time.

    Args:
        stage: what replicas are given.
        cores: of the machine.
        seconds: for all of it.
        told: of each step.

    Returns:
        What was measured, and what was left out.
    """
    wanted = cells(cores, list(stage.batches))
    most = _replicas_that_fit()
    todo = [cell for cell in wanted if cell.replicas <= most]
    left_out = [f"{cell}: no memory for so many" for cell in wanted if cell.replicas > most]
    found: dict[Cell, Abreast] = {}
    began = time.monotonic()
    window = max(_LEAST, seconds / (_ROUNDS * len(todo)) - _OVERHEAD)
    with Crew(stage) as crew:
        for cell in _ROUNDS * todo:
            left = seconds - (time.monotonic() - began)
            expected = _expected(cell, found, cores)
            # What contention is made of has its share, whatever it took to start the replicas.
            due = cell not in found and cell.threads == 1 and cell.replicas in (1, cores)
            if expected + (window if cell in found else 0) > (max(left, seconds / _ROUNDS) if due else left):
                continue
            told(min(1.0, 1 - left / seconds), str(cell))
            try:
                now = crew.measure(
                    Task(cell.rows, cell.threads), cell.replicas, window, _PATIENCE * expected + _STARTING
                )
            except AbreastError as error:
                left_out.append(f"{cell} and what was to come: {error}")
                break
            found[cell] = _better(now, found.get(cell, now))
    left_out += [f"{cell}: {NO_TIME}" for cell in todo if cell not in found]
    return [found[cell] for cell in sorted(found)], list(dict.fromkeys(left_out))


def _better(one: Abreast, other: Abreast) -> Abreast:
    """Return the one with the higher rate, with the lower of both costs."""
    best = one if one.rate > other.rate else other
    return msgspec.structs.replace(best, cpu_us=min(one.cpu_us, other.cpu_us))


def _expected(cell: Cell, found: dict[Cell, Abreast], cores: int) -> float:
    """Return the seconds that a batch to warm up and one that counts will take, at the pace of one alone."""
    alone = found.get(Cell(cell.rows, 1, 1))
    return 0.0 if alone is None else 2 * alone.median_seconds * max(1.0, cell.replicas / cores)


def _replicas_that_fit() -> int:
    free, each = available(), resident()
    return int(_OF_MEMORY * free / each) if free and each else 1_000_000
