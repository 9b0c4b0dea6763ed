"""Arroyo, in batches: BatchStep, RunTask, UnbatchStep, Produce, CommitOffsets.

getsentry.github.io/arroyo, "Batch and Unbatch" with the repository's example `transform_and_produce/batched.py`, and
"Committing offsets" (`ONCE_PER_SECOND` "is a reasonable option"). `StreamProcessor.signal_shutdown()` is "typically
called from a signal handler".

Promise: at least once: offsets are committed of what was produced. It has no transactions.
"""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])

from arroyo.backends.kafka.configuration import build_kafka_configuration, build_kafka_consumer_configuration
from arroyo.backends.kafka.consumer import KafkaConsumer, KafkaPayload, KafkaProducer
from arroyo.commit import ONCE_PER_SECOND
from arroyo.processing.processor import StreamProcessor
from arroyo.processing.strategies import BatchStep, CommitOffsets, Produce, RunTask, UnbatchStep
from arroyo.processing.strategies.abstract import ProcessingStrategy, ProcessingStrategyFactory
from arroyo.processing.strategies.batching import ValuesBatch
from arroyo.types import Commit, Message, Partition, Topic, Value

from bench.peers.call import read_call, say_ready
from bench.peers.job import ROWS, Job

_FULL_AT = 0.05


class EnrichingFactory(ProcessingStrategyFactory[KafkaPayload]):  # type: ignore[misc]  # arroyo is not here
    """Makes the chain of strategies for each assignment.

    Args:
        producer: of the enriched records.
        topic: where they go.
        job: enriches events.
    """

    def __init__(self, producer: KafkaProducer, topic: Topic, job: Job) -> None:
        self._producer = producer
        self._topic = topic
        self._job = job

    def create_with_partitions(
        self, commit: Commit, partitions: Mapping[Partition, int]
    ) -> ProcessingStrategy[KafkaPayload]:
        """Return the first strategy of the chain."""
        del partitions
        unbatch: UnbatchStep[KafkaPayload] = UnbatchStep(Produce(self._producer, self._topic, CommitOffsets(commit)))
        return BatchStep(max_batch_size=ROWS, max_batch_time=_FULL_AT, next_step=RunTask(self._enrich, unbatch))

    def _enrich(self, batch: Message[ValuesBatch[KafkaPayload]]) -> ValuesBatch[KafkaPayload]:
        events = batch.payload
        records = self._job.many([event.payload.value for event in events])
        return [
            Value(
                payload=KafkaPayload(key=event.payload.key, value=record, headers=event.payload.headers),
                committable=event.committable,
                timestamp=event.timestamp,
            )
            for event, record in zip(events, records, strict=True)
        ]


def main() -> None:
    """Run until SIGTERM."""
    call = read_call(__doc__, no_exactly_once="Arroyo has no transactions")
    servers = [call.bootstrap]
    producer = KafkaProducer(build_kafka_configuration(default_config={}, bootstrap_servers=servers))
    consumer = KafkaConsumer(
        build_kafka_consumer_configuration(
            default_config={}, bootstrap_servers=servers, auto_offset_reset="earliest", group_id=call.group
        )
    )
    processor = StreamProcessor(
        consumer=consumer,
        topic=Topic(call.source),
        processor_factory=EnrichingFactory(producer, Topic(call.target), Job(call.job)),
        commit_policy=ONCE_PER_SECOND,
    )
    signal.signal(signal.SIGTERM, lambda *_: processor.signal_shutdown())
    say_ready()
    processor.run()


if __name__ == "__main__":
    main()
