"""Logs: JSON lines in production, coloured text on a terminal, always on stderr; nothing is logged per record."""

import logging
import sys
from typing import Any, Final

import structlog

_CLIENT_LOG: Final = "onelane.librdkafka"


def set_up_logs() -> None:
    """Choose the form by whether stderr is a terminal."""
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
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
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


class _Forward(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(record.levelno, "librdkafka", detail=record.getMessage())
