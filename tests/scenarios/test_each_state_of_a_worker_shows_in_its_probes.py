"""The truth table of docs/probes.md, row by row: each state is brought about with a real worker on a real broker.

What /live and /ready answer, what their body says and which metric shows it stand in `consumer/operate/truth.py`.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from consumer.hold import HoldKind
from consumer.operate.truth import TRUTH
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.kafka import KafkaBroker
from tests.support.probing import Asking, wait_until_shown
from tests.support.scrape import ask, scrape, status, total
from tests.support.stream import Feeder, Protocol, Stream, record, value
from tests.support.topics import NewRecord, produce, read_all, wait_until
from tests.support.verify import event_ids, verify, wait_until_caught_up
from tests.support.worker import Worker

# States that another scenario brings about.
ELSEWHERE = {
    "offset gone": "test_a_committed_offset_that_is_gone_stops_its_partition_only.py",
    "registry away": "test_a_registry_that_is_away_holds_up_its_lanes_only.py",
    "input denied": "test_a_permission_that_is_taken_away_is_waited_for.py",
    "output denied": "test_a_permission_that_is_taken_away_is_waited_for.py",
}
ALL_WELL = {("/live", 200), ("/ready", 200)}


def start_slow(start_worker: StartWorker, stream: Stream, seconds: str = "0.7") -> Worker:
    """Start a worker with a slow model."""
    return start_worker(stream, module="tests.support.slow_model", environment={"SLOW_MODEL_SECONDS": seconds})


def test_each_kind_of_hold_has_a_row() -> None:
    """A kind that was added without would be a state that no page tells of."""
    shown = {condition for row in TRUTH for condition in row.body}
    assert {f'held.0.kind == "{kind}"' for kind in HoldKind} <= shown


def test_every_row_of_the_table_has_a_test() -> None:
    """A state that was added without would be a promise that nobody has seen kept."""
    here = {f"test_{state.replace(' ', '_')}" for row in TRUTH if (state := row.state) not in ELSEWHERE}
    assert here <= globals().keys()
    for state, name in ELSEWHERE.items():
        assert f'wait_until_shown(worker, "{state}")' in (Path(__file__).parent / name).read_text()


def test_starting(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """The server is up before the model is proved, which takes seconds here; then it becomes ready by itself."""
    worker = start_slow(start_worker, open_stream())
    wait_until_shown(worker, "starting")
    assert status(worker.http)["not_ready_because"] == "the group has not taken it in yet"
    wait_until(lambda: ask(worker.http, "/ready").status == 200, 60, "it never becomes ready")


def test_idle(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """It has done its work."""
    stream = open_stream()
    stream.feed(range(50))
    worker = start_worker(stream)
    wait_until_caught_up(stream)
    wait_until_shown(worker, "idle")
    found = scrape(worker.http)
    assert total(found, "onelane_events_total") == total(found, "onelane_enriched_total") == 50
    assert total(found, "onelane_lanes") == total(found, "onelane_lanes_opened_total") == 3
    (info,) = [sample for sample in found if sample.name == "onelane_info"]
    assert info.labels["pipeline"] == stream.name
    assert info.labels["model"].startswith("delay@")
    assert info.labels["delivery"] == "exactly_once"


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_spare(protocol: Protocol, open_stream: OpenStream, start_worker: StartWorker) -> None:
    """One partition, two workers: the one without is as ready as the other."""
    stream = open_stream(partitions=1, protocol=protocol)
    workers = [start_worker(stream, "first"), start_worker(stream, "second")]
    wait_until(lambda: all(ask(one.http, "/ready").status == 200 for one in workers), 60, "not both are ready")
    wait_until(lambda: sum(worker.lanes for worker in workers) == 1, 30, "not one has the partition")
    (spare,) = [worker for worker in workers if worker.lanes == 0]
    wait_until_shown(spare, "spare")


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_rebalancing(protocol: Protocol, open_stream: OpenStream, start_worker: StartWorker) -> None:
    """Another joins and leaves under load: no probe of the first ever fails, and lanes that stay are kept."""
    stream = open_stream(partitions=4, protocol=protocol)
    with Feeder(stream, rate=300) as feeder:
        first = start_worker(stream, "first")
        first.wait_until_assigned(4)
        wait_until(lambda: ask(first.http, "/ready").status == 200, 30, "it is not ready")
        with Asking(first) as asking:
            second = start_worker(stream, "second")
            wait_until(lambda: first.lanes == second.lanes == 2, 60, "the two do not share the work")
            second.stop()
            first.wait_until_assigned(4)
            wait_until_shown(first, "rebalancing")
        total_events = feeder.stop()
        wait_until_caught_up(stream)
    assert asking.answers.keys() == ALL_WELL
    assert min(asking.answers.values()) > 20
    found = scrape(first.http)
    assert total(found, "onelane_lanes") == 4
    assert total(found, "onelane_lanes_opened_total") == 6
    verify(stream, range(total_events)).assert_exactly_once()


def test_slow_model(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """700 ms an inference, and no probe fails."""
    stream = open_stream(partitions=1)
    worker = start_slow(start_worker, stream)
    worker.wait_until_assigned(1)
    stream.feed(range(12))
    wait_until_shown(worker, "slow model")
    with Asking(worker) as asking:
        wait_until_caught_up(stream)
    assert asking.answers.keys() == ALL_WELL
    assert total(scrape(worker.http), "onelane_invoke_seconds_sum") > 12 * 0.7


def test_hung_model(open_stream: OpenStream, start_worker: StartWorker, tmp_path: Path) -> None:
    """Alive until `stuck_after`, then not; the process ends by itself with code 7, and another does the work."""
    stream = open_stream({"operate": {"stuck_after": "3s"}}, partitions=1)
    hung = tmp_path / "hung"
    worker = start_worker(stream, module="tests.support.hung_model", environment={"HUNG_MODEL": str(hung)})
    worker.wait_until_assigned(1)
    wait_until(lambda: ask(worker.http, "/ready").status == 200, 30, "it is not ready")
    hung.touch()
    stream.feed(range(10))
    wait_until(lambda: status(worker.http)["doing"]["what"] == "invoke", 30, "it does not hang")
    assert ask(worker.http, "/live").status == 200
    wait_until_shown(worker, "hung model")
    assert status(worker.http)["doing"]["seconds"] > 3
    worker.wait(allowed=[7])
    start_worker(stream, "next")
    wait_until_caught_up(stream)
    verify(stream, range(10)).assert_exactly_once()


def test_broker_away(start_worker: StartWorker, unique: Callable[[str], str], tmp_path: Path) -> None:
    """The only broker is killed, and comes back: a worker that waits is alive and ready, and goes on by itself."""
    with KafkaBroker() as broker:
        stream = Stream(broker=broker, name=unique("flights"), pipeline=tmp_path / "pipeline.yaml")
        stream.create_topics(2)
        stream.write_pipeline({})
        worker = start_worker(stream)
        wait_until(lambda: ask(worker.http, "/ready").status == 200, 60, "it is not ready")
        stream.feed(range(20))
        wait_for_events(worker, 20)
        with Asking(worker) as asking:
            broker.kill()
            wait_until_shown(worker, "broker away", timeout=90)
            broker.restart()
            wait_until(lambda: status(worker.http)["waiting"] is None, 90, "it waits for ever")
            stream.feed(range(20, 40))
            wait_for_events(worker, 40)
        assert asking.answers.keys() == ALL_WELL
        assert total(scrape(worker.http), "onelane_broker_wait_seconds") == 0
        verify(stream, range(40)).assert_exactly_once()


def wait_for_events(worker: Worker, count: int) -> None:
    """Wait till so many events are durable, by the worker's own word.

    Not by the group's lag: librdkafka's admin client crashes where a broker that has just started asks for patience.
    """
    wait_until(
        lambda: total(scrape(worker.http), "onelane_events_total") == count,
        60,
        f"not {count} events; {worker.instance} said:\n{worker.tail()}",
    )


def test_held(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """Too many dead letters in one of three partitions: it is held and shown; nothing calls for a restart."""
    stream = open_stream({"dead_letters": {"stop_after": {"in_a_row": 5}}})
    worker = start_worker(stream)
    worker.wait_until_assigned(3)
    bad = [record(number, partition=1, dep_delay="late") for number in range(10)]
    good = [record(number, partition=2) for number in range(10, 20)]
    produce(stream.bootstrap, stream.input, [*bad, *good])
    wait_until_shown(worker, "held")
    (held,) = status(worker.http)["held"]
    assert (held["partition"], held["offset"], held["cause"]) == (1, 5, "WrongType")
    wait_until(lambda: total(scrape(worker.http), "onelane_enriched_total") == 10, 30, "the others do not go on")
    found = scrape(worker.http)
    assert total(found, "onelane_dead_letters_total", stage="decode", cause="WrongType") == 5
    assert total(found, "onelane_held", partition="1", kind="guard") == total(found, "onelane_held") == 1
    wait_until(lambda: total(scrape(worker.http), "onelane_lag_events", partition="1") == 5, 30, "no lag shows")


def test_dead_letter_refused(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """A compacted topic takes no dead letter without a key: its partition waits, and another has its own written."""
    stream = open_stream(partitions=2)
    stream.broker.set_topic_config(stream.dead, cleanup_policy="compact")
    worker = start_worker(stream)
    worker.wait_until_assigned(2)
    bad = value(0, dep_delay="late")
    produce(stream.bootstrap, stream.input, [NewRecord(value=bad, partition=0), record(1, 1, dep_delay="late")])
    wait_until_shown(worker, "dead letter refused")
    assert [(one["partition"], one["offset"]) for one in status(worker.http)["held"]] == [(0, 0)]
    wait_until(lambda: event_ids(read_all(stream.bootstrap, stream.dead)) == [1], 30, "the other does not go on")


def test_fenced(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """Somebody takes its transactional id, once: it gets a new producer, and nobody need restart it."""
    stream = open_stream()
    worker = start_worker(stream, "one")
    worker.wait_until_assigned(3)
    stream.feed(range(100))
    wait_until_caught_up(stream)
    with Asking(worker) as asking:
        # While no transaction is open: else the thief is told to try again, and each of its tries fences once more.
        thief = Producer(
            {"bootstrap.servers": stream.bootstrap, "transactional.id": f"{stream.name}-one", "log_level": 0}
        )
        thief.init_transactions(30)
        stream.feed(range(100, 200))
        wait_until_shown(worker, "fenced")
        wait_until_caught_up(stream)
    assert asking.answers.keys() == ALL_WELL
    assert worker.running
    verify(stream, range(200)).assert_exactly_once()
    wait_for_events(worker, 200)  # also those that the abort undid count once


def test_draining(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """Told to stop with more open than it can do at once: not ready from then on, alive until it is gone."""
    stream = open_stream(partitions=1)
    worker = start_slow(start_worker, stream)
    worker.wait_until_assigned(1)
    stream.feed(range(30))
    wait_until(lambda: status(worker.http)["doing"]["what"] == "invoke", 30, "it has nothing to do")
    worker.terminate()
    wait_until_shown(worker, "draining", timeout=20)
    began = time.monotonic()
    worker.wait(allowed=[0], within=30)
    assert time.monotonic() - began < 25
