"""librdkafka settings: which client each belongs to, which the worker owns, and what its defaults are.

Names from librdkafka's CONFIGURATION.md (https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md).
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from consumer.operate.memory import SMALLEST, Buffers
from consumer.pipeline.findings import Finding, nearest, no_such_value
from consumer.pipeline.spec import Pipeline

# The longest that the checkpoint of a full pipe may take, in seconds, by which time-outs are measured.
CHECKPOINT_LIMIT: Final = 10.0
# librdkafka takes no more; a topic may.
_MOST_MESSAGE_BYTES: Final = 1_000_000_000
_BATCHES_IN_TRANSACTION: Final = 4
_TRANSACTION_SECONDS: Final = 10
_LEAST_POLL_INTERVAL: Final = 60.0

OWNED: Final[Mapping[str, str]] = {
    "group.id": "it is the pipeline's `name`",
    "group.instance.id": "all workers read one file, and members with one id would fence each other",
    "enable.auto.commit": "offsets are committed at checkpoints, with their outputs",
    "enable.auto.offset.store": "offsets are committed at checkpoints, with their outputs",
    "auto.commit.interval.ms": "offsets are committed at checkpoints: set `checkpoint`",
    "auto.offset.reset": "a reset would skip or repeat events silently: set `input.start`",
    "enable.partition.eof": "the worker has no use for it",
    "isolation.level": "under read_uncommitted a handover would repeat events",
    "partition.assignment.strategy": "lanes that stay must not stop: cooperative-sticky, or group.protocol: consumer",
    "max.poll.interval.ms": "it is derived from `batch.time`",
    "transactional.id": "it is made of `name` and the instance",
    "enable.idempotence": "a retry must neither double nor reorder records",
    "acks": "a checkpoint must outlive the loss of a broker: all",
    "request.required.acks": "a checkpoint must outlive the loss of a broker: all",
    "delivery.report.only.error": "each failure is looked at, and successes cost time",
    "partitioner": "keys must go where other clients look for them: murmur2_random",
    "batch.size": "it is kept below what the output topic takes",
    "message.max.bytes": "it is read from the topics",
}

_CONSUMER: Final = frozenset(
    {
        "check.crcs",
        "consume.callback.max.messages",
        "coordinator.query.interval.ms",
        "fetch.error.backoff.ms",
        "fetch.max.bytes",
        "fetch.message.max.bytes",
        "fetch.min.bytes",
        "fetch.queue.backoff.ms",
        "fetch.wait.max.ms",
        "group.protocol",
        "group.remote.assignor",
        "heartbeat.interval.ms",
        "max.partition.fetch.bytes",
        "queued.max.messages.kbytes",
        "queued.min.messages",
        "session.timeout.ms",
    }
)
_PRODUCER: Final = frozenset(
    {
        "batch.num.messages",
        "compression.codec",
        "compression.level",
        "compression.type",
        "delivery.timeout.ms",
        "linger.ms",
        "message.send.max.retries",
        "message.timeout.ms",
        "queue.buffering.backpressure.threshold",
        "queue.buffering.max.kbytes",
        "queue.buffering.max.messages",
        "queue.buffering.max.ms",
        "request.timeout.ms",
        "retries",
        "sticky.partitioning.linger.ms",
        "transaction.timeout.ms",
        "max.in.flight",
        "max.in.flight.requests.per.connection",
    }
)
# Of both kinds of client; anything else is refused as unknown, since librdkafka only warns of a setting in the
# wrong place.
_BOTH: Final = frozenset(
    {
        "allow.auto.create.topics",
        "api.version.request.timeout.ms",
        "bootstrap.servers",
        "broker.address.family",
        "broker.address.ttl",
        "client.dns.lookup",
        "client.id",
        "client.rack",
        "connections.max.idle.ms",
        "debug",
        "enable.metrics.push",
        "enable.sasl.oauthbearer.unsecure.jwt",
        "enable.ssl.certificate.verification",
        "https.ca.location",
        "https.ca.pem",
        "log.connection.close",
        "log_level",
        "message.copy.max.bytes",
        "metadata.max.age.ms",
        "metadata.recovery.rebootstrap.trigger.ms",
        "metadata.recovery.strategy",
        "plugin.library.paths",
        "receive.message.max.bytes",
        "reconnect.backoff.max.ms",
        "reconnect.backoff.ms",
        "retry.backoff.max.ms",
        "retry.backoff.ms",
        "security.protocol",
        "socket.connection.setup.timeout.ms",
        "socket.keepalive.enable",
        "socket.max.fails",
        "socket.nagle.disable",
        "socket.receive.buffer.bytes",
        "socket.send.buffer.bytes",
        "socket.timeout.ms",
        "statistics.interval.ms",
        "topic.metadata.propagation.max.ms",
        "topic.metadata.refresh.fast.interval.ms",
        "topic.metadata.refresh.interval.ms",
        "topic.metadata.refresh.sparse",
    }
)
_PROTOCOLS: Final = ("classic", "consumer")
# Those of a consumer that make sense in a group alone.
_MEMBERSHIP: Final = frozenset(
    {
        "group.protocol",
        "group.remote.assignor",
        "heartbeat.interval.ms",
        "max.poll.interval.ms",
        "partition.assignment.strategy",
        "session.timeout.ms",
    }
)
_FAMILIES: Final = ("sasl.", "ssl.")


class ClientSettings(msgspec.Struct, frozen=True):
    """The settings of each client that a worker opens."""

    consumer: dict[str, Any]
    producer: dict[str, Any]
    admin: dict[str, Any]


def refused_settings(spec: Pipeline) -> list[Finding]:
    """Find settings that the worker owns, that nobody knows, or that contradict the pipeline's times."""
    findings = []
    for name in spec.kafka:
        if name in OWNED:
            findings.append(Finding(("kafka", name), f"the worker owns this setting: {OWNED[name]}"))
        elif not _known(name):
            findings.append(
                Finding(
                    ("kafka", name),
                    "not a setting of librdkafka that applies here",
                    nearest(name, _BOTH | _CONSUMER | _PRODUCER),
                )
            )
    if not str(spec.kafka.get("bootstrap.servers", "")).strip():
        findings.append(Finding(("kafka",), "`bootstrap.servers` is missing", "host:port[,host:port]"))
    protocol = spec.kafka.get("group.protocol", "classic")
    if protocol not in _PROTOCOLS:
        findings.append(no_such_value(("kafka", "group.protocol"), protocol, _PROTOCOLS))
    if protocol == "consumer":
        findings += [
            Finding(("kafka", name), "the broker decides this in a KIP-848 group", "leave it out")
            for name in ("session.timeout.ms", "heartbeat.interval.ms")
            if name in spec.kafka
        ]
    chosen = spec.kafka.get("transaction.timeout.ms")
    least = _least_transaction(spec)
    if chosen is not None and (not str(chosen).isdecimal() or int(chosen) < least):
        findings.append(
            Finding(
                ("kafka", "transaction.timeout.ms"),
                f"{chosen!r} is less than a transaction may take",
                f"at least {least}: 4 x batch.time + checkpoint",
            )
        )
    return findings


