"""Quix Streams, a StreamingDataFrame from topic to topic; with --batched, a sink of its own that predicts in batches.

quix.io/docs/quix-streams, "Processing & Transforming Data" (`sdf.apply(function)`, `sdf.to_topic(topic)`: a function
is given one value) and, for --batched, "Creating a Custom Sink" (`BatchingSink.write(batch)` when a checkpoint
commits). Of "Configuration", `processing_guarantee`; `commit_interval` as small as onelane's checkpoint, which its
"Exactly-Once producer buffering" recommends where latency matters.

Promise: at least once or exactly once, checkpoints flush sinks and the producer before they commit offsets, and
SIGTERM ends it safely. A sink is outside of its transactions.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])

from confluent_kafka import KafkaError, KafkaException, Message
from quixstreams import Application
from quixstreams.kafka import Producer
from quixstreams.sinks.base import BatchingSink, SinkBatch

from bench.peers.call import CHECKPOINT, Call, read_call, say_ready
from bench.peers.job import Job


class EnrichingSink(BatchingSink):  # type: ignore[misc]  # quixstreams is not in the environment that checks types
    """Predicts what came since the last checkpoint, and writes it to a topic.

    Args:
        call: as the script was called.
        producer: the application's.
    """

    def __init__(self, call: Call, producer: Producer) -> None:
        super().__init__()
        self._target = call.target
        self._job = Job(call.job)
        self._producer = producer
        self._failure: KafkaError | None = None

    def write(self, batch: SinkBatch) -> None:
        """Write the batch of one partition, durably."""
        items = list(batch)
        for item, record in zip(items, self._job.many([item.value for item in items]), strict=True):
            self._producer.produce(self._target, record, item.key, on_delivery=self._delivered)
        if self._producer.flush():
            raise RuntimeError("not all records were delivered")
        if self._failure is not None:
            raise KafkaException(self._failure)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._failure = self._failure or error


def main() -> None:
    """Run until SIGTERM."""
    call = read_call(__doc__, two_ways=True)
    if call.batched and call.exactly_once:
        print("no exactly_once: what a sink writes is not in the application's transactions", file=sys.stderr)
        raise SystemExit(2)
    app = Application(
        broker_address=call.bootstrap,
        consumer_group=call.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        commit_interval=CHECKPOINT,
        processing_guarantee="exactly-once" if call.exactly_once else "at-least-once",
        state_dir=call.folder,
        loglevel="WARNING",
    )
    if call.batched:
        source = app.topic(call.source, value_deserializer="bytes")
        app.dataframe(source).sink(EnrichingSink(call, app.get_producer()))
    else:
        source = app.topic(call.source, value_deserializer="json")
        target = app.topic(call.target, value_serializer="json")
        app.dataframe(source).apply(Job(call.job).one_decoded).to_topic(target)
    say_ready()
    app.run()


if __name__ == "__main__":
    main()
