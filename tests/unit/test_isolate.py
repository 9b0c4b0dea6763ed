"""Bisection of a batch that fails (invariant 3)."""

import pytest

from consumer.isolate import isolate


class EngineError(RuntimeError):
    """The kind of error that rows are to blame for."""


class Model:
    """Fails on marked rows, and keeps a record of what it was asked."""

    def __init__(self, bad: set[int], once: set[int] | None = None) -> None:
        self.bad = bad
        self.once = once or set()
        self.calls: list[str] = []

    def run(self, start: int, stop: int) -> list[int]:
        """Return the rows, or fail."""
        self.calls.append(f"{start}-{stop}")
        rows = range(start, stop)
        passing = self.once.intersection(rows)
        self.once -= passing
        if passing or self.bad.intersection(rows):
            raise EngineError(f"rows {start} to {stop}")
        return list(rows)

    def repair(self) -> None:
        """Note it."""
        self.calls.append("repair")


def test_a_batch_that_goes_well_is_run_once() -> None:
    """Without a failure there is one run, of everything."""
    model = Model(set())
    found = isolate(model.run, 8, (EngineError,), model.repair)
    assert [part.result for part in found.parts] == [list(range(8))]
    assert (found.culprits, model.calls) == ({}, ["0-8"])


def test_nothing_is_run_of_nothing() -> None:
    """A batch without rows asks nothing of the model."""
    model = Model(set())
    found = isolate(model.run, 0, (EngineError,), model.repair)
    assert (found.parts, found.culprits, model.calls) == ([], {}, [])


def test_the_culprit_is_found_by_halving() -> None:
    """The order of runs is that of the rows, with a repair after each failure and a second try for the row alone."""
    model = Model({2})
    found = isolate(model.run, 4, (EngineError,), model.repair)
    assert model.calls == [
        "0-4", "repair", "0-2", "2-4", "repair", "2-3", "repair", "2-3", "repair", "3-4",
    ]  # fmt: skip
    assert list(found.culprits) == [2]
    assert [(part.start, part.stop) for part in found.parts] == [(0, 2), (3, 4)]


def test_a_failure_that_does_not_repeat_is_nobodys() -> None:
    """A row that fails once and then goes well is no culprit."""
    model = Model(set(), once={1})
    found = isolate(model.run, 1 + 1, (EngineError,), model.repair)
    assert found.culprits == {}
    assert [row for part in found.parts for row in part.result] == [0, 1]


def test_a_row_that_fails_alone_once_is_tried_again() -> None:
    """Even where the only run is of one row, one failure is not enough."""
    model = Model(set(), once={0})
    found = isolate(model.run, 1, (EngineError,), model.repair)
    assert (found.culprits, model.calls) == ({}, ["0-1", "repair", "0-1"])


def test_other_errors_pass_through() -> None:
    """An error that rows are not to blame for ends the process; it makes no dead letters."""

    def run(start: int, stop: int) -> list[int]:
        raise MemoryError(f"{start} {stop}")

    with pytest.raises(MemoryError):
        isolate(run, 4, (EngineError,), lambda: None)
