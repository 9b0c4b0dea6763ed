"""A real Apache Kafka broker of its own for tests and for people.

`python -m tests.support.kafka` runs one in the foreground until Ctrl-C.
"""

import argparse
import base64
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from tests.support.jars import JarsError, kafka_jars, program
from tests.support.topics import REQUEST_TIMEOUT, admin_client, wait_until

Setting = str | int | float | bool

HOST = "127.0.0.1"
START_TIMEOUT = 90.0
STOP_TIMEOUT = 15.0
TOOL_TIMEOUT = 120.0

# Up in 1.5 s for 1.8 s of processor time, instead of 1.9 s for 2.9 s; slower once warm.
QUICK_START = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
# For a broker that runs long or is measured.
STEADY = ("-Xmx1g", "-XX:-UsePerfData")

# At the default level the cause of a failed start drowns in settings and the order of shutting down.
LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.coordinator.group=info",  # who joins, leaves, is missed
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.coordinator.transaction=info",  # who is fenced, timed out
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)

SETTINGS: Mapping[str, Setting] = {
    "node.id": 1,
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": False,  # a wrong topic name must fail, not make a topic
    # One broker holds every replica there is.
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    # Few partitions to make at the first commit, and to load at a restart.
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    # Members come, go and are missed fast.
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "group.consumer.session.timeout.ms": 5000,
    "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.heartbeat.interval.ms": 500,
    "group.consumer.min.heartbeat.interval.ms": 100,
    "group.consumer.assignment.interval.ms": 0,  # 4.4 otherwise waits up to a second between assignments
    # A transaction whose time is over is aborted within half a second of it.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
    # A broker that was killed may register again only when the session of its former life is over (9 s).
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    # The default is 128 MB, taken at start.
    "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
}


class BrokerError(RuntimeError):
    """The broker, or a tool of it, failed; the message ends with its last words."""


