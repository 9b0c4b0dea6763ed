"""What an engine writes to stderr, past Python: chatter is dropped, the rest becomes lines of our log."""

import os

import pytest
import structlog

from consumer.model.quiet import engine_words


def test_chatter_is_dropped_and_anything_else_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    """A warning of the engine's is worth a line; that all is well is not."""
    with structlog.testing.capture_logs() as logged, engine_words():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nERROR: no such thing\n\n")
    assert [(line["log_level"], line["words"]) for line in logged] == [("warning", "ERROR: no such thing")]
    assert capfd.readouterr().err == ""


def test_stderr_is_back_afterwards_also_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    """The error passes through, and what is written next arrives."""
    with pytest.raises(RuntimeError, match="broken"), engine_words():
        raise RuntimeError("broken")
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"


def test_an_engine_that_writes_without_end_is_not_waited_for() -> None:
    """The pipe holds 64 KiB; the rest is lost, but the worker starts."""
    with structlog.testing.capture_logs() as logged, engine_words():
        for _ in range(40):
            try:
                os.write(2, b"x" * 4095 + b"\n")
            except BlockingIOError:
                break
    assert 10 <= len(logged) <= 17
