"""docker-compose.yml: one `docker compose up` runs the flights example, with the topics that its pipeline names."""

from pathlib import Path

import pytest
from compose_spec import PyCompose

from tests.deploy.files import (
    DEAD_LETTER_HEADERS,
    EXAMPLE,
    KAFKA_MAX_MESSAGE,
    ROOT,
    Document,
    load,
    pipeline_topics,
    shutdown_timeout,
)
from tests.deploy.topics import created

COMPOSE = ROOT / "docker-compose.yml"
READY = {
    "kafka": {"condition": "service_healthy"},
    "topics": {"condition": "service_completed_successfully"},
}


@pytest.fixture(name="services")
def _services() -> Document:
    return load(COMPOSE)["services"]


def _mounted(service: Document, path: str) -> Path:
    """The file of this repository that a container sees at `path`."""
    source, target, mode = str(service["volumes"][0]).split(":")
    assert mode == "ro"
    return (ROOT / source / Path(path).relative_to(target)).resolve()


def _reachable_inside(services: Document) -> str:
    inside: str = services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")[0]
    return inside.removeprefix("INSIDE://")


def test_it_follows_the_compose_specification() -> None:
    """The file is accepted by a parser of the Compose specification, which knows every key and its type."""
    parsed = PyCompose.from_yaml(COMPOSE.read_text(encoding="utf-8"))
    parsed.validate()
    assert set(parsed.service_names()) == {"kafka", "topics", "worker", "loader"}


def test_every_service_waited_for_exists(services: Document) -> None:
    """No service depends on one that the file does not have, which the parser lets through."""
    waited_for = {name for service in services.values() for name in service.get("depends_on", {})}
    assert waited_for <= set(services)


@pytest.mark.parametrize("name", ["worker", "loader"])
def test_it_starts_on_a_healthy_broker_with_its_topics(services: Document, name: str) -> None:
    """Worker and loader wait for a healthy broker and for the topics to have been created."""
    assert services[name]["depends_on"] == READY
    assert services["kafka"]["healthcheck"]["test"]


def test_the_topics_are_those_of_the_pipeline(tmp_path: Path) -> None:
    """The creator makes the example's input, output and dead-letter topic, and no other."""
    assert tuple(created(tmp_path)) == pipeline_topics()


def test_the_topics_have_equally_many_partitions(tmp_path: Path) -> None:
    """Output and dead-letter topic have the input's partitions, so that an event stays in its own."""
    assert len({topic.partitions for topic in created(tmp_path).values()}) == 1


def test_a_dead_letter_of_the_largest_event_fits(tmp_path: Path) -> None:
    """The dead-letter topic takes the largest event of the input topic plus its headers."""
    topics = created(tmp_path)
    source, _, dead = (topics[name] for name in pipeline_topics())
    largest_event = int(source.config.get("max.message.bytes", KAFKA_MAX_MESSAGE))
    assert int(dead.config["max.message.bytes"]) == largest_event + DEAD_LETTER_HEADERS


def test_the_topics_come_from_the_same_kafka_as_the_broker(services: Document) -> None:
    """The creator runs the broker's own version of Kafka's tools, pinned to a full version."""
    image = services["kafka"]["image"]
    assert services["topics"]["image"] == image
    assert image.count(".") == 2


def test_everyone_inside_uses_the_inside_listener(services: Document) -> None:
    """Worker, loader, creator and health check connect to the address that the broker advertises inside."""
    inside = _reachable_inside(services)
    assert services["worker"]["environment"]["KAFKA_BOOTSTRAP_SERVERS"] == inside
    assert inside in services["loader"]["command"]
    assert inside in services["topics"]["command"][0]
    assert inside in services["kafka"]["healthcheck"]["test"]


def test_every_listener_is_advertised_and_has_a_protocol(services: Document) -> None:
    """Clients' listeners are all advertised, and each listener's protocol is given."""
    broker = services["kafka"]["environment"]
    listeners = {entry.split("://")[0] for entry in broker["KAFKA_LISTENERS"].split(",")}
    advertised = {entry.split("://")[0] for entry in broker["KAFKA_ADVERTISED_LISTENERS"].split(",")}
    protocols = {entry.split(":")[0] for entry in broker["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")}
    assert listeners == protocols == advertised | {broker["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    assert broker["KAFKA_INTER_BROKER_LISTENER_NAME"] in advertised


def test_the_host_reaches_the_broker_where_it_is_advertised(services: Document) -> None:
    """The published port is the one advertised for the host, and bound to this machine only."""
    assert "HOST://localhost:9092" in services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert services["kafka"]["ports"] == ["127.0.0.1:9092:9092"]


def test_a_worker_may_finish_its_shutdown(services: Document) -> None:
    """The engine's grace period is longer than the worker's own shutdown time-out."""
    seconds = int(services["worker"]["stop_grace_period"].removesuffix("s"))
    assert seconds > shutdown_timeout()


def test_a_worker_has_one_core_and_comes_back(services: Document) -> None:
    """A worker gets the one core that its one thread can use, and is started again when it ends."""
    assert services["worker"]["cpus"] == 1
    assert services["worker"]["restart"] == "unless-stopped"


def test_one_shot_services_are_not_started_again(services: Document) -> None:
    """Creator and loader end once they are done."""
    assert [services[name]["restart"] for name in ("topics", "loader")] == ["no", "no"]


def test_the_worker_runs_the_pipeline_of_the_example(services: Document) -> None:
    """The pipeline file that the worker is told to run is the example's."""
    run, path = services["worker"]["command"]
    assert run == "run"
    assert _mounted(services["worker"], path) == EXAMPLE / "pipeline.yaml"


def test_the_loader_sends_the_events_of_the_example(services: Document) -> None:
    """The loader's script and events exist, and it sends to the pipeline's input topic."""
    loader = services["loader"]
    options = dict(zip(loader["command"][::2], loader["command"][1::2], strict=True))
    assert _mounted(loader, loader["entrypoint"][1]).is_file()
    assert _mounted(loader, options["--events"]).is_file()
    assert options["--topic"] == pipeline_topics()[0]


def test_worker_and_loader_share_one_image(services: Document) -> None:
    """The loader runs in the image that the worker's service builds from deploy/Dockerfile, and never pulls it."""
    build = services["worker"]["build"]
    assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    assert services["loader"]["image"] == services["worker"]["image"]
    assert services["loader"]["pull_policy"] == "never"
