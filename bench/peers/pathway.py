"""Pathway: a table read from a topic, a column by a UDF in batches, written to a topic.

pathway.com/developers, "Kafka connectors" (`pw.io.kafka.read` and `write`; raw, with keys that are no primary key,
since many events share one, and `max_backlog_size`, which its reference says to set where there may be a backlog),
"User-Defined Functions", "Batch UDFs" (`max_batch_size`) and "Persistence".

Promise: "at-least-once delivery": outputs "corresponding to the unclosed transactional batches may duplicate", but
not where it ends gracefully. By its README, exactly once is for the enterprise version.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])

import pathway as pw

from bench.peers.call import CHECKPOINT, Call, read_call, say_ready
from bench.peers.job import ROWS, Job

_BACKLOG = 20_000


def build(call: Call) -> None:
    """Lay out the graph."""
    job = Job(call.job)
    settings = {"bootstrap.servers": call.bootstrap, "group.id": call.group, "auto.offset.reset": "earliest"}

    @pw.udf(max_batch_size=ROWS, deterministic=True)  # type: ignore[untyped-decorator]  # pathway is not here
    def enrich(values: list[bytes]) -> list[bytes]:
        return job.many(values)

    source = pw.io.kafka.read(
        settings,
        call.source,
        format="raw",
        autogenerate_key=True,
        autocommit_duration_ms=int(1000 * CHECKPOINT),
        max_backlog_size=_BACKLOG,
        name="source",
    )
    enriched = source.select(source.key, record=enrich(source.data))
    pw.io.kafka.write(
        enriched,
        {"bootstrap.servers": call.bootstrap},
        call.target,
        format="raw",
        key=enriched.key,
        value=enriched.record,
        name="target",
    )


def main() -> None:
    """Run until SIGTERM."""
    call = read_call(__doc__, no_exactly_once="Pathway's open edition is at least once")
    build(call)
    say_ready()
    pw.run(
        monitoring_level=pw.MonitoringLevel.NONE,
        persistence_config=pw.persistence.Config(pw.persistence.Backend.filesystem(str(call.folder))),
    )


if __name__ == "__main__":
    main()
