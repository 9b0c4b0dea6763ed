"""What must be true of the brokers and topics before a worker starts; each with what to do about it."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import structlog
from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata, ConfigResource, OffsetSpec, ResourceType

from consumer.deadletter.headers import ROOM
from consumer.exits import FatalBrokerError, RefusedError, StoppedError
from consumer.kafka.errors import explained, reason
from consumer.operate.logs import Seldom
from consumer.pipeline.spec import Pipeline

_log = structlog.get_logger()

# How long a worker that has never reached a broker tries, in seconds.
FIRST_CONTACT: Final = 30.0
_CALL: Final = 5.0
# Until somebody is told that nobody answers.
_FIRST_CALL: Final = 2.0
_LIMIT: Final = "max.message.bytes"
# librdkafka's in-process cluster, which never answers DescribeConfigs; `onelane demo` says what is left out there.
_EMBEDDED: Final = "mockCluster"


class Topics(msgspec.Struct, frozen=True):
    """What the brokers say of a pipeline's topics.

    Attributes:
        partitions: by topic.
        limits: max.message.bytes by topic; empty where the brokers can't say.
        brokers: how many there are.
    """

    partitions: dict[str, int]
    limits: dict[str, int]
    brokers: int


def check_topics(spec: Pipeline, settings: Mapping[str, Any], stopping: Callable[[], bool]) -> Topics:
    """Reach a broker and look at the three topics.

    Raises:
        FatalBrokerError: no broker answered within 30 seconds.
        StoppedError: a signal came while it waited.
        RefusedError: a topic is missing, or the dead-letter topic can't take what the input topic can.
    """
    names = [spec.input.topic, spec.output.topic, spec.dead_letters.topic]
    admin, cluster, partitions = _find(names, settings, stopping)
    embedded = str(cluster.cluster_id).startswith(_EMBEDDED)
    topics = Topics(partitions, {} if embedded else _limits(admin, names), max(1, len(cluster.brokers)))
    _check_limits(spec, topics)
    return topics


def find_topics(names: list[str], settings: Mapping[str, Any], stopping: Callable[[], bool]) -> dict[str, int]:
    """Reach a broker and return how many partitions topics have.

    Raises:
        FatalBrokerError: no broker answered within 30 seconds.
        StoppedError: a signal came while it waited.
        RefusedError: a topic is missing.
    """
    return _find(names, settings, stopping)[2]


def _find(
    names: list[str], settings: Mapping[str, Any], stopping: Callable[[], bool]
) -> tuple[AdminClient, ClusterMetadata, dict[str, int]]:
    last_words: list[str] = []
    admin = AdminClient(dict(settings) | {"error_cb": lambda error: last_words.append(explained(error))})
    cluster = _metadata(admin, str(settings.get("bootstrap.servers")), stopping, last_words)
    found = [cluster.topics[name] for name in names if name in cluster.topics]
    there = [topic for topic in found if topic.error is None and topic.partitions]
    partitions = {str(topic.topic): len(topic.partitions) for topic in there}
    missing = [name for name in names if name not in partitions]
    if missing:
        raise RefusedError(
            f"no topic {', '.join(missing)} on the brokers: create (kafka-topics.sh --create --topic {missing[0]}), "
            "or grant this client Describe on it"
        )
    return admin, cluster, partitions


def ask_limits(settings: Mapping[str, Any], names: list[str]) -> dict[str, int]:
    """Return max.message.bytes by topic as it is now; empty where the brokers don't tell."""
    return _limits(AdminClient(dict(settings)), names)


def open_partitions(settings: Mapping[str, Any], topics: Mapping[str, int], since: float) -> list[tuple[str, int]]:
    """Return the partitions in which a transaction is open whose first record is not older than a time.

    What is stable of such a partition ends before its end (KIP-98).

    Args:
        settings: of the admin client.
        topics: how many partitions each has.
        since: the time, in seconds since 1970.

    Raises:
        KafkaException: the brokers don't tell.
    """
    places = [TopicPartition(topic, partition) for topic, count in topics.items() for partition in range(count)]
    if not places:
        return []
    admin = AdminClient(dict(settings))

    def offsets(what: OffsetSpec, level: IsolationLevel) -> list[int]:
        answers = admin.list_offsets(dict.fromkeys(places, what), isolation_level=level, request_timeout=_CALL)
        return [answers[place].result().offset for place in places]

    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client's own
    then = OffsetSpec.for_timestamp(int(1000 * since))
    stable = offsets(latest, IsolationLevel.READ_COMMITTED)
    ends = offsets(latest, IsolationLevel.READ_UNCOMMITTED)
    begun = offsets(then, IsolationLevel.READ_UNCOMMITTED)  # less than 0 where nothing is as young
    found = zip(places, begun, stable, ends, strict=True)
    return [(place.topic, place.partition) for place, first, open_, end in found if 0 <= first <= open_ < end]


def _metadata(admin: AdminClient, where: str, stopping: Callable[[], bool], last_words: list[str]) -> ClusterMetadata:
    """Return what the brokers say of themselves and of all topics."""
    began = time.monotonic()
    deadline, seldom = began + FIRST_CONTACT, Seldom()
    while True:
        admin.poll(0)
        try:
            # All topics, since asking for one by name would make it where the brokers make topics by themselves.
            return admin.list_topics(timeout=_FIRST_CALL)
        except KafkaException as error:
            if seldom(where):
                left = round(deadline - time.monotonic())
                why = last_words[-1] if last_words else explained(reason(error))
                _log.warning("no broker answers yet", brokers=where, gives_up_after_seconds=left, error=why)
            if stopping():
                raise StoppedError("stopped before a broker was found") from None
            if time.monotonic() < deadline:
                continue
            words = last_words[-1] if last_words else explained(reason(error))
            raise FatalBrokerError(f"no broker at {where} within {FIRST_CONTACT:.0f} s: {words}") from None


def _limits(admin: AdminClient, names: list[str]) -> dict[str, int]:
    wanted = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    try:
        answers = admin.describe_configs(wanted, request_timeout=_CALL)
        limits = {str(resource.name): answer.result(2 * _CALL)[_LIMIT].value for resource, answer in answers.items()}
    except (KafkaException, TimeoutError) as error:
        _log.warning(
            "left out: whether the dead-letter topic takes messages as large as the input's; the brokers don't tell "
            f"{_LIMIT} of topics (DescribeConfigs)",
            error=str(error),
        )
        return {}
    return {name: int(str(limit)) for name, limit in limits.items()}


def _check_limits(spec: Pipeline, topics: Topics) -> None:
    if not topics.limits:
        return
    dead, event = topics.limits[spec.dead_letters.topic], topics.limits[spec.input.topic]
    command = f"kafka-configs.sh --alter --topic {spec.dead_letters.topic} --add-config {_LIMIT}={event + ROOM}"
    if dead < event:
        raise RefusedError(
            f"the dead-letter topic takes {dead} bytes ({_LIMIT}), the input topic {event}: a large event that can't "
            f"be enriched could not be kept. Mend it: {command}"
        )
    if dead < event + ROOM:
        _log.warning(
            "the dead-letter topic has little room for headers: the dead letter of an event near the limit would "
            "stop its partition",
            mend=command,
        )