def client_settings(spec: Pipeline, instance: str, limits: tuple[int, int] | None) -> ClientSettings:
    """Route the file's settings to the clients and add the worker's own.

    Args:
        spec: the pipeline; its settings have been checked with ``refused_settings``.
        instance: tells workers of one group apart; the same name after a restart takes over at once.
        limits: the output topic's and the dead-letter topic's max.message.bytes; None where they are not known.
    """
    given = spec.kafka
    # By which a broker's logs and metrics, and whoever lists the group's members, tell workers apart.
    named = {"client.id": f"{spec.name}-{instance}"}
    return ClientSettings(
        consumer=named | _consumer_defaults(spec) | _part(given, _CONSUMER) | _consumer_owned(spec),
        producer=named | _producer_defaults(spec) | _part(given, _PRODUCER) | _producer_owned(spec, instance, limits),
        admin=named | _part(given, frozenset()),
    )


def outside_a_group(consumer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a consumer's settings for one that joins no group."""
    return {name: value for name, value in consumer.items() if name not in _MEMBERSHIP}


def buffers(settings: ClientSettings, brokers: int) -> Buffers:
    """Return what the clients may hold.

    Args:
        settings: of the clients.
        brokers: how many there are; each may have one answer to a fetch on its way.
    """
    consumer, producer = settings.consumer, settings.producer
    # A fetch begins below either limit, and may bring so much more (librdkafka's queued.max.messages.kbytes).
    fetched = brokers * int(consumer["fetch.max.bytes"])
    return Buffers(
        consumer=1024 * int(consumer["queued.max.messages.kbytes"]) + fetched,
        events=int(consumer["queued.min.messages"]) + fetched // SMALLEST,
        producer=1024 * int(producer["queue.buffering.max.kbytes"]),
        records=int(producer["queue.buffering.max.messages"]),
    )


def fetched_ahead(settings: ClientSettings, event_bytes: float) -> float:
    """Return how many events the consumer has at hand where there is a backlog.

    It fetches while it has less than either limit, and the last answer to a fetch goes beyond.

    Args:
        settings: of the clients.
        event_bytes: of an event, on average.
    """
    consumer = settings.consumer
    most_bytes = 1024 * int(consumer["queued.max.messages.kbytes"])
    below = min(int(consumer["queued.min.messages"]), most_bytes / event_bytes)
    return below + int(consumer["fetch.max.bytes"]) / event_bytes


def _least_transaction(spec: Pipeline) -> int:
    """Return the milliseconds that a transaction must have: for the batches in it, and the pause before its end."""
    return round(1000 * (_BATCHES_IN_TRANSACTION * spec.batch.time + spec.checkpoint))


def _known(name: str) -> bool:
    return name in _BOTH | _CONSUMER | _PRODUCER or name.startswith(_FAMILIES)


def _part(given: Mapping[str, Any], own: frozenset[str]) -> dict[str, Any]:
    both = {name: value for name, value in given.items() if name in _BOTH or name.startswith(_FAMILIES)}
    return both | {name: value for name, value in given.items() if name in own}


def _consumer_defaults(spec: Pipeline) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        # librdkafka's 64 MiB, and 50 MiB from each broker, would be the worker's memory.
        "queued.max.messages.kbytes": 8 * 1024,
        "queued.min.messages": 100_000,
        "fetch.max.bytes": 4 * 1024 * 1024,
        # By default it looks a second later whether a full queue has room again, and runs dry meanwhile.
        "fetch.queue.backoff.ms": 20,
    }
    if spec.kafka.get("group.protocol") != "consumer":
        # A dead worker's partitions are taken over after this; the broker's least is 6 s unless configured.
        defaults["session.timeout.ms"] = 10_000
    return defaults


