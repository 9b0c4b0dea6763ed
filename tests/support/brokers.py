"""What tests ask of brokers, one or several: topics, their settings, and Kafka's own programs."""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping

from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from tests.support.jars import QUICK_START, java
from tests.support.topics import REQUEST_TIMEOUT, admin_client, wait_until

Setting = str | int | float | bool

TOOL_TIMEOUT = 120.0


class Brokers(ABC):
    """One broker, or a cluster of them, as its clients see it."""

    # How many copies of each partition there are.
    replication = 1

    @property
    @abstractmethod
    def bootstrap(self) -> str:
        """The addresses for clients, `host:port` with commas between."""

    def create_topic(self, name: str, partitions: int = 6, **config: Setting) -> None:
        """Make a topic and wait till clients can use it; `config` as in `cleanup_policy="compact"`."""
        topic = NewTopic(name, num_partitions=partitions, replication_factor=self.replication, config=_dotted(config))
        with admin_client(self.bootstrap) as admin:
            admin.create_topics([topic], request_timeout=REQUEST_TIMEOUT)[name].result()
            wait_until(
                lambda: _led_partitions(admin, name) == partitions,
                REQUEST_TIMEOUT,
                f"topic '{name}' has no {partitions} partitions with a leader",
            )

    def set_topic_config(self, name: str, **config: Setting) -> None:
        """Change settings of a topic, as in `max_message_bytes=2000`, and wait till the broker tells them."""
        wanted = _dotted(config)
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in wanted.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        with admin_client(self.bootstrap) as admin:
            answers = admin.incremental_alter_configs([resource], request_timeout=REQUEST_TIMEOUT)
            answers[resource].result()
            wait_until(
                lambda: wanted.items() <= _topic_config(admin, name).items(),
                REQUEST_TIMEOUT,
                f"topic '{name}' has not taken {wanted}",
            )

    def delete_topic(self, name: str) -> None:
        """Delete a topic and wait till it is gone."""
        with admin_client(self.bootstrap) as admin:
            admin.delete_topics([name], request_timeout=REQUEST_TIMEOUT)[name].result()
            wait_until(
                lambda: name not in admin.list_topics(timeout=REQUEST_TIMEOUT).topics,
                REQUEST_TIMEOUT,
                f"topic '{name}' is still there",
            )

    def tool(self, class_name: str, *args: str) -> subprocess.CompletedProcess[str]:
        """Run one of Kafka's own programs and return what it did, whatever its exit status.

        A name without a package means one of `org.apache.kafka.tools`, as in
        `tool("GetOffsetShell", "--bootstrap-server", broker.bootstrap)`.
        """
        return run_tool(class_name, *args)


def run_tool(class_name: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run one of Kafka's own programs; see Brokers.tool."""
    main = class_name if class_name.startswith(("kafka.", "org.")) else f"org.apache.kafka.tools.{class_name}"
    command = java(("-Xmx256m", *QUICK_START), main, *args)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=TOOL_TIMEOUT)


def text(value: Setting) -> str:
    """A setting as Kafka reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def all_led(admin: AdminClient) -> bool:
    """Whether there are brokers, and each partition that there is has a leader."""
    metadata = admin.list_topics(timeout=0.5)
    led = (partition.leader >= 0 for topic in metadata.topics.values() for partition in topic.partitions.values())
    return bool(metadata.brokers) and all(led)


def _led_partitions(admin: AdminClient, topic: str) -> int:
    """How many partitions of the topic have a leader."""
    metadata = admin.list_topics(topic, timeout=REQUEST_TIMEOUT).topics[topic]
    return sum(partition.leader >= 0 for partition in metadata.partitions.values())


def _topic_config(admin: AdminClient, topic: str) -> dict[str, str]:
    """The topic's settings as the broker tells them."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    answers = admin.describe_configs([resource], request_timeout=REQUEST_TIMEOUT)
    entries: dict[str, ConfigEntry] = answers[resource].result()
    return {key: str(entry.value) for key, entry in entries.items()}


def _dotted(config: Mapping[str, Setting]) -> dict[str, str]:
    """Settings of a topic under Kafka's names, which have dots and never underscores."""
    return {name.replace("_", "."): text(value) for name, value in config.items()}
