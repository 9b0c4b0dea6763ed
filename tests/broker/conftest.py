"""Streams for tests on the real broker."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.kafka import KafkaBroker
from tests.support.stream import Protocol, Stream

OpenStream = Callable[..., Stream]


@pytest.fixture
def open_stream(kafka: KafkaBroker, unique: Callable[[str], str], tmp_path: Path) -> OpenStream:
    """Makes the stream of a test: ``changes`` are merged into the example's pipeline."""

    def make(
        changes: Mapping[str, object] | None = None, *, partitions: int = 3, protocol: Protocol = "classic"
    ) -> Stream:
        stream = Stream(broker=kafka, name=unique("flights"), pipeline=tmp_path / "pipeline.yaml")
        stream.create_topics(partitions)
        stream.write_pipeline(changes or {}, protocol)
        return stream

    return make
