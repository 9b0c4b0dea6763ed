"""Signals and the end by force, each in a process of its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

START = """
import threading, time
from consumer.exits import ExitCode
from consumer.operate.logs import set_up_logs
from consumer.operate.watchdog import Watchdog
set_up_logs()
watchdog = Watchdog({timeout})
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
def process(script: str, timeout: float) -> Iterator[subprocess.Popen[str]]:
    """Start a script under a watchdog and wait till it is ready."""
    command = [sys.executable, "-c", START.format(timeout=timeout) + script]
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