def _consumer_owned(spec: Pipeline) -> dict[str, Any]:
    # KIP-848 expels a member that delays a revocation past this, and all its lanes with it.
    interval = max(_LEAST_POLL_INTERVAL, 3 * (spec.batch.time + CHECKPOINT_LIMIT))
    owned: dict[str, Any] = {
        "group.id": spec.name,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "enable.partition.eof": False,
        "max.poll.interval.ms": round(1000 * interval),
    }
    if spec.kafka.get("group.protocol") != "consumer":
        owned["partition.assignment.strategy"] = "cooperative-sticky"
    return owned


def _producer_defaults(spec: Pipeline) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        # librdkafka's 1 GiB would be the worker's memory when the brokers are slow.
        "queue.buffering.max.kbytes": 64 * 1024,
        "queue.buffering.max.messages": 100_000,
    }
    if spec.delivery == "exactly_once":
        # How long a read_committed reader waits for a worker that was killed with a transaction open.
        defaults["transaction.timeout.ms"] = max(1000 * _TRANSACTION_SECONDS, _least_transaction(spec))
    return defaults


def _producer_owned(spec: Pipeline, instance: str, limits: tuple[int, int] | None) -> dict[str, Any]:
    owned: dict[str, Any] = {
        "enable.idempotence": True,
        "delivery.report.only.error": True,
        "partitioner": "murmur2_random",
    }
    if limits is not None:
        # A broker refuses a whole batch for its size, so batches stay below the smaller limit; single records are
        # measured before they are sent, each against its own topic.
        owned["message.max.bytes"] = min(max(limits), _MOST_MESSAGE_BYTES)
        owned["batch.size"] = min(1_000_000, *limits)
    if spec.delivery == "exactly_once":
        owned["transactional.id"] = f"{spec.name}-{instance}"
    return owned
