"""How long chaos lasts, and where it tells what was survived."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import KafkaCluster
from tests.support.faults import Fault
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.kafka import KafkaBroker
from tests.support.stream import Protocol, Stream
from tests.support.toxiproxy import FarBroker, Toxiproxy
from tests.support.work import Delivery, Work

# How often each fault comes in the long run; 0 for the short one, in which each test says itself what is enough.
ROUNDS = int(os.environ.get("ROUNDS", "0"))

# What a test may take in the long run, in seconds: its own mark is for the short one.
_LONG = 600 + 120 * ROUNDS


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Give tests of the long run the time that they need; a mark of theirs has more weight than `--timeout`."""
    here = Path(__file__).parent
    for item in items:
        if ROUNDS and item.path.is_relative_to(here):
            item.add_marker(pytest.mark.timeout(_LONG), append=False)


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers run at their own speed: to measure their lines is as much work again, and other tests do it."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture
def rounds() -> Callable[[int], int]:
    """How often a fault comes: `rounds(3)` is 3 in the short run, ROUNDS in the long one."""
    return lambda short: ROUNDS or short


@pytest.fixture
def seconds() -> Callable[[float, float], float]:
    """How long a fault lasts: `seconds(5, 60)` is 5 in the short run, 60 in the long one."""
    return lambda short, long: long if ROUNDS else short


@pytest.fixture
def survived(record_property: Callable[[str, object], None]) -> Callable[[Fault], None]:
    """Adds a line to the table of faults survived."""
    return lambda fault: record_property("fault", tuple(fault))


@pytest.fixture(scope="session")
def three_brokers() -> Iterator[KafkaCluster]:
    """A cluster for the whole session, started by the first test that asks for it.

    That test's worker is the first ever to ask for transactions, after which its producer has been seen to wait for
    ever for a broker that is killed: see rule 16 of DESIGN.md.
    """
    with KafkaCluster() as brokers:
        yield brokers


@pytest.fixture
def cluster(three_brokers: KafkaCluster) -> Iterator[KafkaCluster]:
    """Three brokers, all there at the beginning and at the end, whatever a test does to them."""
    yield three_brokers
    three_brokers.start()


@pytest.fixture(scope="session")
def far_broker() -> Iterator[FarBroker]:
    """A broker behind a proxy, for the whole session."""
    with Toxiproxy() as network, KafkaBroker(behind=network.port) as broker:
        network.lead_to(broker.proxied)
        yield FarBroker(network, broker)


@pytest.fixture
def far(far_broker: FarBroker) -> Iterator[FarBroker]:
    """A broker to which workers have a network between, whole at the beginning and at the end."""
    yield far_broker
    far_broker.network.heal()


@pytest.fixture
def open_far_stream(far: FarBroker, open_stream: OpenStream) -> OpenStream:
    """Makes streams whose workers go through the network, while tests go around it."""

    def make(changes: Mapping[str, object] | None = None, **options: Any) -> Stream:  # noqa: ANN401
        through = {"bootstrap.servers": far.network.address}
        return open_stream({**(changes or {}), "kafka": through}, brokers=far.broker, **options)

    return make


@pytest.fixture
def far_works(far: FarBroker, open_far_stream: OpenStream, start_worker: StartWorker) -> Iterator[Sequence[Work]]:
    """Workers of both deliveries and both protocols, at work through the network; all four pairs in the long run."""
    pairs: Sequence[tuple[Delivery, Protocol]] = (("exactly_once", "classic"), ("at_least_once", "consumer"))
    crossed: Sequence[tuple[Delivery, Protocol]] = (("exactly_once", "consumer"), ("at_least_once", "classic"))
    with ExitStack() as stack:
        works = []
        for delivery, protocol in (*pairs, *(crossed if ROUNDS else ())):
            name = f"{delivery}-{protocol}".replace("_", "-")
            stream = open_far_stream({"delivery": delivery}, protocol=protocol, name=name)
            works.append(Work(stream, start_worker(stream, name), protocol=protocol, delivery=delivery))
        for work in works:
            stack.enter_context(work)
        stack.callback(far.network.heal)
        yield works
