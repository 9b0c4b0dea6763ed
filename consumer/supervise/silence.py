"""How long a worker has given no sign of life, and when that is too long: pure."""

from enum import Enum
from typing import Final

# What a worker's watchdog writes every half second: what it says is only which limit holds.
STARTING: Final = b"s"
WORKING: Final = b"w"

# What a silence must outlast, beyond what a worker may be at one thing: its own watchdog ends it sooner where it can,
# and a busy machine may be late.
MARGIN: Final = 10.0
# Between the question where it is, and its end, in seconds.
_LAST_WORDS: Final = 1.0
# Of a turn of the supervisor's no more counts: what it slept through itself, as after Ctrl-Z, is no silence.
_TURN: Final = 2.0


class Call(Enum):
    """What to do about a worker that gives no sign of life."""

    NOTHING = "nothing"
    ASK = "ask for its stacks"
    KILL = "kill it"


class Silence:
    """A worker's silence, from its start on.

    Args:
        starting: seconds that a start may take, of which nothing need be heard.
        working: seconds that the worker may be at one thing.
        now: monotonic seconds.
    """

    def __init__(self, starting: float, working: float, now: float) -> None:
        self._limits = {STARTING: starting + MARGIN, WORKING: working + MARGIN}
        self._last_beat = STARTING
        self._last_turn = now
        self._called = Call.NOTHING
        self.seconds = 0.0

    def turn(self, beats: bytes, now: float) -> Call:
        """Say what is due, each call once.

        Args:
            beats: that were heard since the last turn.
            now: monotonic seconds.
        """
        self.seconds += min(_TURN, now - self._last_turn)
        self._last_turn = now
        if beats:
            self.seconds, self._called, self._last_beat = 0.0, Call.NOTHING, beats[-1:]
        over = self.seconds - self._limits.get(self._last_beat, self._limits[WORKING])
        if over > 0 and self._called is Call.NOTHING:
            self._called = Call.ASK
            return Call.ASK
        if over > _LAST_WORDS and self._called is Call.ASK:
            self._called = Call.KILL
            return Call.KILL
        return Call.NOTHING
