"""One of its topics is deleted under a worker, and made again later.

The worker names it, stays alive, tries again and again, commits nothing meanwhile, and goes on by itself.
"""

import pytest

from tests.support.alike import assert_same
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.scrape import status
from tests.support.stream import mixed
from tests.support.topics import committed, produce, read_all, wait_until
from tests.support.verify import event_ids, wait_until_caught_up


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
@pytest.mark.parametrize("which", ["output", "dead"])
def test_a_topic_that_is_gone_is_waited_for(
    open_stream: OpenStream, start_worker: StartWorker, which: str, delivery: str
) -> None:
    """What was written while it was gone is in it afterwards, or in the other topic, once."""
    # A client keeps records for a topic that it does not find for half a minute; here for three seconds.
    soon = {"topic.metadata.propagation.max.ms": 3000, "topic.metadata.refresh.fast.interval.ms": 100}
    stream = open_stream({"delivery": delivery, "kafka": soon})
    topic = {"output": stream.output, "dead": stream.dead}[which]
    worker = start_worker(stream, "one")
    worker.wait_until_assigned(3)
    stream.broker.delete_topic(topic)
    produce(stream.bootstrap, stream.input, mixed(range(200)))
    wait_until(lambda: any(topic in str(line) for line in worker.logs()[2:]), 90, f"no word of {topic}")
    assert worker.running, worker.tail()
    assert sum(offset or 0 for offset in committed(stream.bootstrap, stream.name, stream.input).values()) == 0
    stream.broker.create_topic(topic, 3, max_message_bytes=2_000_000)
    wait_until_caught_up(stream, 90)
    assert worker.stop() == 0
    dead = event_ids(read_all(stream.bootstrap, stream.dead))
    enriched = event_ids(read_all(stream.bootstrap, stream.output))
    assert sorted(set(dead)) == list(range(0, 200, 10))
    assert_same(set(enriched), [number for number in range(200) if number % 10])
    if delivery == "exactly_once":
        assert (len(dead), len(enriched)) == (20, 180)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_an_input_topic_that_is_made_anew_with_fewer_partitions_is_read(
    open_stream: OpenStream, start_worker: StartWorker, delivery: str
) -> None:
    """What is gone takes no offsets: nothing waits for that, and nothing ends of it."""
    # In a KIP-848 group the broker notices; a classic member would only after minutes.
    stream = open_stream({"delivery": delivery, "checkpoint": "900ms"}, protocol="consumer")
    worker = start_worker(stream, "one")
    worker.wait_until_assigned(3)
    stream.feed(range(100))
    wait_until_caught_up(stream)
    stream.feed(range(100, 400))  # some of which are written, and not committed, when their topic goes
    stream.broker.delete_topic(stream.input)
    reading = f"reading {stream.input}"
    wait_until(
        lambda: not worker.running or (status(worker.http)["waiting"] or {}).get("what") == reading,
        60,
        lambda: f"nothing shows that the topic is gone:\n{worker.tail()}",
    )
    assert worker.running, worker.tail()
    stream.broker.create_topic(stream.input, 2)
    stream.feed(range(1000, 1100))
    wait_until_caught_up(stream, 60)
    wait_until(lambda: status(worker.http)["waiting"] is None, 30, lambda: f"it waits for ever:\n{worker.tail()}")
    assert worker.stop() == 0
    enriched = event_ids(read_all(stream.bootstrap, stream.output))
    assert set(enriched) >= {*range(100), *range(1000, 1100)}
    if delivery == "exactly_once":
        assert len(enriched) == len(set(enriched))
