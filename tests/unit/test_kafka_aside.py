"""Calls that may never return: on another thread, which is left behind if they do not."""

import threading
from contextlib import nullcontext

import pytest

from consumer.kafka.aside import Aside, StuckError, once

SOON = 0.01


def test_what_a_call_returns_and_raises_comes_back() -> None:
    """As if it had been made here; the time-out of a call is its own, not ours."""
    aside = Aside()
    assert aside.run(lambda: 7, pytest.fail) == 7
    with pytest.raises(TimeoutError, match="its own"):
        aside.run(_raise, pytest.fail)


def test_all_calls_are_made_on_one_other_thread() -> None:
    """A client is touched by one thread at a time."""
    aside = Aside()
    threads = {aside.run(threading.get_ident, pytest.fail) for _ in range(3)}
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_a_call_that_does_not_return_is_told_of_and_left_behind() -> None:
    """The next one is made on another thread, and the first thread ends when its call returns after all."""
    aside, told, over = Aside(leave=5 * SOON, tell=SOON), list[str](), threading.Event()
    behind = list[threading.Thread]()

    def hang() -> None:
        behind.append(threading.current_thread())
        over.wait()

    with pytest.raises(StuckError, match="has not returned"):
        aside.run(hang, told.append)
    assert len(told) == 5
    assert aside.run(threading.current_thread, pytest.fail) is not behind[0]
    over.set()
    behind[0].join(10)
    assert not behind[0].is_alive()


@pytest.mark.parametrize("fails", [False, True])
def test_a_single_call_leaves_no_thread(*, fails: bool) -> None:
    """A worker that lacks a permission closes a producer each two seconds: it would end for want of threads."""
    threads = list[threading.Thread]()

    def call() -> None:
        threads.append(threading.current_thread())
        if fails:
            _raise()

    with pytest.raises(TimeoutError) if fails else nullcontext():
        once(call)
    threads[0].join(10)
    assert not threads[0].is_alive()


def test_a_slow_call_is_waited_for() -> None:
    """Longer than between two tellings."""
    over = threading.Event()
    aside = Aside(leave=10, tell=SOON)
    assert aside.run(lambda: over.wait(10), lambda _: over.set())


def _raise() -> None:
    raise TimeoutError("its own")
