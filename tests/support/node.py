"""One process of Kafka, broker and controller in one: started, killed, frozen, and told apart by its folder."""

import base64
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.brokers import Setting, run_tool, text
from tests.support.jars import java
from tests.support.processes import killed_with_parent

START_TIMEOUT = 90.0
STOP_TIMEOUT = 15.0

SETTINGS: Mapping[str, Setting] = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": False,  # a wrong topic name must fail, not make a topic
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


def new_cluster_id() -> str:
    """An id as Kafka makes them."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


class Node:
    """A process of Kafka with a folder of its own, which the end of the with statement takes away.

    The process is killed with the thread that started it, so that no broker outlives killed tests: start
    it from the main thread, or from one that lives as long as the broker is needed.

    Args:
        cluster: the id of the cluster that it is part of.
        settings: all that it does not share with every other node, on top of SETTINGS.
        jvm: flags of the Java machine.
    """

    def __init__(self, cluster: str, settings: Mapping[str, Setting], jvm: Sequence[str]) -> None:
        self._cluster = cluster
        self._own = dict(settings)
        self._jvm = jvm
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="onelane-kafka-"))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._folder = None

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        return self.running().pid

    @property
    def up(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def folder(self) -> Path:
        """Where the broker keeps its settings, its data (`data/`) and its log (`broker.log`)."""
        if self._folder is None:
            raise BrokerError("the broker is not started: use it in a with statement")
        return self._folder

    def format(self) -> None:
        """Write the settings and format the storage."""
        file = self.folder / "server.properties"
        settings = {**SETTINGS, "log.dirs": str(self.folder / "data"), **self._own}
        file.write_text("".join(f"{name}={text(value)}\n" for name, value in settings.items()))
        done = run_tool("kafka.tools.StorageTool", "format", f"--cluster-id={self._cluster}", f"--config={file}")
        if done.returncode != 0:
            raise BrokerError(f"the broker's storage could not be formatted:\n{done.stdout}{done.stderr}")

    def launch(self) -> None:
        """Start the process; it serves clients some seconds later."""
        command = [
            *killed_with_parent(),
            *java(self._jvm, "kafka.Kafka", str(self.folder / "server.properties")),
        ]
        with (self.folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the broker in order
            )

    def freeze(self) -> None:
        """Stop the process in its tracks (SIGSTOP): connections stay open, nothing answers."""
        self.running().send_signal(signal.SIGSTOP)
        # The signal takes effect a little later; WNOWAIT leaves an exit status for whoever waits for it.
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let a frozen broker go on (SIGCONT)."""
        self.running().send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process at once (SIGKILL); what it wrote stays on disk."""
        process = self.running()
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End the process if it runs, in order if it lets us."""
        process = self._process
        if process is None or not self.up:
            return
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)  # a frozen process sees no SIGTERM
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait(self) -> int:
        """Wait for the process to end by itself or from outside; its exit status."""
        return self.running().wait()

    def log_tail(self, lines: int = 30) -> str:
        """The last lines that the broker printed."""
        log = self.folder / "broker.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def running(self) -> subprocess.Popen[bytes]:
        """The process, if it runs: the id of one that has ended may belong to a stranger by now."""
        if self._process is None:
            raise BrokerError("the broker is not started: use it in a with statement")
        status = self._process.poll()
        if status is not None:
            raise BrokerError(f"the broker ended with status {status}:\n{self.log_tail()}")
        return self._process
