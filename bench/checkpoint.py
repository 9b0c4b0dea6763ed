"""What a checkpoint costs the brokers: bytes on disk of a checkpoint with one event, by delivery.

    python -m bench.checkpoint

One replica; with more, each of them writes as much.
"""

import tempfile
from pathlib import Path
from typing import Final

from tests.support.kafka import KafkaBroker
from tests.support.stream import Stream, record
from tests.support.topics import lag, produce, wait_until
from tests.support.worker import Worker

_CHECKPOINTS: Final = 50
_WARM: Final = 5
_WAIT: Final = 30.0


def main() -> None:
    """Print a table."""
    print("bytes a checkpoint     group offsets  transactions  output topic")
    with KafkaBroker() as broker, tempfile.TemporaryDirectory() as folder:
        for delivery in ("exactly_once", "at_least_once"):
            offsets, transactions, output = _measure(broker, delivery, Path(folder))
            print(f"{delivery:20} {offsets:15.0f} {transactions:13.0f} {output:13.0f}")


def _measure(broker: KafkaBroker, delivery: str, folder: Path) -> list[float]:
    stream = Stream(broker=broker, name=delivery, pipeline=folder / f"{delivery}.yaml")
    stream.create_topics(1)
    stream.write_pipeline({"delivery": delivery})
    worker = Worker(stream, "one", folder / f"{delivery}.log")
    try:
        worker.wait_until_assigned(1)
        _checkpoints(stream, range(_WARM))
        before = _sizes(broker, stream)
        _checkpoints(stream, range(_WARM, _WARM + _CHECKPOINTS))
        after = _sizes(broker, stream)
        worker.stop()
        made = worker.wait_for_end("stopped")["checkpoints"]
        if made != _WARM + _CHECKPOINTS:
            raise AssertionError(f"{made} checkpoints for {_WARM + _CHECKPOINTS} events")
    finally:
        worker.close()
    return [(end - begin) / _CHECKPOINTS for begin, end in zip(before, after, strict=True)]


def _checkpoints(stream: Stream, ids: range) -> None:
    """Have an event enriched and committed, one after the other."""
    for number in ids:
        produce(stream.bootstrap, stream.input, [record(number)])
        wait_until(lambda: lag(stream.bootstrap, stream.name, stream.input) == 0, _WAIT, "there is lag")


def _sizes(broker: KafkaBroker, stream: Stream) -> list[int]:
    topics = ("__consumer_offsets", "__transaction_state", stream.output)
    return [
        sum(segment.stat().st_size for segment in broker.folder.glob(f"data/{topic}-*/*.log")) for topic in topics
    ]


if __name__ == "__main__":
    main()
