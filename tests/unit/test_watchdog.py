"""Signals and the end by force, each in a process of its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest

START = """
import threading, time
from consumer.exits import ExitCode
from consumer.operate.logs import set_up_logs
from consumer.operate.pulse import Doing, Pulse
from consumer.operate.watchdog import Watchdog
set_up_logs()
pulse = Pulse(stuck_after={stuck_after})
watchdog = Watchdog({timeout}, pulse, grace=0.5)
watchdog.start()
print("ready", flush=True)
"""
OBEY = """
while not watchdog.stopping():
    time.sleep(0.01)
print("stopping", flush=True)
"""
# Nothing that the main thread does brings it to its end.
HANG = """
lock = threading.Lock()
lock.acquire()
print("hangs", flush=True)
lock.acquire()
"""


@contextmanager
def process(script: str, timeout: float, stuck_after: float = 60) -> Iterator[subprocess.Popen[str]]:
    """Start a script under a watchdog and wait till it is ready."""
    command = [sys.executable, "-c", START.format(timeout=timeout, stuck_after=stuck_after) + script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            assert line(started) == "ready"
            yield started
        finally:
            started.kill()


def line(started: subprocess.Popen[str]) -> str:
    """Return the next line that the process prints."""
    assert started.stdout is not None
    return started.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_to_stop(number: signal.Signals) -> None:
    """And a process that obeys ends as it likes, without a traceback."""
    with process(OBEY, timeout=60) as started:
        started.send_signal(number)
        assert line(started) == "stopping"
        _, errors = started.communicate(timeout=10)
        assert (started.returncode, "Traceback" in errors) == (0, False)
        assert number.name in errors


def test_a_process_that_hangs_is_ended_at_the_deadline() -> None:
    """With code 3, by the time-out that it was given."""
    with process(HANG, timeout=0.3) as started:
        assert line(started) == "hangs"
        began = time.monotonic()
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=10) == 3
        assert 0.25 < time.monotonic() - began < 5


def test_a_second_signal_ends_the_process_at_once() -> None:
    """With code 3, long before the deadline, whatever the two signals are."""
    with process(OBEY + HANG, timeout=60) as started:
        started.send_signal(signal.SIGTERM)
        assert line(started) == "stopping"
        assert line(started) == "hangs"
        started.send_signal(signal.SIGINT)
        assert started.wait(timeout=10) == 3


def test_other_signals_are_left_alone() -> None:
    """What the process does not handle does what it always did."""
    with process(HANG, timeout=60) as started:
        assert line(started) == "hangs"
        started.send_signal(signal.SIGUSR1)
        assert started.wait(timeout=10) == -signal.SIGUSR1


def test_an_ending_has_its_own_code() -> None:
    """A process that has failed and then hangs ends by the deadline with the code of its failure."""
    with process("watchdog.ending(ExitCode.BROKER)\n" + HANG, timeout=0.3) as started:
        assert started.wait(timeout=10) == 4


def test_a_second_signal_while_ending_is_force() -> None:
    """Then the code is 3: somebody pulled the plug."""
    with process("watchdog.ending(ExitCode.BROKER)\n" + OBEY + HANG, timeout=60) as started:
        started.send_signal(signal.SIGTERM)
        assert line(started) == "stopping"
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=10) == 3


def test_an_inference_that_hangs_ends_the_process() -> None:
    """With code 7, after the stacks of all threads were logged, once."""
    with process("pulse._now = (Doing.INVOKE, time.monotonic())\n" + HANG, timeout=60, stuck_after=0.5) as started:
        _, errors = started.communicate(timeout=20)
    assert started.returncode == 7
    told = [orjson.loads(text) for text in errors.splitlines()]
    stuck = [line for line in told if line["event"] == "stuck"]
    assert len(stuck) == 1
    assert stuck[0]["doing"] == "invoke"
    assert any("lock.acquire" in frame or "<string>" in frame for frame in stuck[0]["stacks"]["MainThread"])


def test_a_call_to_a_broker_may_take_longer_than_an_inference() -> None:
    """A frozen broker keeps a call for half a minute, which is no reason to end."""
    script = "pulse._now = (Doing.BROKER, time.monotonic())\ntime.sleep(2)\nprint('goes on', flush=True)\n"
    with process(script, timeout=60, stuck_after=0.5) as started:
        assert line(started) == "goes on"


def test_a_call_that_does_not_return_is_told_of() -> None:
    """A consumer's commit has no time-out: in a network that swallows all, nobody else could say that it waits."""
    held_up = "import consumer.operate.pulse as module\nmodule._HELD_UP = 0.1\n"
    waits = "with pulse.within(Doing.BROKER):\n    time.sleep(1.5)\n    print(pulse.waiting[0], flush=True)\n"
    with process(held_up + waits, timeout=60) as started:
        assert line(started) == "a call to return"
        assert started.wait(20) == 0
        (told,) = [orjson.loads(text) for text in started.stderr or ()]
    assert (told["event"], told["call"]) == ("waiting for the broker", "one that has not returned")
    assert told["seconds"] > 0.1


def test_what_moves_again_in_time_goes_on() -> None:
    """A slow inference that comes back within the grace is no reason to end."""
    script = (
        "with pulse.within(Doing.INVOKE): time.sleep(1.2)\n"
        "for _ in range(20): pulse.beat(); time.sleep(0.1)\nprint('goes on', flush=True)\n"
    )
    with process(script.replace("with", "pulse.beat()\nwith", 1), timeout=60, stuck_after=0.9) as started:
        assert line(started) == "goes on"
