"""What the load probe takes and tells, on a clock that only invokes move: no test waits."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from consumer.model.engines import Engine
from tests.engine.conftest import Opened

BATCH_TIME = 1.0


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.invokes = 0

    def engine(self, engine: Engine, cost: Callable[[int, int], float]) -> Engine:
        """Return an engine whose invokes take ``cost(rows, number of the invoke)`` seconds on this clock."""
        return msgspec.structs.replace(
            engine, interpreter=lambda content: _Timed(engine.interpreter(content), self, cost)
        )


class _Timed:
    def __init__(self, inner: Any, clock: Clock, cost: Callable[[int, int], float]) -> None:  # noqa: ANN401
        self._inner = inner
        self._clock = clock
        self._cost = cost
        self._rows = 1

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._inner, name)

    def resize_tensor_input(self, index: int, shape: tuple[int, ...]) -> None:
        self._rows = shape[0]
        self._inner.resize_tensor_input(index, shape)

    def invoke(self) -> None:
        self._clock.now += self._cost(self._rows, self._clock.invokes)
        self._clock.invokes += 1
        self._inner.invoke()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The probe's clock."""
    made = Clock()
    monkeypatch.setattr("consumer.model.probe.time", SimpleNamespace(perf_counter=lambda: made.now))
    return made


def test_a_model_of_700_ms_a_row_runs_one_row_a_batch(engine: Engine, clock: Clock) -> None:
    """Two rows would take longer than a batch may."""
    verdict = Opened("dense", clock.engine(engine, lambda rows, _: 0.7 * rows)).verdict(rows=256, seconds=BATCH_TIME)
    assert verdict.rows == 1
    assert verdict.row_seconds == pytest.approx(0.7)


@pytest.mark.parametrize("row_seconds", [3.0, 0.7, 0.5, 0.4, 0.3, 0.1, 0.062, 0.02, 0.004, 0.001, 1e-6])
@pytest.mark.parametrize("name", ["dense", "folds"])
def test_the_probe_takes_two_or_three_batches_time(
    engine: Engine, clock: Clock, name: str, row_seconds: float
) -> None:
    """And a few single rows', however slow the model is and whatever its batches give."""
    verdict = Opened(name, clock.engine(engine, lambda rows, _: row_seconds * rows)).verdict(256, BATCH_TIME)
    assert clock.now <= 3.3 * BATCH_TIME + 8 * row_seconds
    assert verdict.rows == max(1, min(256, int(BATCH_TIME / row_seconds + 1e-6)))


def test_a_batch_that_is_cheaper_by_the_row_may_have_more_of_them(engine: Engine, clock: Clock) -> None:
    """20 ms a call and 1 ms a row: 50 single rows fit into a second, and the batch shows that more do."""
    verdict = Opened("dense", clock.engine(engine, lambda rows, _: 0.02 + 0.001 * rows)).verdict(256, BATCH_TIME)
    assert verdict.batched
    assert (verdict.rows, verdict.at_once) == (256, 256)


def test_a_model_that_costs_by_the_call_runs_all_rows_at_once(engine: Engine, clock: Clock) -> None:
    """Though the probe has no time to try as many."""
    verdict = Opened("dense", clock.engine(engine, lambda _rows, _number: 0.1)).verdict(256, 0.5)
    assert verdict.at_once == verdict.rows == 10


def test_a_pause_of_the_machine_during_the_probe_does_not_make_a_model_slow(engine: Engine, clock: Clock) -> None:
    """Wherever it falls: the shortest of several runs counts."""
    for paused in range(20):
        clock.invokes = 0
        verdict = Opened("dense", clock.engine(engine, pausing(paused))).verdict(256, BATCH_TIME)
        assert verdict.rows == 256, paused
        assert verdict.row_seconds == pytest.approx(1e-5), paused


@pytest.mark.parametrize(
    ("slower", "best"),
    [
        ({1: 4.0, 4: 2.0, 16: 1.5, 64: 1.2, 256: 1.0}, 256),
        ({1: 1.2, 4: 1.0, 16: 1.02, 64: 1.3, 256: 1.6}, 16),
    ],
)
def test_others_on_the_machine_change_nothing_of_how_many_rows_are_run_at_once(
    engine: Engine, clock: Clock, slower: dict[int, float], best: int
) -> None:
    """Whatever runs a while of theirs falls on, in which all takes twice as long."""

    def cost(rows: int, number: int) -> float:
        return 1e-5 * rows * slower[rows] * (2 if first <= number < first + 12 else 1)

    for first in range(60):
        clock.invokes = 0
        assert Opened("dense", clock.engine(engine, cost)).verdict(256, BATCH_TIME).at_once == best, first


def pausing(at: int) -> Callable[[int, int], float]:
    """Return a cost of 10 us a row, and of two seconds more at one of the invokes."""
    return lambda rows, number: 1e-5 * rows + 2.0 * (number == at)


def test_a_clock_too_coarse_to_see_a_row_still_gives_a_cost(engine: Engine, clock: Clock) -> None:
    """Nothing is divided by zero."""
    verdict = Opened("dense", clock.engine(engine, lambda _rows, _number: 0.0)).verdict(256, BATCH_TIME)
    assert verdict.rows == 256
    assert verdict.row_seconds > 0
    assert time.perf_counter() > 0  # the stand-in clock is the probe's alone


def test_rows_run_at_once_where_one_costs_least(engine: Engine, clock: Clock) -> None:
    """A batch stays as large as it may be; it is run in parts where what a layer makes no longer fits the cache."""
    slower = {1: 1.6, 4: 1.0, 16: 1.04, 64: 1.3, 256: 1.9}
    verdict = Opened("dense", clock.engine(engine, lambda rows, _: 1e-4 * rows * slower[rows])).verdict(
        256, BATCH_TIME
    )
    assert (verdict.rows, verdict.at_once, verdict.sizes) == (256, 16, (1, 4, 16))
    assert verdict.row_seconds == pytest.approx(1.04e-4)


def test_a_size_that_only_seems_larger_by_noise_is_no_end_of_the_search(engine: Engine, clock: Clock) -> None:
    """A little dearer at one size, and cheaper again at the next."""
    slower = {1: 2.0, 4: 1.0, 16: 1.1, 64: 0.8, 256: 0.81}
    verdict = Opened("dense", clock.engine(engine, lambda rows, _: 1e-4 * rows * slower[rows])).verdict(
        256, BATCH_TIME
    )
    assert verdict.at_once == 256
