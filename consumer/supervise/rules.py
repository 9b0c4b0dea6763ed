"""What becomes of a worker that ended, and of all of them: pure."""

import signal
from collections.abc import Iterable
from typing import Final

from consumer.exits import MEANINGS, ExitCode

# What a restart can't mend: the next worker would end as this one did, and the others are of the same pipeline file.
FINAL: Final = frozenset({ExitCode.PIPELINE, ExitCode.REFUSED, ExitCode.HELD})
# A worker that has not yet taken over its signals ends of them as any process does, and had nothing open.
_TOLD: Final = frozenset({-signal.SIGTERM, -signal.SIGINT})

_SHORTEST: Final = 1.0
_LONGEST: Final = 30.0
# A worker that lived so long has served: what ended it is news.
_SERVED: Final = 60.0


class Backoff:
    """How long a worker that ended waits until it starts: 1 s, doubling to 30 s; 1 s again after a minute of life."""

    def __init__(self) -> None:
        self._next = _SHORTEST

    def after(self, lived: float) -> float:
        """Return the seconds to wait, for a worker that lived so many."""
        wait = _SHORTEST if lived >= _SERVED else self._next
        self._next = min(_LONGEST, 2 * wait)
        return wait


def meaning(code: int) -> str:
    """Say what a code means: one of the list, or the signal that ended the process, as a negative number."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}" if -code in list(signal.Signals) else f"signal {-code}"
    return MEANINGS[ExitCode(code)] if code in list(ExitCode) else "no code of onelane's"


def verdict(codes: Iterable[int]) -> ExitCode:
    """Return the code of the whole from those of workers that ended while all were to end.

    The first that no restart can mend; else the first that is not 0; else 0. One that was killed counts as ended by
    force.
    """
    told = [ExitCode.DONE if code in _TOLD else _as_ours(code) for code in codes]
    bad = [code for code in told if code is not ExitCode.DONE]
    return next((code for code in bad if code in FINAL), bad[0] if bad else ExitCode.DONE)


def _as_ours(code: int) -> ExitCode:
    if code < 0:
        return ExitCode.FORCED
    return ExitCode(code) if code in list(ExitCode) else ExitCode.BUG
