"""From a pipeline to a broker that is ready to join: checks, settings, group, outlet."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import confluent_kafka
import msgspec

from consumer.exits import PipelineError
from consumer.kafka.aside import StuckError, once
from consumer.kafka.broker import KafkaBroker
from consumer.kafka.checks import Topics, ask_limits, check_topics, open_partitions
from consumer.kafka.delivery import AtLeastOnce, ExactlyOnce
from consumer.kafka.errors import Patience, reason
from consumer.kafka.group import Group
from consumer.kafka.outlet import Outlet, Outputs
from consumer.kafka.settings import ClientSettings, buffers, client_settings
from consumer.operate.logs import client_log
from consumer.operate.memory import Buffers
from consumer.operate.pulse import Pulse, Wait
from consumer.pipeline.spec import Pipeline


class Connection(msgspec.Struct, frozen=True):
    """A broker with what the start line says of it."""

    broker: KafkaBroker
    topics: Topics
    buffers: Buffers
    versions: dict[str, str]


def connect(
    spec: Pipeline, instance: str, provenance: tuple[str, str], pulse: Pulse, stopping: Callable[[], bool]
) -> Connection:
    """Check the topics and open the clients.

    Args:
        spec: the pipeline; its settings have been checked.
        instance: tells workers of one group apart.
        provenance: model and pipeline, as dead letters carry them.
        pulse: knows when the worker is in a call to a broker.
        stopping: whether to give up waiting for a broker.

    Raises:
        PipelineError: librdkafka does not take a setting's value.
        FatalBrokerError: no broker, or no transactions.
        RefusedError: the topics won't do.
    """
    try:
        settings = _logged(client_settings(spec, instance, None))
        topics = check_topics(spec, settings.admin, stopping)
        group = Group(settings.consumer, spec.input.topic, spec.input.start, Patience(pulse))
        outlets = Outlets(spec, instance, provenance, topics, pulse)
        broker: KafkaBroker
        if spec.delivery == "exactly_once":
            timeout = int(settings.producer["transaction.timeout.ms"]) / 1000
            broker = ExactlyOnce(
                group, outlets, pulse, timeout=timeout, find_open=partial(open_partitions, settings.admin)
            )
        else:
            broker = AtLeastOnce(group, outlets, pulse)
    except confluent_kafka.KafkaException as error:
        raise PipelineError(f"kafka: librdkafka refuses a setting: {reason(error).str()}") from error
    versions: dict[str, str] = {
        "confluent_kafka": str(confluent_kafka.__version__),
        "librdkafka": str(confluent_kafka.libversion()[0]),
    }
    return Connection(broker, topics, buffers(settings, topics.brokers), versions)


class Outlets:
    """Makes outlets; a later one with the limits that the topics have by then.

    Args:
        spec: the pipeline.
        instance: tells workers of one group apart.
        provenance: model and pipeline, as dead letters carry them.
        topics: as they are at the start.
        wait: is told of waits for the brokers.
    """

    def __init__(
        self, spec: Pipeline, instance: str, provenance: tuple[str, str], topics: Topics, wait: Wait
    ) -> None:
        self._spec = spec
        self._instance = instance
        self._provenance = provenance
        self._limits = topics.limits
        self._partitions = dict(topics.partitions)
        self._wait = wait
        self._made = False

    def __call__(self, careful: bool) -> Outlet:  # noqa: FBT001 - a callback's argument
        """Make an outlet; a careful one finds out which record the broker refuses."""
        if self._made:
            self._ask_again()
        self._made = True
        spec, limits = self._spec, self._known_limits()
        model, pipeline = self._provenance
        outputs = Outputs(
            input=spec.input.topic,
            enriched=spec.output.topic,
            dead=spec.dead_letters.topic,
            model=model,
            pipeline=pipeline,
            limit=limits[0] if limits else None,
            partitions=self._partitions,
        )
        settings = _logged(client_settings(spec, self._instance, limits))
        return Outlet(settings.producer, outputs, self._wait, careful=careful)

    def _known_limits(self) -> tuple[int, int] | None:
        limits = self._limits
        return (limits[self._spec.output.topic], limits[self._spec.dead_letters.topic]) if limits else None

    def _ask_again(self) -> None:
        """Learn of limits that were changed meanwhile: what is too large by now would be refused for ever."""
        if self._limits:
            admin = _logged(client_settings(self._spec, self._instance, None)).admin
            outputs = [self._spec.output.topic, self._spec.dead_letters.topic]  # the input may be gone
            with suppress(StuckError):  # against brokers that stand still
                self._limits |= once(lambda: ask_limits(admin, outputs))


def _logged(settings: ClientSettings) -> ClientSettings:
    log: dict[str, Any] = {"logger": client_log()}
    return ClientSettings(settings.consumer | log, settings.producer | log, settings.admin | log)
