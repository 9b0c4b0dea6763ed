"""A permission that a worker needs is taken away while it works, and granted again later.

The worker says which one it lacks and on what, stays alive, tries again and again, loses nothing, and goes on by
itself.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice, pairwise
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from tests.support.fixtures import StartWorker
from tests.support.kafka import KafkaBroker, Setting
from tests.support.probing import wait_until_shown
from tests.support.scrape import ask, status
from tests.support.stream import Protocol, Stream, mixed
from tests.support.topics import REQUEST_TIMEOUT, admin_client, produce, wait_until
from tests.support.verify import verify, wait_until_caught_up
from tests.support.worker import Worker

REWOUND = "rewound to the last checkpoint"
# Returns to the checkpoint that are looked at; what one may take besides its pause on a busy machine, in seconds.
TRIES = 4
SLACK = 10.0

EVERYBODY = "User:ANONYMOUS"


class Permissions:
    """What everybody may do on a broker."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def deny(self, kind: ResourceType, name: str, operation: AclOperation) -> None:
        """Take one permission away, and leave all others on the same thing."""
        allowed = self._binding(kind, name, AclOperation.ALL, AclPermissionType.ALLOW)
        denied = self._binding(kind, name, operation, AclPermissionType.DENY)
        with admin_client(self._bootstrap) as admin:
            for made in admin.create_acls([allowed, denied], request_timeout=REQUEST_TIMEOUT).values():
                made.result()

    def grant(self, kind: ResourceType, name: str) -> None:
        """Give back what was taken away."""
        everything = AclBindingFilter(
            kind, name, ResourcePatternType.LITERAL, EVERYBODY, "*", AclOperation.ANY, AclPermissionType.ANY
        )
        with admin_client(self._bootstrap) as admin:
            for gone in admin.delete_acls([everything], request_timeout=REQUEST_TIMEOUT).values():
                gone.result()

    def _binding(
        self, kind: ResourceType, name: str, operation: AclOperation, permission: AclPermissionType
    ) -> AclBinding:
        return AclBinding(kind, name, ResourcePatternType.LITERAL, EVERYBODY, "*", operation, permission)


@pytest.fixture(scope="module")
def guarded() -> Iterator[KafkaBroker]:
    """A broker that asks for permissions."""
    settings: dict[str, Setting] = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": True,
    }
    with KafkaBroker(settings=settings) as broker:
        yield broker


@pytest.fixture
def stream(guarded: KafkaBroker, unique: Callable[[str], str], tmp_path: Path) -> Stream:
    """Topics and a pipeline on that broker."""
    made = Stream(broker=guarded, name=unique("flights"), pipeline=tmp_path / "pipeline.yaml")
    made.create_topics(3)
    return made


