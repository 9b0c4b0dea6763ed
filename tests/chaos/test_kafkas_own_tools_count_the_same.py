"""What became of events when a broker was killed is counted by programs that nobody here wrote: those of Kafka."""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from tests.support.cluster import KafkaCluster
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Stream
from tests.support.topics import wait_until
from tests.support.work import Work


@pytest.mark.timeout(240)
def test_kafkas_own_tools_count_the_same(
    cluster: KafkaCluster, open_stream: OpenStream, start_worker: StartWorker, report: Callable[[str], None]
) -> None:
    """A read_committed ConsoleConsumer sees each id once, and ConsumerGroupCommand a lag of 0."""
    stream = open_stream(brokers=cluster)
    with Work(stream, start_worker(stream)) as work:
        victim = cluster.leaders(stream.output)[1]
        cluster.kill(victim)
        work.wait_for_more()
        cluster.start()
        events = work.end("one of three brokers killed by -9", 1).events
    work.worker.stop()
    seen = wait_until(partial(_ids, stream, events), 90, f"ConsoleConsumer sees fewer than {events} records")
    assert not (seen - Counter(range(events)))
    assert not (Counter(range(events)) - seen)
    assert _lags(stream) == dict.fromkeys(range(3), 0)
    report(
        f"Kafka's own tools: {events} events, each once to ConsoleConsumer (read_committed); lag 0 in each partition"
    )


def _ids(stream: Stream, events: int) -> Counter[int]:
    """How often a read_committed ConsoleConsumer sees each event; nothing where it ended before it saw so many."""
    done = stream.broker.tool(
        "consumer.ConsoleConsumer",
        f"--bootstrap-server={stream.bootstrap}",
        f"--topic={stream.output}",
        "--from-beginning",
        "--isolation-level=read_committed",
        "--timeout-ms=3000",  # it ends when there was nothing more for so long, as on a machine that is busy
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    return Counter(json.loads(line)["id"] for line in lines) if len(lines) >= events else Counter()


def _lags(stream: Stream) -> dict[int, int]:
    """What ConsumerGroupCommand says of each partition."""
    done = stream.broker.tool(
        "consumer.group.ConsumerGroupCommand",
        f"--bootstrap-server={stream.bootstrap}",
        "--describe",
        f"--group={stream.name}",
    )
    # GROUP TOPIC PARTITION [LEADER-EPOCH] CURRENT-OFFSET LOG-END-OFFSET LAG …
    rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
    heads, *parts = rows[[row[0] for row in rows].index("GROUP") :]
    place = {head: heads.index(head) for head in ("PARTITION", "LAG")}
    return {int(part[place["PARTITION"]]): int(part[place["LAG"]]) for part in parts}
