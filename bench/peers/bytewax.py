"""Bytewax: from topic to topic, in the batches that the source gives.

The repository's docs: "Kafka" (`kop.input`, `kop.output`, errors raised; "Batch Sizes"), "Performance": stateless
work on many items is `flat_map_batch`, while `collect` keeps state for each key; "Recovery" (`python -m
bytewax.recovery`, then a snapshot of the offsets each 10 s, the default), without which it starts from the beginning
each time. `cli_main` is what `python -m bytewax.run` calls. It joins no consumer group, and SIGTERM is not handled.

Promise: the sink "can support at-least-once processing. Messages from the resume epoch will be duplicated".
"""

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from bench.peers.call import Call, read_call, say_ready
from bench.peers.job import ROWS, Job

_SNAPSHOT = timedelta(seconds=10)


def made(call: Call) -> Dataflow:
    """Return the dataflow."""
    job = Job(call.job)
    brokers = [call.bootstrap]

    def enrich(events: list[KafkaSourceMessage[bytes, bytes]]) -> Iterator[KafkaSinkMessage[bytes, bytes]]:
        records = job.many([event.value for event in events])
        return (KafkaSinkMessage(key=event.key, value=record) for event, record in zip(events, records, strict=True))

    flow = Dataflow(call.group.replace(".", "-"))
    source = kop.input("source", flow, brokers=brokers, topics=[call.source], batch_size=ROWS)
    op.inspect("errors", source.errs).then(op.raises, "crash-on-error")
    enriched = op.flat_map_batch("enrich", source.oks, enrich)
    kop.output("target", enriched, brokers=brokers, topic=call.target)
    return flow


def main() -> None:
    """Run until SIGTERM."""
    call = read_call(__doc__, no_exactly_once="Bytewax's Kafka sink is at least once")
    if not any(call.folder.glob("part-*.sqlite3")):
        init_db_dir(call.folder, 1)
    flow = made(call)
    say_ready()
    cli_main(flow, epoch_interval=_SNAPSHOT, recovery_config=RecoveryConfig(str(call.folder), timedelta()))


if __name__ == "__main__":
    main()
