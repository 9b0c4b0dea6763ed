"""Three Kafka nodes as one cluster: each is broker and controller; of three copies, two must be in sync.

A node may be killed, restarted and missed; the controller and the leaders of partitions can be moved at will.
"""

import gc
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Self

import kafka
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, PartitionMetadata

from tests.support.brokers import Brokers, Setting
from tests.support.jars import QUICK_START
from tests.support.kafka import listed
from tests.support.node import START_TIMEOUT, BrokerError, Node, new_cluster_id
from tests.support.processes import HOST, free_port
from tests.support.topics import REQUEST_TIMEOUT, admin_client, wait_until

NODES = (1, 2, 3)
# What a partition's followers need to be in sync again, and what a choice of another controller may take.
SYNC_TIMEOUT = 60.0
PREFERRED = 0

_JVM = ("-Xmx400m", *QUICK_START)

_SETTINGS: Mapping[str, Setting] = {
    "min.insync.replicas": 2,
    "offsets.topic.replication.factor": len(NODES),
    "transaction.state.log.replication.factor": len(NODES),
    "transaction.state.log.min.isr": 2,
    # Leaders stay where a test puts them.
    "auto.leader.rebalance.enable": False,
}


class KafkaCluster(Brokers):
    """A cluster of three; a context manager."""

    replication = len(NODES)

    def __init__(self) -> None:
        self._addresses = {node: f"{HOST}:{free_port()}" for node in NODES}
        controllers = {node: f"{HOST}:{free_port()}" for node in NODES}
        voters = ",".join(f"{node}@{address}" for node, address in controllers.items())
        self._id = new_cluster_id()
        self._nodes = {
            node: Node(
                self._id,
                {
                    **_SETTINGS,
                    "node.id": node,
                    "listeners": listed({"PLAINTEXT": self._addresses[node], "CONTROLLER": controllers[node]}),
                    "advertised.listeners": listed({"PLAINTEXT": self._addresses[node]}),
                    "controller.quorum.voters": voters,
                },
                _JVM,
            )
            for node in NODES
        }
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for node in self._nodes.values():
                stack.enter_context(node)
            with ThreadPoolExecutor() as pool:
                list(pool.map(Node.format, self._nodes.values()))
            self.start()
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # At once and not in order: the last two would wait for each other, and nothing of it is kept.
        self.kill(*NODES)
        self._open.close()

    @property
    def bootstrap(self) -> str:
        """The addresses of all nodes."""
        return ",".join(self._addresses.values())

    def kill(self, *nodes: int) -> None:
        """End nodes at once (SIGKILL), as many of them as run."""
        for node in nodes:
            if self._nodes[node].up:
                self._nodes[node].kill()

    def start(self) -> None:
        """Start the nodes that do not run, and wait till the cluster is whole."""
        for node in self._nodes.values():
            if not node.up:
                node.launch()
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Wait till each node is there, and each copy of each partition in sync: another node may be missed then."""
        with admin_client(self.bootstrap) as admin:
            try:
                wait_until(partial(self._is_whole, admin), START_TIMEOUT, "the cluster does not become whole")
            except TimeoutError as error:
                words = "\n".join(node.log_tail() for node in self._nodes.values())
                raise BrokerError(f"{error}:\n{words}") from error

    def controller(self) -> int:
        """The node that is the active controller."""
        with self._admin() as admin:
            (topic,) = admin.describe_metadata_quorum()["topics"]
            return int(topic["partitions"][0]["leader_id"])

    def move_controller(self) -> tuple[int, int]:
        """Restart the active controller, so that another takes over; from where to where it went."""
        old = self.controller()
        self._nodes[old].stop()
        new = wait_until(lambda: self._other_controller(old), SYNC_TIMEOUT, f"no controller after node {old}")
        self.start()
        return old, new

    def leaders(self, topic: str) -> dict[int, int]:
        """The leader of each partition of a topic."""
        return {number: part.leader for number, part in self._partitions(topic).items()}

    @contextmanager
    def moving_leaders(self, *topics: str) -> Iterator[Callable[[], None]]:
        """Yield what makes another node the leader of each partition: the replica after it is put first, and elected.

        All topics at once, by clients that are kept: a move takes a fraction of a second.
        """
        with self._admin() as admin, admin_client(self.bootstrap) as watching:
            yield partial(_move_leaders, admin, watching, topics)

    def _other_controller(self, old: int) -> int:
        try:
            new = self.controller()
        except kafka.errors.KafkaError:
            return 0
        return new if new != old else 0

    def _is_whole(self, admin: AdminClient) -> bool:
        for node in self._nodes.values():
            node.running()
        try:
            metadata = admin.list_topics(timeout=0.5)
        except KafkaException:
            return False
        parts = [part for topic in metadata.topics.values() for part in topic.partitions.values()]
        return metadata.brokers.keys() == set(NODES) and all(
            part.leader >= 0 and len(part.isrs) == len(part.replicas) for part in parts
        )

    def _partitions(self, topic: str) -> Mapping[int, PartitionMetadata]:
        with admin_client(self.bootstrap) as admin:
            return admin.list_topics(topic, timeout=REQUEST_TIMEOUT).topics[topic].partitions

    @contextmanager
    def _admin(self) -> Iterator[kafka.KafkaAdminClient]:
        """The client that knows of reassignments and of the quorum; the other one does not."""
        up = [self._addresses[name] for name, node in self._nodes.items() if node.up]
        with warnings.catch_warnings():
            # It leaves its sockets to nodes that are away for the garbage collector to find.
            warnings.simplefilter("ignore", ResourceWarning)
            with kafka.KafkaAdminClient(bootstrap_servers=up) as admin:
                yield admin
            del admin
            gc.collect()


def _move_leaders(admin: kafka.KafkaAdminClient, watching: AdminClient, topics: Sequence[str]) -> None:
    known = watching.list_topics(timeout=REQUEST_TIMEOUT).topics
    wanted = {
        kafka.TopicPartition(topic, number): _after(part.leader, part.replicas)
        for topic in topics
        for number, part in known[topic].partitions.items()
    }
    refused = {part: error for part, error in admin.alter_partition_reassignments(wanted).items() if error}
    if refused:
        raise BrokerError(f"leaders can't be moved: {refused}")

    def moved() -> bool:
        # Again, for a replica that had not caught up; one that leads already is no error to it.
        with suppress(kafka.errors.PreferredLeaderNotAvailableError):
            admin.elect_leaders(PREFERRED, {topic: list(known[topic].partitions) for topic in topics})
        now = watching.list_topics(timeout=REQUEST_TIMEOUT).topics
        return all(now[part.topic].partitions[part.partition].leader == first for part, (first, *_) in wanted.items())

    wait_until(moved, SYNC_TIMEOUT, f"leaders of {topics} are not the first of {wanted}")


def _after(leader: int, replicas: Sequence[int]) -> list[int]:
    """The replicas in their order, from the one after the leader on."""
    place = replicas.index(leader) + 1
    return [*replicas[place:], *replicas[:place]]
