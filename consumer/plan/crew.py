"""The replicas of the experiment: started when they are needed, run together, ended by their handles."""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Final, Self, cast

import numpy as np

from consumer.plan.measured import Abreast
from consumer.plan.replica import Failed, Ran, Stage, Task, Window, serve

# Seconds in which the word to start reaches all replicas.
_START: Final = 0.03
# How long a process may take that was told to end, before it is killed.
_GRACE: Final = 1.0


class AbreastError(Exception):
    """A replica failed, or did not answer in time; says which of these."""


class Crew:
    """Processes, each with an interpreter, that do the same at the same time.

    Args:
        stage: what they are given.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        # Spawned, not forked: a process with threads, as this one has by now, must not be forked.
        self._context = multiprocessing.get_context("spawn")
        self._members: list[tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def measure(self, task: Task, replicas: int, seconds: float, patience: float) -> Abreast:
        """Let so many replicas run at once.

        Args:
            task: what each of them runs.
            replicas: how many.
            seconds: they run; each finishes the batch that it is at, and does one at least.
            patience: seconds that they may take to get ready, and as many beyond ``seconds`` to answer.

        Raises:
            AbreastError: one failed or did not answer; all are ended.
        """
        self._grow(replicas)
        ends = [end for _, end in self._members[:replicas]]
        try:
            for end in ends:
                end.send(task)
            self._answers(ends, patience)
            start = time.monotonic() + _START
            for end in ends:
                end.send(Window(start, start + seconds))
            return _together(task, cast("list[Ran]", self._answers(ends, seconds + patience)))
        except AbreastError:
            self.end()
            raise
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self.end()
            raise AbreastError("a replica died") from None

    def end(self) -> None:
        """End all of them."""
        for process, end in self._members:
            process.terminate()
            end.close()
        for process, _ in self._members:
            process.join(_GRACE)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        self._members.clear()

    def _grow(self, count: int) -> None:
        fresh = []
        while len(self._members) < count:
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._members.append((process, ours))
            fresh.append(ours)
        # A large model does not fit into a pipe: each send waits for its process, while the others start too.
        for end in fresh:
            end.send(self._stage)

    @staticmethod
    def _answers(ends: Sequence[Connection], patience: float) -> list[object]:
        """Take an answer of each."""
        until = time.monotonic() + patience
        answers = []
        for end in ends:
            if not end.poll(max(0.0, until - time.monotonic())):
                raise AbreastError("a replica did not answer in time")
            answer = end.recv()
            if isinstance(answer, Failed):
                raise AbreastError(f"a replica failed: {answer.words}")
            answers.append(answer)
        return answers


def _together(task: Task, ran: Sequence[Ran]) -> Abreast:
    times = np.concatenate([np.asarray(one.times) for one in ran])
    runs = sum(one.runs for one in ran)
    return Abreast(
        rows=task.rows,
        replicas=len(ran),
        threads=task.threads,
        rate=sum(task.rows * one.runs / one.seconds for one in ran),
        median_seconds=float(np.median(times)),
        p99_seconds=float(np.percentile(times, 99)),
        cpu_us=1e6 * sum(one.cpu for one in ran) / (task.rows * runs),
        runs=runs,
    )
