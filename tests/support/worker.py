"""Real `onelane run` processes for scenarios: started, watched by their logs, and ended by their process id."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.processes import killed_with_parent
from tests.support.stream import Stream
from tests.support.topics import wait_until

ROOT = Path(__file__).parents[2]

# A start takes about a second on an idle core, and scenarios share two with everything else.
START_TIMEOUT = 45.0
# The shutdown time-out that a pipeline has by default.
STOP_TIMEOUT = 25.0

Line = dict[str, Any]


class Worker:
    """One `onelane run` process.

    Args:
        stream: what it works on.
        instance: its name in the group.
        log: the file of its log lines.
        module: what is run; something other than `consumer` may stand in for a slow model.
        environment: on top of ours.
        arguments: of the command, after the pipeline file.
    """

    def __init__(
        self,
        stream: Stream,
        instance: str,
        log: Path,
        *,
        module: str = "consumer",
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.instance = instance
        self._log = log
        command = [sys.executable, "-m", module, "run", str(stream.pipeline), "--instance", instance, *arguments]
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [*killed_with_parent(), *command],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code, or the signal that ended it as a negative number; None while it runs."""
        return self._process.poll()

    def logs(self, event: str | None = None) -> list[Line]:
        """The log lines so far, or those of one event; a line that is no JSON is the text of an `event`."""
        lines = [_line(text) for text in self._log.read_text(errors="replace").splitlines(keepends=True)]
        return [line for line in lines if line and (event is None or line["event"] == event)]

    def wait_for(self, event: str, timeout: float = START_TIMEOUT, *, after: int = 0) -> Line:
        """The first log line of this event past the first `after` of them; fails at once if the process ends."""
        wait_until(
            lambda: len(self.logs(event)) > after or not self.running,
            timeout,
            f"no '{event}' from {self.instance}; it said:\n{self.tail()}",
        )
        found = self.logs(event)
        if len(found) <= after:
            raise AssertionError(f"{self.instance} ended before '{event}'; it said:\n{self.tail()}")
        return found[after]

    def wait_for_end(self, event: str) -> Line:
        """The last log line of this event, of a process that has ended."""
        assert not self.running
        return self.logs(event)[-1]

    def wait_until_assigned(self, partitions: int, timeout: float = START_TIMEOUT) -> None:
        """Wait till it has had so many partitions at once."""
        wait_until(
            lambda: self.lanes == partitions or not self.running,
            timeout,
            f"{self.instance} has not got {partitions} partitions; it said:\n{self.tail()}",
        )
        assert self.running, f"{self.instance} ended; it said:\n{self.tail()}"

    @property
    def http(self) -> str:
        """Where it answers probes."""
        return str(self.wait_for("serving")["http"])

    @property
    def lanes(self) -> int:
        """How many partitions it had when it last said so."""
        told = [line["lanes"] for line in self.logs() if line["event"].startswith("partitions ") and "lanes" in line]
        return int(told[-1]) if told else 0

    @property
    def owned(self) -> set[int]:
        """The partitions that it has, as far as it has said.

        Raises:
            AssertionError: one was assigned to it while it had it: a lane that stays would begin anew.
        """
        owned: set[int] = set()
        for line in self.logs():
            if line["event"] == "partitions assigned":
                again = owned & set(line["partitions"])
                assert not again, f"partitions {again} were assigned to {self.instance} while it had them"
                owned |= set(line["partitions"])
            elif line["event"] in ("partitions revoked", "partitions lost"):
                owned -= set(line["partitions"])
        return owned

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """Ask it to stop, as a supervisor does."""
        self._process.send_signal(signal.SIGTERM)

    def freeze(self) -> None:
        """Stop it in its tracks: its connections stay open, nothing answers."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let it go on after a freeze."""
        self._process.send_signal(signal.SIGCONT)

    def wait(self, allowed: Collection[int] = (0,), within: float = STOP_TIMEOUT) -> int:
        """Its exit code, which must be an allowed one, and come in time."""
        try:
            code = self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.instance} runs after {within:g} s; it said:\n{self.tail()}") from None
        assert code in allowed, f"{self.instance} exited with {code}, allowed {allowed}; it said:\n{self.tail()}"
        return code

    def stop(self, allowed: Collection[int] = (0,), within: float = STOP_TIMEOUT) -> int:
        """Ask it to stop and return its exit code."""
        self.terminate()
        return self.wait(allowed, within)

    def close(self) -> None:
        """End it if it runs; for the end of a test."""
        if self.running:
            self.kill()

    def tail(self, lines: int = 25) -> str:
        """Its last words."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


def _line(text: str) -> Line:
    """A log line; empty where it is still being written."""
    if not text.endswith("\n"):
        return {}
    try:
        line = json.loads(text)
    except ValueError:
        return {"event": text.rstrip("\n")}
    return line if isinstance(line, dict) and "event" in line else {"event": text.rstrip("\n")}
