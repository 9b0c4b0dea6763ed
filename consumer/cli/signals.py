"""Signals that end a command which has files to take back."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

# What `kill`, time-outs, service managers and a terminal that is closed send.
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


class Signalled(KeyboardInterrupt):
    """The process was told to end.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self.number = number


@contextmanager
def undone_by_signals() -> Iterator[None]:
    """Let signals that would end the process at once be exceptions, as Ctrl-C is, so that what was begun is undone.

    Raises:
        Signalled: one came.
    """

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        raise Signalled(signal.Signals(number))

    if threading.current_thread() is not threading.main_thread():  # where no handler can be set
        yield
        return
    ours = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
