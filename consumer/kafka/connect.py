"""From a pipeline to a broker that is ready to join: checks, settings, group, outlet."""

from collections.abc import Callable
from typing import Any

import confluent_kafka
import msgspec

from consumer.exits import PipelineError
from consumer.kafka.broker import AtLeastOnce, ExactlyOnce, KafkaBroker
from consumer.kafka.checks import Topics, check_topics
from consumer.kafka.errors import reason
from consumer.kafka.group import Group
from consumer.kafka.outlet import Outlet, Outputs
from consumer.kafka.settings import ClientSettings, client_settings
from consumer.operate.logs import client_log
from consumer.pipeline.spec import Pipeline


class Connection(msgspec.Struct, frozen=True):
    """A broker with what the start line says of it."""

    broker: KafkaBroker
    topics: Topics
    versions: dict[str, str]


def connect(spec: Pipeline, instance: str, provenance: tuple[str, str], stopping: Callable[[], bool]) -> Connection:
    """Check the topics and open the clients.

    Args:
        spec: the pipeline; its settings have been checked.
        instance: tells workers of one group apart.
        provenance: model and pipeline, as dead letters carry them.
        stopping: whether to give up waiting for a broker.

    Raises:
        PipelineError: librdkafka does not take a setting's value.
        FatalBrokerError: no broker, or no transactions.
        RefusedError: the topics won't do.
    """
    try:
        settings = _logged(client_settings(spec, instance, None))
        topics = check_topics(spec, settings.admin, stopping)
        limits = (topics.limits[spec.output.topic], topics.limits[spec.dead_letters.topic]) if topics.limits else None
        settings = _logged(client_settings(spec, instance, limits))
        broker = _open(spec, settings, provenance, limits)
    except confluent_kafka.KafkaException as error:
        raise PipelineError(f"kafka: librdkafka refuses a setting: {reason(error).str()}") from error
    versions: dict[str, str] = {
        "confluent_kafka": str(confluent_kafka.__version__),
        "librdkafka": str(confluent_kafka.libversion()[0]),
    }
    return Connection(broker, topics, versions)


def _open(
    spec: Pipeline, settings: ClientSettings, provenance: tuple[str, str], limits: tuple[int, int] | None
) -> KafkaBroker:
    model, pipeline = provenance
    outputs = Outputs(
        input=spec.input.topic,
        enriched=spec.output.topic,
        dead=spec.dead_letters.topic,
        model=model,
        pipeline=pipeline,
        limit=limits[0] if limits else None,
    )
    kind = ExactlyOnce if spec.delivery == "exactly_once" else AtLeastOnce
    group = Group(settings.consumer, spec.input.topic, spec.input.start)
    return kind(group, lambda careful: Outlet(settings.producer, outputs, careful=careful))


def _logged(settings: ClientSettings) -> ClientSettings:
    log: dict[str, Any] = {"logger": client_log()}
    return ClientSettings(settings.consumer | log, settings.producer | log, settings.admin | log)
