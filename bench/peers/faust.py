"""Faust (faust-streaming), an agent that takes up to 512 events at a time.

faust-streaming.github.io, user guide, "Streams", `take(max_, within)`: up to so many values are processed within a
time; here as `take_events` of the reference, since keys are kept. "Topics", `send()`, whose result is awaited for
delivery. A worker ends on SIGTERM by itself. A batch is acknowledged once the agent asks for the next.

Promise: the setting `processing_guarantee`, at least once by default, or exactly once. Of the latter: faust-streaming
0.15.3 finds a record's transaction by its partition, which it knows of topics that it reads; records for any other
topic, as here, are sent outside of all transactions, and come twice after a kill.
"""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[2])

import faust

from bench.peers.call import Call, read_call, say_ready
from bench.peers.job import ROWS, Job

_FULL_AT = 0.05


def made(call: Call) -> faust.App:
    """Return the application."""
    app = faust.App(
        call.group,
        broker=f"kafka://{call.bootstrap}",
        datadir=str(call.folder),
        processing_guarantee="exactly_once" if call.exactly_once else "at_least_once",
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        web_enabled=False,
    )
    job = Job(call.job)
    raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    source, target = app.topic(call.source, **raw), app.topic(call.target, **raw)

    @app.agent(source)  # type: ignore[untyped-decorator]  # faust is not in the environment that checks types
    async def enrich(stream: Any) -> None:  # noqa: ANN401
        async for events in stream.take_events(ROWS, within=_FULL_AT):
            records = job.many([event.value for event in events])
            sent = [
                await target.send(key=event.key, value=record) for event, record in zip(events, records, strict=True)
            ]
            await asyncio.gather(*sent)

    return app


def main() -> None:
    """Run until SIGTERM."""
    app = made(read_call(__doc__))
    say_ready()
    faust.Worker(app, loglevel=logging.WARNING).execute_from_commandline()


if __name__ == "__main__":
    main()
