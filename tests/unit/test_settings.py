"""librdkafka settings: routed to their client, or refused with the reason."""

from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient

from consumer.kafka.settings import OWNED, client_settings, fetched_ahead, refused_settings
from consumer.pipeline.findings import Finding
from consumer.pipeline.spec import Pipeline
from tests.support.pipelines import GOOD, loaded


def spec(folder: Path, *lines: str, **sections: str) -> Pipeline:
    """Return the small pipeline with more settings and sections."""
    more = "".join(f"  {line}\n" for line in lines) + "".join(f"{key}: {value}\n" for key, value in sections.items())
    return loaded(folder, GOOD + more).spec


def findings(folder: Path, *lines: str, **sections: str) -> list[Finding]:
    """Return what is wrong with the settings."""
    return refused_settings(spec(folder, *lines, **sections))


def test_the_small_pipeline_is_fine(tmp_path: Path) -> None:
    """No finding without a cause."""
    assert findings(tmp_path) == []


@pytest.mark.parametrize("name", OWNED)
def test_a_setting_that_the_worker_owns_is_refused(tmp_path: Path, name: str) -> None:
    """By name, with the reason, at its place."""
    (found,) = findings(tmp_path, f"{name}: 1")
    assert found.path == ("kafka", name)
    assert found.message == f"the worker owns this setting: {OWNED[name]}"


def test_an_unknown_setting_has_a_nearest(tmp_path: Path) -> None:
    """A misspelt setting must not be passed over, as librdkafka's warning would be."""
    (found,) = findings(tmp_path, "sesion.timeout.ms: 6000")
    assert (found.path, found.hint) == (("kafka", "sesion.timeout.ms"), "did you mean `session.timeout.ms`?")


def test_bootstrap_servers_are_needed(tmp_path: Path) -> None:
    """Under one name only, so that two can't contradict each other; an empty one is none."""
    text = GOOD.replace("  bootstrap.servers: localhost:9092\n", "")
    (found,) = refused_settings(loaded(tmp_path, text.replace("kafka:", "kafka: {}")).spec)
    assert found.message == "`bootstrap.servers` is missing"
    empty = refused_settings(loaded(tmp_path, text + "  bootstrap.servers: ''\n").spec)
    assert [one.message for one in empty] == [found.message]


def test_a_kip_848_group_takes_no_session_timeout(tmp_path: Path) -> None:
    """The broker decides it, and librdkafka would refuse to start."""
    assert [
        found.path[1]
        for found in findings(
            tmp_path, "group.protocol: consumer", "session.timeout.ms: 6000", "heartbeat.interval.ms: 1000"
        )
    ] == ["session.timeout.ms", "heartbeat.interval.ms"]
    assert findings(tmp_path, "group.protocol: classic", "session.timeout.ms: 6000") == []
    assert findings(tmp_path, "group.protocol: consumer") == []


@pytest.mark.parametrize(("chosen", "fine"), [("4100", True), ("4099", False), ("'4100'", True), ("soon", False)])
def test_a_transaction_outlasts_four_batches_and_a_checkpoint(
    tmp_path: Path,
    chosen: str,
    fine: bool,  # noqa: FBT001
) -> None:
    """At least 4 x batch.time + checkpoint: 4 x 1 s + 100 ms."""
    found = findings(tmp_path, f"transaction.timeout.ms: {chosen}")
    assert (found == []) == fine
    if found:
        assert found[0].hint == "at least 4100: 4 x batch.time + checkpoint"


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """In the order of the file."""
    found = findings(tmp_path, "acks: 1", "fetch.mni.bytes: 1", "group.id: x")
    assert [finding.path[1] for finding in found] == ["acks", "fetch.mni.bytes", "group.id"]


def clients(folder: Path, *lines: str, limits: tuple[int, int] | None = None, **sections: str) -> dict[str, Any]:
    """Return the settings of each client."""
    made = client_settings(spec(folder, *lines, **sections), "pod-1", limits)
    return {"consumer": made.consumer, "producer": made.producer, "admin": made.admin}


@pytest.mark.parametrize(
    ("setting", "takers"),
    [
        ("fetch.min.bytes", {"consumer"}),
        ("linger.ms", {"producer"}),
        ("client.rack", {"consumer", "producer", "admin"}),
        ("sasl.password", {"consumer", "producer", "admin"}),
        ("ssl.ca.location", {"consumer", "producer", "admin"}),
    ],
)
def test_a_setting_goes_to_the_clients_it_belongs_to(tmp_path: Path, setting: str, takers: set[str]) -> None:
    """Those of connections to all; librdkafka only warns of one in the wrong place."""
    made = clients(tmp_path, f"{setting}: 7")
    assert {client for client in made if made[client].get(setting) == 7} == takers


