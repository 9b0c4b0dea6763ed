"""Logs: JSON lines in production, coloured text on a terminal, always on stderr; nothing is logged per record."""

import logging
import sys
import time
from typing import Any, Final

import structlog

_CLIENT_LOG: Final = "onelane.librdkafka"
# The least time between two tellings of the same, in seconds.
_SELDOM: Final = 10.0


def set_up_logs(least: int = logging.INFO) -> None:
    """Choose the form by whether stderr is a terminal; ``least`` is the least level that is told."""
    people = sys.stderr.isatty()
    renderer: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if people
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def client_log() -> logging.Logger:
    """Return a logger for librdkafka that passes its lines on as ours."""
    logger = logging.getLogger(_CLIENT_LOG)
    if not logger.handlers:
        logger.addHandler(_Forward())
        logger.propagate = False
        logger.setLevel(logging.WARNING)
    return logger


class Seldom:
    """Lets the same thing through once in a while: a client without a broker tells so twenty times a second."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def __call__(self, what: str) -> bool:
        """Return whether to say it now."""
        now = time.monotonic()
        if now - self._said.get(what, float("-inf")) < _SELDOM:
            return False
        self._said[what] = now
        return True


# Of partitions that were not added to a transaction since another one may not be: that one is the news.
_BYSTANDER: Final = "Broker: Operation not attempted"


class _Forward(logging.Handler):
    """Passes librdkafka's lines on, each kind (its facility, such as FAIL) seldom."""

    def __init__(self) -> None:
        super().__init__()
        self._seldom = Seldom()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if _BYSTANDER in message:
            return
        if self._seldom(message.partition(" ")[0]):
            structlog.get_logger().log(record.levelno, "librdkafka", detail=message)
