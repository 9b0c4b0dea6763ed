"""Streams for tests on the real broker: the scenarios' own."""

from tests.scenarios.conftest import OpenStream, open_stream

__all__ = ["OpenStream", "open_stream"]