def test_the_workers_own_settings(tmp_path: Path) -> None:
    """What exactly-once rests on."""
    made = clients(tmp_path)
    consumer, producer = made["consumer"], made["producer"]
    assert (consumer["group.id"], consumer["isolation.level"]) == ("small", "read_committed")
    assert (consumer["enable.auto.commit"], consumer["enable.auto.offset.store"]) == (False, False)
    assert (consumer["auto.offset.reset"], consumer["enable.partition.eof"]) == ("error", False)
    assert consumer["partition.assignment.strategy"] == "cooperative-sticky"
    assert consumer["session.timeout.ms"] == 10_000
    assert (producer["transactional.id"], producer["enable.idempotence"]) == ("small-pod-1", True)
    assert (producer["transaction.timeout.ms"], producer["delivery.report.only.error"]) == (10_000, True)
    assert producer["partitioner"] == "murmur2_random"
    assert "message.max.bytes" not in producer


def test_what_is_fetched_ahead_is_bounded_by_events_and_by_bytes(tmp_path: Path) -> None:
    """Of small events as many as are allowed, of large ones what fits; and the last answer to a fetch."""
    made = client_settings(spec(tmp_path, "fetch.max.bytes: 1000000"), "pod-1", None)
    assert fetched_ahead(made, 50.0) == 100_000 + 20_000
    assert fetched_ahead(made, 10_000.0) == pytest.approx(8 * 1024 * 1024 / 10_000 + 100)


def test_a_short_queue_does_not_run_dry(tmp_path: Path) -> None:
    """What is fetched ahead lasts for some 100 ms at full speed; librdkafka would look for room once a second."""
    consumer = clients(tmp_path)["consumer"]
    assert consumer["queued.max.messages.kbytes"] <= 8 * 1024
    assert consumer["fetch.queue.backoff.ms"] <= 50
    assert clients(tmp_path, "fetch.queue.backoff.ms: 7")["consumer"]["fetch.queue.backoff.ms"] == 7


def test_a_kip_848_group_has_neither_strategy_nor_session(tmp_path: Path) -> None:
    """Librdkafka refuses both."""
    consumer = clients(tmp_path, "group.protocol: consumer")["consumer"]
    assert not {"partition.assignment.strategy", "session.timeout.ms"} & consumer.keys()


def test_at_least_once_has_no_transactions(tmp_path: Path) -> None:
    """But is idempotent all the same."""
    producer = clients(tmp_path, delivery="at_least_once")["producer"]
    assert not {"transactional.id", "transaction.timeout.ms"} & producer.keys()
    assert producer["enable.idempotence"] is True


def test_the_poll_interval_outlasts_three_batches_and_checkpoints(tmp_path: Path) -> None:
    """At least a minute; a slow model gets more, and so does its transaction."""
    assert clients(tmp_path)["consumer"]["max.poll.interval.ms"] == 60_000
    slow = clients(tmp_path, batch="{time: 30s}")
    assert slow["consumer"]["max.poll.interval.ms"] == 120_000
    assert slow["producer"]["transaction.timeout.ms"] == 120_100


def test_chosen_settings_beat_defaults(tmp_path: Path) -> None:
    """What the worker does not own is the user's."""
    made = clients(tmp_path, "session.timeout.ms: 45000", "transaction.timeout.ms: 60000", "client.id: mine")
    assert made["consumer"]["session.timeout.ms"] == 45_000
    assert made["producer"]["transaction.timeout.ms"] == 60_000
    assert [made[client]["client.id"] for client in made] == ["mine"] * 3


def test_workers_are_told_apart_by_their_clients(tmp_path: Path) -> None:
    """In a broker's logs and metrics, and by whoever lists the members of a group."""
    made = clients(tmp_path)
    name = spec(tmp_path).name
    assert [made[client]["client.id"] for client in made] == [f"{name}-pod-1"] * 3


def test_batches_stay_below_the_smaller_topic(tmp_path: Path) -> None:
    """And single records may be as large as the larger topic takes."""
    producer = clients(tmp_path, limits=(50_000, 2_000_000))["producer"]
    assert (producer["message.max.bytes"], producer["batch.size"]) == (2_000_000, 50_000)
    assert clients(tmp_path, limits=(5_000_000, 6_000_000))["producer"]["batch.size"] == 1_000_000


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_librdkafka_takes_all_that_we_set(tmp_path: Path, protocol: str, delivery: str) -> None:
    """Each client can be made, without a broker; a name that librdkafka does not know would raise here."""
    made = clients(
        tmp_path, f"group.protocol: {protocol}", "log_level: 0", limits=(10**6, 2 * 10**6), delivery=delivery
    )
    confluent_kafka.Consumer(made["consumer"]).close()
    confluent_kafka.Producer(made["producer"]).close()
    AdminClient(made["admin"])
