"""Invariant 3 at its heart: k bad rows of n are exactly k culprits."""

from math import ceil, log2

from hypothesis import given
from hypothesis import strategies as st

from consumer.isolate import isolate
from tests.unit.test_isolate import EngineError, Model


@st.composite
def batches(draw: st.DrawFn) -> tuple[int, set[int]]:
    """Make a number of rows and which of them are bad."""
    rows = draw(st.integers(1, 64))
    return rows, draw(st.sets(st.integers(0, rows - 1)))


@given(batches())
def test_k_bad_rows_are_exactly_k_culprits(batch: tuple[int, set[int]]) -> None:
    """Wherever the bad rows are, they are found, and each other row is in one part, in order."""
    rows, bad = batch
    model = Model(bad)
    found = isolate(model.run, rows, (EngineError,), model.repair)
    assert found.culprits.keys() == bad
    assert [row for part in found.parts for row in part.result] == [row for row in range(rows) if row not in bad]
    assert [row for part in found.parts for row in range(part.start, part.stop)] == [
        row for part in found.parts for row in part.result
    ]


@given(batches())
def test_the_cost_is_k_times_log_n(batch: tuple[int, set[int]]) -> None:
    """Runs are at most 1 + k (2 log2 n + 1), and never more than 3 n."""
    rows, bad = batch
    model = Model(bad)
    isolate(model.run, rows, (EngineError,), model.repair)
    runs = sum(call != "repair" for call in model.calls)
    assert runs <= 1 + len(bad) * (2 * ceil(log2(max(rows, 2))) + 1)
    assert runs <= 3 * rows


@given(batches())
def test_each_failure_is_repaired_before_the_next_run(batch: tuple[int, set[int]]) -> None:
    """After a failed run the interpreter is rebuilt before it is asked again, and only then."""
    rows, bad = batch
    model = Model(bad)
    isolate(model.run, rows, (EngineError,), model.repair)
    for call, following in zip(model.calls, [*model.calls[1:], ""], strict=True):
        if call != "repair":
            start, stop = map(int, call.split("-"))
            assert (following == "repair") == bool(bad.intersection(range(start, stop)))


@given(batches(), st.sets(st.integers(0, 63)))
def test_failures_that_do_not_repeat_are_nobodys(batch: tuple[int, set[int]], once: set[int]) -> None:
    """Passing failures, alone or among bad rows, never make another row a culprit than one that was met alone."""
    rows, bad = batch
    model = Model(bad, once - bad)
    found = isolate(model.run, rows, (EngineError,), model.repair)
    assert found.culprits.keys() == bad
