"""One worker of the supervisor's: a process of its own, and after it the next one of the same name."""

import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from consumer.supervise.relay import Heard, Relay
from consumer.supervise.rules import Backoff
from consumer.supervise.silence import Call, Silence

_LOOPBACK: Final = "127.0.0.1"
_QUEUE: Final = 32
# Signs of life that are read in a turn: two come a second.
_BEATS: Final = 65_536


class State(StrEnum):
    """How it is with a worker's process."""

    RUNNING = "running"
    WAITING = "waiting to be started again"
    ENDED = "ended"


class Seen(msgspec.Struct, frozen=True):
    """A worker as its supervisor sees it.

    Attributes:
        number: from 0.
        instance: its name in the group.
        state: of its process.
        since: monotonic seconds, of the state.
        pid: of its process, while there is one.
        address: where it answers, while there is a process and the pipeline file says that workers do.
        code: what its last process ended with, a signal as a negative number; None before.
        restarts: how often it was started again.
    """

    number: int
    instance: str
    state: State
    since: float
    pid: int | None = None
    address: tuple[str, int] | None = None
    code: int | None = None
    restarts: int = 0


class Member:
    """Starts a worker, and knows how it is. All of it but ``seen`` belongs to the supervisor's main thread.

    The kernel kills a worker when the thread that started it ends: so that must be the main one.

    Args:
        seen: its number and name.
        command: that starts a worker; what tells it who it is is added.
        once: arguments of its first start alone.
        serves: whether it answers probes.
        heard: is told each line of its log.
        limits: seconds that its start may take, and that it may be at one thing.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        number: int,
        instance: str,
        command: Sequence[str],
        once: Sequence[str],
        *,
        serves: bool,
        heard: Heard,
        limits: tuple[float, float],
        clock: Callable[[], float],
    ) -> None:
        # Replaced whole: other threads read it.
        self.seen = Seen(number, instance, State.WAITING, clock())
        self._command = [*command, "--instance", instance, "--supervisor", str(os.getpid())]
        self._once = once
        self._serves = serves
        self._heard = heard
        self._limits = limits
        self._clock = clock
        self._backoff = Backoff()
        # Of its process: where its signs of life come out, and how long there were none.
        self._beats: socket.socket | None = None
        self._silence = Silence(*limits, clock())
        self._process: subprocess.Popen[bytes] | None = None
        self._relay: Relay | None = None
        self._due = clock()

    @property
    def due(self) -> float | None:
        """When it is to be started, in monotonic seconds; None where it is not."""
        return self._due if self.seen.state is State.WAITING else None

    def start(self) -> None:
        """Start its process, on a socket that is made here: so its address is known before it answers."""
        again = self.seen.code is not None
        beats, heart = socket.socketpair()
        beats.setblocking(False)  # noqa: FBT003 - the standard library's own
        arguments = [*self._command, *(() if again else self._once), "--heart", str(heart.fileno())]
        with socket.socket() as listener, heart:
            address = None
            if self._serves:
                listener.bind((_LOOPBACK, 0))
                listener.listen(_QUEUE)
                address = listener.getsockname()
                arguments += ["--listener", str(listener.fileno())]
            process = subprocess.Popen(  # noqa: S603 - ourselves
                arguments,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[heart.fileno(), *([listener.fileno()] if self._serves else [])],
                # A terminal sends Ctrl-C to all of a group: workers would have it twice, and end by force.
                process_group=0,
            )
        assert process.stderr is not None  # noqa: S101 - asked for above
        self._process, self._beats = process, beats
        self._silence = Silence(*self._limits, self._clock())
        self._relay = Relay(self.seen.number, process.stderr, self._heard)
        self._see(State.RUNNING, pid=process.pid, address=address, restarts=self.seen.restarts + again)

    def listen(self) -> tuple[Call, float]:
        """Hear its signs of life, once a turn; return what is due, and for how many seconds there were none."""
        if self._process is None or self._beats is None:
            return Call.NOTHING, 0.0
        try:
            heard = self._beats.recv(_BEATS)
        except BlockingIOError:
            heard = b""
        return self._silence.turn(heard, self._clock()), self._silence.seconds

    def ended(self) -> int | None:
        """Return the code of a process that has ended since this was last asked; its last words have gone out."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        if self._relay is not None:
            self._relay.finish()
        self._process = self._beats = None
        self._see(State.ENDED, pid=None, address=None, code=code)
        return code

    def again(self, lived: float) -> float:
        """Have it started again after its back-off, which is returned; seconds that the last one lived are given."""
        wait = self._backoff.after(lived)
        self._due = self._clock() + wait
        self._see(State.WAITING)
        return wait

    def leave(self) -> None:
        """Have it not started again."""
        if self.seen.state is State.WAITING:
            self._see(State.ENDED)

    def send(self, number: int) -> None:
        """Send its process a signal, if there is one."""
        if self._process is not None:
            self._process.send_signal(number)

    def _see(self, state: State, **changes: object) -> None:
        self.seen = msgspec.structs.replace(self.seen, state=state, since=self._clock(), **changes)
