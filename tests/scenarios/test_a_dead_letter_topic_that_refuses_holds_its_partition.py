"""The dead-letter topic takes no more of what it is there for: nothing is dropped, and nothing else stops.

Its limit is lowered while the worker runs; or it is compacted, and the event has no key; or it takes no more than the
input topic, so that an event near the limit fits into the one and, with its headers, not into the other. The event's
partition is held at its committed offset and tried again (each minute; here every three seconds), the others go on.
Once the topic is mended, it goes on by itself.
"""

from collections.abc import Mapping
from itertools import cycle, islice
from typing import Final, NamedTuple, get_args

from consumer.hold import RELEASED_BY, HoldKind
from tests.support.brokers import Setting
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.scrape import metric_holds, scrape, status, total
from tests.support.stream import Stream, record, value
from tests.support.topics import NewRecord, committed, produce, read_all, wait_until
from tests.support.verify import verify, wait_until_caught_up
from tests.support.work import Delivery
from tests.support.worker import Worker

BAD: Final = 21
FIRST: Final = range(90)
MORE: Final = [number for number in range(90, 180) if number % 3]
ROOM: Final = 60_000
SMALL: Final = 4_000
# Longer than the pause after the aborts that it takes: others go on in between.
RETRY: Final = "3"


class Trouble(NamedTuple):
    """Why a dead letter is refused.

    Attributes:
        name: of the streams that have it.
        bad: the event whose dead letter it is.
        refusing: settings of the dead-letter topic with which it is.
        mended: and with which it is not.
        limit: max.message.bytes of all topics, before the worker starts.
        why: words of the log.
    """

    name: str
    bad: NewRecord
    refusing: Mapping[str, Setting]
    mended: Mapping[str, Setting]
    limit: int = 1_000_000
    why: str = "not delivered"


TROUBLES: Final = (
    Trouble(
        "lowered",
        record(BAD, partition=0, weekend="no", padding="x" * SMALL),
        {"max_message_bytes": SMALL},
        {"max_message_bytes": 1_000_000},
    ),
    Trouble(
        "compacted",
        NewRecord(value=value(BAD, weekend="no"), partition=0),
        {"cleanup_policy": "compact"},
        {"cleanup_policy": "delete"},
    ),
    Trouble(
        "no-room",
        record(BAD, partition=0, weekend="no", padding="x" * (ROOM - 500)),
        {},
        {"max_message_bytes": 2 * ROOM},
        limit=ROOM,
        why="is larger than",
    ),
)


def test_a_dead_letter_topic_that_refuses_holds_its_partition(
    open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """Both deliveries: held at one offset, shown as refused, let go by itself once the topic is mended."""
    works: list[tuple[Trouble, Delivery, Stream, Worker]] = []
    for trouble, delivery in zip(islice(cycle(TROUBLES), 4), cycle(get_args(Delivery)), strict=False):
        stream = open_stream({"delivery": delivery}, name=f"{trouble.name}-{delivery}".replace("_", "-"))
        for topic in (stream.input, stream.output, stream.dead):
            stream.broker.set_topic_config(topic, max_message_bytes=trouble.limit)
        works.append((trouble, delivery, stream, _start(start_worker, stream)))
    for trouble, _, stream, worker in works:
        worker.wait_until_assigned(3)
        if trouble.refusing:
            stream.broker.set_topic_config(stream.dead, **trouble.refusing)
        records = [trouble.bad if number == BAD else record(number, partition=number % 3) for number in FIRST]
        for some in (records[:BAD], [trouble.bad], records[BAD + 1 :]):  # a batch each: all that one topic takes
            produce(stream.bootstrap, stream.input, some)
    for trouble, _, stream, worker in works:
        _assert_held(stream, worker, trouble.why)
    for trouble, _, stream, _ in works:
        stream.broker.set_topic_config(stream.dead, **trouble.mended)
    for _, delivery, stream, worker in works:
        _assert_mended(stream, worker, delivery)


def _start(start_worker: StartWorker, stream: Stream) -> Worker:
    return start_worker(stream, module="tests.support.soon_retried", environment={"RETRY_SECONDS": RETRY})


def _assert_held(stream: Stream, worker: Worker, why: str) -> None:
    """It is held where its offset is committed, however often it is tried again; the others go on."""
    held = worker.wait_for("partition held")
    assert (held["partition"], held["kind"], held["level"]) == (0, "refused", "error")
    produce(stream.bootstrap, stream.input, [record(number, partition=number % 3) for number in MORE])
    wait_until(
        lambda: _others(stream) == {1: 60, 2: 60},
        60,
        lambda: f"the others stand at {_others(stream)}:\n{worker.tail()}",
    )
    assert worker.wait_for("partition held", after=1)["offset"] == held["offset"]
    assert committed(stream.bootstrap, stream.name, stream.input)[0] == held["offset"] <= BAD // 3
    assert read_all(stream.bootstrap, stream.dead) == []
    wait_until(
        lambda: metric_holds('onelane_held{kind="refused"} == 1', scrape(worker.http)), 30, "no metric shows it"
    )
    (shown,) = wait_until(lambda: status(worker.http)["held"], 30, "the body does not show it")
    assert (shown["partition"], shown["offset"], shown["kind"]) == (0, held["offset"], "refused")
    assert shown["released_by"] == RELEASED_BY[HoldKind.REFUSED]
    found = scrape(worker.http)
    assert total(found, "onelane_aborts_total", kind="refused") >= 3
    assert any(why in str(line) for line in worker.logs())


def _others(stream: Stream) -> dict[int, int | None]:
    at = committed(stream.bootstrap, stream.name, stream.input)
    return {partition: at[partition] for partition in (1, 2)}


def _assert_mended(stream: Stream, worker: Worker, delivery: str) -> None:
    """It has gone on by itself, and nothing was dropped."""
    wait_until_caught_up(stream)
    worker.wait_for("partition released")
    assert not status(worker.http)["held"]
    worker.stop()
    outcome = verify(stream, [*FIRST, *MORE])
    outcome.assert_none_missing()
    assert set(outcome.dead) == {BAD}
    if delivery == "exactly_once":
        outcome.assert_each_once()