class KafkaBroker:
    """A broker in a process, a folder and on ports of its own; a context manager.

    The process is killed with the thread that started it, so that no broker outlives killed tests: start
    it from the main thread, or from one that lives as long as the broker is needed.

    Args:
        port: the port of its clients; 0 for a free one.
        settings: broker settings on top of SETTINGS.
        jvm: flags of the Java machine.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        settings: Mapping[str, Setting] | None = None,
        jvm: Sequence[str] = QUICK_START,
    ) -> None:
        self._port = port
        self._extra = dict(settings or {})
        self._jvm = jvm
        self._address = ""
        self._cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="onelane-kafka-"))
        try:
            self._format()
            self._start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    @property
    def bootstrap(self) -> str:
        """The broker's address for clients, `host:port`."""
        return self._address

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        return self._running().pid

    @property
    def folder(self) -> Path:
        """Where the broker keeps its settings, its data (`data/`) and its log (`broker.log`)."""
        if self._folder is None:
            raise BrokerError("the broker is not started: use it in a with statement")
        return self._folder

    def create_topic(self, name: str, partitions: int = 6, **config: Setting) -> None:
        """Make a topic and wait till clients can use it; `config` as in `cleanup_policy="compact"`."""
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=_dotted(config))
        with admin_client(self._address) as admin:
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
        with admin_client(self._address) as admin:
            answers = admin.incremental_alter_configs([resource], request_timeout=REQUEST_TIMEOUT)
            answers[resource].result()
            wait_until(
                lambda: wanted.items() <= _topic_config(admin, name).items(),
                REQUEST_TIMEOUT,
                f"topic '{name}' has not taken {wanted}",
            )

    def delete_topic(self, name: str) -> None:
        """Delete a topic and wait till it is gone."""
        with admin_client(self._address) as admin:
            admin.delete_topics([name], request_timeout=REQUEST_TIMEOUT)[name].result()
            wait_until(
                lambda: name not in admin.list_topics(timeout=REQUEST_TIMEOUT).topics,
                REQUEST_TIMEOUT,
                f"topic '{name}' is still there",
            )

    def freeze(self) -> None:
        """Stop the process in its tracks (SIGSTOP): connections stay open, nothing answers."""
        self._running().send_signal(signal.SIGSTOP)
        # The signal takes effect a little later; WNOWAIT leaves an exit status for whoever waits for it.
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let a frozen broker go on (SIGCONT)."""
        self._running().send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the broker at once (SIGKILL); `restart()` brings it back with what was on disk."""
        process = self._running()
        process.kill()
        process.wait()

    def restart(self) -> None:
        """Stop the broker if it runs, and start it with the same ports and data."""
        self._stop()
        self._start()

    def wait(self) -> int:
        """Wait for the process to end by itself or from outside; its exit status."""
        return self._running().wait()

    def log_tail(self, lines: int = 30) -> str:
        """The last lines that the broker printed."""
        log = self.folder / "broker.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def tool(self, class_name: str, *args: str) -> subprocess.CompletedProcess[str]:
        """Run one of Kafka's own programs and return what it did, whatever its exit status.

        A name without a package means one of `org.apache.kafka.tools`, as in
        `tool("GetOffsetShell", "--bootstrap-server", broker.bootstrap)`.
        """
        main = class_name if class_name.startswith(("kafka.", "org.")) else f"org.apache.kafka.tools.{class_name}"
        command = _java(("-Xmx256m", *QUICK_START[1:]), main, *args)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=TOOL_TIMEOUT)

    def _format(self) -> None:
        """Choose the ports, write the settings and format the storage."""
        ports = [self._port or _free_port(), _free_port()]
        self._address = f"{HOST}:{ports[0]}"
        settings = {
            **SETTINGS,
            "listeners": f"PLAINTEXT://{self._address},CONTROLLER://{HOST}:{ports[1]}",
            "advertised.listeners": f"PLAINTEXT://{self._address}",
            "controller.quorum.voters": f"1@{HOST}:{ports[1]}",
            "log.dirs": str(self.folder / "data"),
            **self._extra,
        }
        lines = [f"{name}={_text(value)}\n" for name, value in settings.items()]
        self._settings_file.write_text("".join(lines))
        done = self.tool(
            "kafka.tools.StorageTool", "format", f"--cluster-id={self._cluster}", f"--config={self._settings_file}"
        )
        if done.returncode != 0:
            raise BrokerError(f"the broker's storage could not be formatted:\n{done.stdout}{done.stderr}")

    @property
    def _settings_file(self) -> Path:
        return self.folder / "server.properties"

    def _start(self) -> None:
        """Start the process and wait till it serves clients and leads every partition it has."""
        command = [
            *_killed_with_parent(),
            *_java(self._jvm, "kafka.Kafka", str(self._settings_file)),
        ]
        with (self.folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the broker in order
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        """Wait till clients can work; raises BrokerError with the broker's last words when they never can."""
        with admin_client(self._address) as admin:
            try:
                wait_until(lambda: self._is_ready(admin), START_TIMEOUT, "the broker did not come up")
            except TimeoutError as error:
                raise BrokerError(f"{error}:\n{self.log_tail()}") from error

    def _is_ready(self, admin: AdminClient) -> bool:
        """Whether clients can work; raises BrokerError if the process is dead."""
        self._running()
        try:
            metadata = admin.list_topics(timeout=0.5)
            # Where the port is taken by another broker, that one answers while ours is about to die.
            ours = admin.cluster_id(timeout=0.5) == self._cluster
        except KafkaException:
            return False
        led = (part.leader >= 0 for topic in metadata.topics.values() for part in topic.partitions.values())
        return ours and bool(metadata.brokers) and all(led)

    def _stop(self) -> None:
        """End the process that was started here, in order if it lets us."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)  # a frozen process sees no SIGTERM
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _close(self) -> None:
        """Stop the broker and remove what it left."""
        self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._folder = None

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, if it runs: the id of one that has ended may belong to a stranger by now."""
        if self._process is None:
            raise BrokerError("the broker is not started: use it in a with statement")
        status = self._process.poll()
        if status is not None:
            raise BrokerError(f"the broker ended with status {status}:\n{self.log_tail()}")
        return self._process


def _java(flags: Sequence[str], main: str, *args: str) -> list[str]:
    """The command that runs a class of Kafka's jars."""
    return [program("java"), *flags, *LOGGING, "-cp", f"{kafka_jars()}/*", main, *args]


def _killed_with_parent() -> list[str]:
    """A prefix with which the kernel kills the process when its parent dies; nothing where there is none."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _free_port() -> int:
    """A free port below the range from which the kernel gives ports to connections.

    Within that range, a client that keeps trying a broker which is down may be given the broker's own port
    and end up connected to itself, and the broker then can't start.
    """
    while True:
        port = 12_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


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
    return {name.replace("_", "."): _text(value) for name, value in config.items()}


def _text(value: Setting) -> str:
    """A setting as Kafka reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a broker in the foreground until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.kafka", description=main.__doc__)
    parser.add_argument(
        "--port", type=int, default=9092, help="the port of its clients (default 9092; 0: a free one)"
    )
    parser.add_argument("--topic", action="append", default=[], help="make this topic, with 6 partitions")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _serve(options.port, options.topic)
    except KeyboardInterrupt:
        return 0
    except (BrokerError, JarsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _serve(port: int, topics: Sequence[str]) -> NoReturn:
    """Run a broker until it ends, which it does by itself only when it fails."""
    with KafkaBroker(port=port, jvm=STEADY) as broker:
        for topic in topics:
            # Dead letters need room for their headers above Kafka's default limit.
            broker.create_topic(topic, **({"max_message_bytes": 1_114_124} if topic.endswith("-dead") else {}))
        sys.stdout.write(f"Kafka listens on {broker.bootstrap}; its data is in {broker.folder}; Ctrl-C stops it\n")
        sys.stdout.flush()
        broker.wait()
        raise BrokerError(f"the broker ended by itself:\n{broker.log_tail()}")


if __name__ == "__main__":
    sys.exit(main())
