"""FastStream on confluent-kafka: a batch subscriber, whose records are published as a batch.

faststream.ag2.ai, "Confluent": "Batch Subscriber" (`batch=True`), "Publishing in Batches" ("Per-Message Attributes
with `KafkaPublishMessage`", for the keys) and "Consuming Acknowledgements": `AckPolicy.NACK_ON_ERROR` commits on
success and reads again on error. The default, ACK_FIRST, is "the at most once consuming strategy". `FastStream.run()`
ends on SIGTERM.

Promise: at least once with that policy. It has no transactions.
"""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[2])

from faststream import AckPolicy, FastStream
from faststream.confluent import KafkaBroker, KafkaPublishMessage
from faststream.confluent.annotations import KafkaMessage

from bench.peers.call import Call, read_call, say_ready
from bench.peers.job import ROWS, Job

_FULL_AT = 0.05


async def as_it_is(message: KafkaMessage) -> Any:  # noqa: ANN401
    """Leave bodies as bytes: the job decodes them itself."""
    return message.body


def made(call: Call) -> FastStream:
    """Return the application."""
    broker = KafkaBroker(call.bootstrap, allow_auto_create_topics=False, logger=None)
    job = Job(call.job)

    @broker.subscriber(  # type: ignore[untyped-decorator]  # faststream is not in the environment that checks types
        call.source,
        group_id=call.group,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        batch=True,
        max_records=ROWS,
        polling_interval=_FULL_AT,
        decoder=as_it_is,
    )
    async def enrich(bodies: list[bytes], message: KafkaMessage) -> None:
        records = job.many(bodies)
        await broker.publish_batch(
            *(
                KafkaPublishMessage(record, key=event.key())
                for record, event in zip(records, message.raw_message, strict=True)
            ),
            topic=call.target,
        )

    return FastStream(broker, logger=None)


def main() -> None:
    """Run until SIGTERM."""
    app = made(read_call(__doc__, no_exactly_once="FastStream has no transactions"))
    say_ready()
    asyncio.run(app.run(log_level=logging.WARNING))


if __name__ == "__main__":
    main()
