"""A real Apache Kafka broker of its own for tests and for people.

`python -m tests.support.kafka` runs one in the foreground until Ctrl-C.
"""

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.brokers import Brokers, Setting, all_led
from tests.support.jars import QUICK_START, JarsError
from tests.support.node import START_TIMEOUT, BrokerError, Node, new_cluster_id
from tests.support.processes import HOST, free_port
from tests.support.topics import admin_client, wait_until

__all__ = ["HOST", "QUICK", "STEADY", "BrokerError", "KafkaBroker", "Setting"]

# Up in 1.5 s for 1.8 s of processor time, instead of 1.9 s for 2.9 s; slower once warm.
QUICK = ("-Xmx1g", *QUICK_START)
# For a broker that runs long or is measured.
STEADY = ("-Xmx1g", "-XX:-UsePerfData")

# One broker holds every replica there is.
_ALONE: Mapping[str, Setting] = {
    "node.id": 1,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
}


class KafkaBroker(Node, Brokers):
    """A broker in a process, a folder and on ports of its own; a context manager.

    Args:
        port: the port of its clients; 0 for a free one.
        settings: broker settings on top of those that all tests share.
        jvm: flags of the Java machine.
        behind: the port of a proxy, where there is one: it leads to `proxied`, and who comes that way is told to
            come that way again. `bootstrap` goes around it.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        settings: Mapping[str, Setting] | None = None,
        jvm: Sequence[str] = QUICK,
        behind: int | None = None,
    ) -> None:
        self._address = f"{HOST}:{port or free_port()}"
        self.proxied = f"{HOST}:{free_port()}"
        controller = f"{HOST}:{free_port()}"
        listeners = {"PLAINTEXT": self._address, "CONTROLLER": controller}
        advertised = {"PLAINTEXT": self._address}
        if behind is not None:
            listeners["PROXIED"] = self.proxied
            advertised["PROXIED"] = f"{HOST}:{behind}"
        self._id = new_cluster_id()
        addresses: dict[str, Setting] = {
            "listeners": listed(listeners),
            "advertised.listeners": listed(advertised),
            "controller.quorum.voters": f"1@{controller}",
        }
        super().__init__(self._id, {**_ALONE, **addresses, **(settings or {})}, jvm)

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.format()
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    @property
    def bootstrap(self) -> str:
        """The broker's address for clients, `host:port`."""
        return self._address

    def restart(self) -> None:
        """Stop the broker if it runs, and start it with the same ports and data."""
        self.stop()
        self._start()

    def _start(self) -> None:
        """Start the process and wait till it serves clients and leads every partition it has."""
        self.launch()
        with admin_client(self._address) as admin:
            try:
                wait_until(lambda: self._is_ready(admin), START_TIMEOUT, "the broker did not come up")
            except TimeoutError as error:
                raise BrokerError(f"{error}:\n{self.log_tail()}") from error

    def _is_ready(self, admin: AdminClient) -> bool:
        """Whether clients can work; raises BrokerError if the process is dead."""
        self.running()
        try:
            # Where the port is taken by another broker, that one answers while ours is about to die.
            return admin.cluster_id(timeout=0.5) == self._id and all_led(admin)
        except KafkaException:
            return False


def listed(listeners: Mapping[str, str]) -> str:
    """Listeners as Kafka's settings have them."""
    return ",".join(f"{name}://{address}" for name, address in listeners.items())


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