THINGS = {
    "output": (ResourceType.TOPIC, "out", AclOperation.WRITE, "Write and Describe on the other two"),
    "dead letters": (ResourceType.TOPIC, "dead", AclOperation.WRITE, "Write and Describe on the other two"),
    "input": (ResourceType.TOPIC, "in", AclOperation.READ, "Read on the input topic"),
    "group": (ResourceType.GROUP, "", AclOperation.READ, "Read on the group"),
    "transactional id": (ResourceType.TRANSACTIONAL_ID, "one", AclOperation.WRITE, "on the transactional id"),
}
WRITTEN = {"output", "dead letters"}
CASES: list[tuple[str, str, Protocol]] = [
    *((thing, "exactly_once", "classic") for thing in THINGS),
    *((thing, "at_least_once", "classic") for thing in ("output", "dead letters", "group")),
    ("group", "exactly_once", "consumer"),
    ("group", "at_least_once", "consumer"),
]


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_a_permission_that_is_taken_away_is_waited_for(
    guarded: KafkaBroker, stream: Stream, start_worker: StartWorker, case: tuple[str, str, Protocol]
) -> None:
    """Named in the log, tried again, and then everything is there, once."""
    thing, delivery, protocol = case
    kind, suffix, operation, words = THINGS[thing]
    stream.write_pipeline({"delivery": delivery}, protocol)
    name = f"{stream.name}-{suffix}".rstrip("-")
    worker = start_worker(stream, "one")
    worker.wait_until_assigned(3)
    produce(stream.bootstrap, stream.input, mixed(range(50)))
    wait_until_caught_up(stream)
    permissions = Permissions(guarded.bootstrap)
    permissions.deny(kind, name, operation)
    try:
        rest = iter(range(50, 300))

        def fed_and_told() -> bool:
            # A few at a time: brokers learn of a permission some time after it was changed.
            produce(stream.bootstrap, stream.input, mixed(islice(rest, 10)))
            return told(worker, words, name if thing in WRITTEN else "") or not worker.running

        wait_until(fed_and_told, 60, lambda: f"no word of it:\n{worker.tail()}")
        produce(stream.bootstrap, stream.input, mixed(rest))
        assert worker.running, worker.tail()
        if thing == "input":
            wait_until_shown(worker, "input denied")
        if thing in WRITTEN:
            wait_until(lambda: shows(worker, name), 30, worker.tail)
            wait_until_shown(worker, "output denied")
        if thing == "output":  # without which no event at all is made durable
            wait_until(lambda: len(worker.logs(REWOUND)) > TRIES, 60, lambda: f"not tried again:\n{worker.tail()}")
            assert_further_and_further_apart(worker)
        if thing == "group":  # until the group has thrown it out, after 2 s: a KIP-848 consumer dies of it
            shown = [("membership in the group", True), ("commit", True)]  # one that commits without a transaction
            wait_until(lambda: waits_for(worker) in shown, 60, lambda: f"nothing shows it:\n{worker.tail()}")
            assert {ask(worker.http, path).status for path in ("/live", "/ready")} == {200}
    finally:
        permissions.grant(kind, name)
    wait_until_caught_up(stream)
    wait_until(lambda: waits_for(worker) is None, 30, lambda: f"it waits for ever:\n{worker.tail()}")
    assert worker.stop() == 0
    outcome = verify(stream, range(300))
    outcome.assert_none_missing()
    assert set(outcome.dead) == set(range(0, 300, 10))
    if delivery == "exactly_once":
        outcome.assert_each_once()


def waits_for(worker: Worker) -> tuple[str, bool] | None:
    """What it says that it waits for, and whether it has for longer than the group waits for a member."""
    waiting = status(worker.http)["waiting"]
    return None if waiting is None else (str(waiting["what"]), waiting["seconds"] > 4)


def shows(worker: Worker, topic: str) -> bool:
    """Whether it says that it waits for a topic to be written to, or for one of two, of which this is one."""
    what, _ = waits_for(worker) or ("", False)
    return what.startswith("writing ") and topic in what.removeprefix("writing ").split(" or ")


def told(worker: Worker, words: str, topic: str) -> bool:
    """Whether the worker has said what it lacks, and on which topic in a line of its own or in the client's words."""
    lines = [str(line) for line in worker.logs()]
    lacks = any("(grant " in line and words in line and topic in line for line in lines)
    exactly = (f"topic {topic}: ", f'partition "{topic}" ')
    return lacks and (not topic or any(words in line for line in lines for words in exactly))


def assert_further_and_further_apart(worker: Worker) -> None:
    """The first tries are 0.1, 0.2, 0.4 and 0.8 s apart, and what each takes itself; later ones 5 s at most."""
    lines = worker.logs(REWOUND)[: TRIES + 1]
    assert {line["kind"] for line in lines} == {"undelivered"}
    times = [datetime.fromisoformat(str(line["timestamp"])).timestamp() for line in lines]
    for number, gap in enumerate(after - before for before, after in pairwise(times)):
        assert 0.1 * 2**number < gap + 0.01 < 0.1 * 2**number + SLACK, times
