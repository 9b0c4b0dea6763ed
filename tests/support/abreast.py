"""Runs parts of a test beside each other: most of their time they wait for time-outs of the broker."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def side_by_side(parts: Sequence[Callable[[], T]]) -> list[T]:
    """Run all parts at once, each in a thread, and return what they return; raises what the first one raised.

    A worker that a part starts is killed by the kernel when its thread ends: parts leave none that are still needed.
    """
    with ThreadPoolExecutor(len(parts)) as pool:
        running = [pool.submit(part) for part in parts]
        return [part.result() for part in running]
