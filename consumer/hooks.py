"""Functions of a pipeline's own, in Python: how they say that an event is of no use, and how they are called.

A hook takes whole columns and gives a whole array or list, one item a row. It runs in the worker's one thread, and
what it is given is not its own to change or to keep.
"""

import importlib
import inspect
import operator
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache, partial
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Generic, TypeVar

import msgspec

from consumer.deadletter.causes import Code, clipped
from consumer.isolate import isolate
from consumer.pipeline.hooks import HookSource
from consumer.types import Cause, Stage

T = TypeVar("T")

# Whatever a stranger's code raises is about its rows: it is not for a hook to end the process.
FAILURES: Final = (Exception, SystemExit)


class BadRows(Exception):  # noqa: N818 - it says what it is, in a user's own code
    """Raised by a hook: these rows are of no use, the others are. It is called again without them.

    Attributes:
        rows: place of a row in the columns -> why, for a person; each becomes a dead letter with that text.
    """

    def __init__(self, rows: Mapping[int, str]) -> None:
        super().__init__(f"{len(rows)} rows are of no use")
        # What is no place fails here, inside the hook, and so falls on its rows alone.
        self.rows = {operator.index(place): why for place, why in rows.items()}


class WrongAnswerError(Exception):
    """A hook returned what can't be used; the message says what."""


class WrongRowsError(WrongAnswerError):
    """A hook returned something else than one item a row."""


class HookError(Exception):
    """A hook can't be had: its module can't be imported, or has no such function."""


class Called(msgspec.Struct, Generic[T]):
    """What a hook made of rows.

    Attributes:
        parts: rows, with what it gave for these together; in order, and together all that are good.
        bad: row -> why there is nothing for it.
    """

    parts: list[tuple[list[int], T]]
    bad: dict[int, Cause]


def import_hook(source: HookSource) -> Callable[..., Any]:
    """Return the function, of a module that is imported once in a process.

    Raises:
        HookError: it can't be had.
    """
    module = _imported(source)
    found = getattr(module, source.name, None)
    if not callable(found):
        raise HookError(f"{source.where} has no function {source.name}")
    function: Callable[..., Any] = found
    return function


def samples_of(source: HookSource) -> Callable[[int], Mapping[str, Sequence[Any]]] | None:
    """Return the function beside a hook that makes values to try it with, ``NAME_samples``, if there is one.

    Raises:
        HookError: the module can't be had.
    """
    return getattr(_imported(source), f"{source.name}_samples", None)


def call_hook(
    hook: Callable[..., Any], run: Callable[[list[int]], T], rows: Sequence[int], stage: Stage, field: str
) -> Called[T]:
    """Call a hook, without the rows that it says are bad; where it fails, halved down to the rows that it fails on.

    Args:
        hook: it, for causes.
        run: calls it with some of the rows.
        rows: all that there are.
        stage: for causes.
        field: for causes.
    """
    # What a hook prints is for people: stdout may be for records.
    with redirect_stdout(sys.stderr):
        return _call(hook, run, list(rows), stage, field)


def failure(error: BaseException, hook: Callable[..., Any]) -> str:
    """Say what a hook failed with, and at which line of its own file: its mistake is there, not in what it calls."""
    told = f"{type(error).__name__}: {error}"
    own = hook.func if isinstance(hook, partial) else inspect.unwrap(hook)
    code = getattr(own, "__code__", None) or getattr(type(own).__call__, "__code__", None)
    line = None if code is None else _last_line(error, code.co_filename)
    if code is not None and line is not None:
        told = f"{told} ({Path(code.co_filename).name}:{line})"
    return " ".join(told.split())


def _last_line(error: BaseException, file: str) -> int | None:
    """Return the last line of a file that an error went through."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None


def _call(
    hook: Callable[..., Any], run: Callable[[list[int]], T], left: list[int], stage: Stage, field: str
) -> Called[T]:
    bad: dict[int, Cause] = {}
    while left:
        try:
            return Called([(left, run(left))], bad)
        except BadRows as told:
            places = {place: why for place, why in told.rows.items() if 0 <= place < len(left)}
            if not places:  # it would be called for ever
                break
            bad |= {left[place]: _cause(stage, Code.HOOK_REFUSED, str(why), field) for place, why in places.items()}
            left = [row for place, row in enumerate(left) if place not in places]
        except FAILURES:
            break
    rest = left
    found = isolate(lambda start, stop: run(rest[start:stop]), len(rest), FAILURES, lambda: None)
    for place, error in found.culprits.items():
        bad[rest[place]] = _blame(hook, error, stage, field)
    return Called([(rest[part.start : part.stop], part.result) for part in found.parts], bad)


def _blame(hook: Callable[..., Any], error: BaseException, stage: Stage, field: str) -> Cause:
    if isinstance(error, BadRows):
        return _cause(stage, Code.HOOK_REFUSED, "; ".join(map(str, error.rows.values())) or str(error), field)
    if isinstance(error, WrongAnswerError):
        return _cause(stage, Code.HOOK_FAILED, f"the hook {error}", field)
    return _cause(stage, Code.HOOK_FAILED, failure(error, hook), field)


def _cause(stage: Stage, code: Code, message: str, field: str) -> Cause:
    return Cause(stage, code, clipped(message), field)


@cache
def _imported(source: HookSource) -> ModuleType:
    """Import what was hashed; of a file, under a name of its own that no other file has."""
    try:
        with redirect_stdout(sys.stderr):
            return importlib.import_module(source.where) if source.file is None else _run(source.file, source.sha256)
    except FAILURES as error:
        line = _last_line(error, str(source.origin))
        words = error.msg if isinstance(error, SyntaxError) and line is not None else error  # which says a line too
        told = f"{source.where} can't be imported: {type(error).__name__}: {words}"
        raise HookError(told if line is None else f"{told} (line {line})") from error


def _run(file: Path, sha256: str) -> ModuleType:
    name = f"onelane_hook_{sha256[:16]}"
    loader = SourceFileLoader(name, str(file))
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # dataclasses look themselves up
    loader.exec_module(module)
    return module
