"""What a supervisor shows of its workers: their pages asked for at once, and put together."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import cache

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from consumer.operate.http import Page, Server
from consumer.supervise.asking import Answer, ask
from consumer.supervise.front import SupervisorFront
from consumer.supervise.member import Seen, State
from consumer.supervise.merging import labelled, merged
from tests.support.memory import Clock
from tests.support.scrape import samples

LOOPBACK = ("127.0.0.1", 1)


@cache
def exposition(value: float) -> str:
    """A worker's page: names that begin alike, labels with braces, spaces and quotes in them, none, a histogram."""
    registry = CollectorRegistry()
    Counter("events", 'Help with "quotes" and {braces}.', ["pipeline"], registry=registry).labels("p").inc(value)
    Gauge("events_held", "Held.", ["why"], registry=registry).labels('a {b="c"} \\ d\n').set(value)
    Gauge("age", "Age.", registry=registry).set(value)
    Histogram("took", "Took.", ["pipeline"], buckets=(1, 2), registry=registry).labels("p").observe(value)
    return generate_latest(registry).decode()


def test_each_series_says_whose_it_is() -> None:
    """And is otherwise as its worker tells it, whatever is in its labels."""
    found = samples(merged([("0", exposition(1.0)), ("1", exposition(2.0))]).encode())
    for worker, value in (("0", 1.0), ("1", 2.0)):
        ours = [one for one in found if one.labels["worker"] == worker]
        theirs = samples(exposition(value).encode())
        assert [(one.name, one.value) for one in ours] == [(one.name, one.value) for one in theirs]
        assert [{**one.labels, "worker": worker} for one in theirs] == [one.labels for one in ours]


def test_all_of_a_metric_stands_together() -> None:
    """With its help and type once, as the format wants it; also where a page has less than another."""
    own = "# HELP age Age.\n# TYPE age gauge\nage 3.0\n"
    lines = merged([("0", exposition(1.0)), ("1", exposition(2.0)), ("supervisor", own)]).splitlines()
    place = lines.index("# HELP age Age.")
    assert lines[place : place + 5] == [
        "# HELP age Age.",
        "# TYPE age gauge",
        'age{worker="0"} 1.0',
        'age{worker="1"} 2.0',
        'age{worker="supervisor"} 3.0',
    ]
    assert sum(line.startswith(("# HELP age ", "# TYPE age ", "age{")) for line in lines) == 5


def test_a_page_without_a_worker_stays_as_it_is() -> None:
    """The supervisor's own metrics have the label already."""
    assert merged([("", exposition(1.0))]) == exposition(1.0)
    assert labelled('a{b="c d"} 1.0', "7") == 'a{worker="7",b="c d"} 1.0'


@pytest.fixture(name="servers")
def _servers() -> Iterator[Mapping[int, tuple[str, int]]]:
    with ExitStack() as stack:
        addresses = {}
        for number in range(2):
            listener = socket.create_server(("127.0.0.1", 0))
            addresses[number] = listener.getsockname()
            body = b"%d" % number * 300_000
            server = Server(listener, {"/page": lambda body=body: Page(body)})  # type: ignore[misc]
            stack.callback(server.close)
        yield addresses


def test_answers_come_whole(servers: Mapping[int, tuple[str, int]]) -> None:
    """Also large ones, and those that say no."""
    found = ask(servers, "/page", 10.0)
    assert {number: answer.status for number, answer in found.items()} == {0: 200, 1: 200}
    assert {number: len(answer.body) for number, answer in found.items()} == {0: 300_000, 1: 300_000}
    assert ask(servers, "/else", 10.0)[0].status == 404


def test_one_that_does_not_answer_holds_up_no_other(servers: Mapping[int, tuple[str, int]]) -> None:
    """One is silent, one refuses, one breaks off: the others' answers are there within the time that all have."""
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as broken:
        breaking = threading.Thread(target=_break_off, args=(broken,))
        breaking.start()
        with socket.create_server(("127.0.0.1", 0)) as gone:
            refused = gone.getsockname()
        began = time.monotonic()
        found = ask({**servers, 2: silent.getsockname(), 3: refused, 4: broken.getsockname()}, "/page", 0.5)
        assert time.monotonic() - began < 5
        breaking.join()
    assert found.keys() == {0, 1}


def _break_off(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n1234")


class Crew:
    """A supervisor as its front sees it, and what its workers answer."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.turns = True
        self.draining = False
        self.workers = [Seen(n, f"a-{n}", State.RUNNING, 0.0, 100 + n, LOOPBACK) for n in range(2)]
        well = {"live": True, "ready": True, "not_ready_because": None}
        self.says: dict[int, dict[str, object]] = {number: dict(well) for number in range(2)}
        self.silent: set[int] = set()
        self.front = SupervisorFront("p", self, self.clock, self._ask)

    def seen(self) -> list[Seen]:
        """How the workers are."""
        return self.workers

    def change(self, number: int, **changes: object) -> None:
        """Let a worker be different."""
        self.workers[number] = msgspec.structs.replace(self.workers[number], **changes)

    def probes(self) -> tuple[int, int]:
        """What the probes answer."""
        return int(self.front.pages["/live"]().status), int(self.front.pages["/ready"]().status)

    def why_not(self) -> str:
        """Why it is not ready."""
        return str(json.loads(self.front.pages["/ready"]().body)["not_ready_because"])

    def _ask(self, addresses: Mapping[int, tuple[str, int]], path: str, patience: float) -> dict[int, Answer]:
        assert patience < 1
        asked = addresses.keys() - self.silent
        if path == "/metrics":
            return {number: Answer(200, exposition(float(number)).encode()) for number in asked}
        return {number: Answer(200, json.dumps(self.says[number]).encode()) for number in asked}


@pytest.fixture(name="crew")
def _crew() -> Crew:
    return Crew()


def test_all_well_is_both(crew: Crew) -> None:
    """And the body has what each worker says."""
    assert crew.probes() == (200, 200)
    body = json.loads(crew.front.pages["/live"]().body)
    assert [(one["worker"], one["instance"], one["says"]["ready"]) for one in body["workers"]] == [
        (0, "a-0", True),
        (1, "a-1", True),
    ]


def test_a_worker_that_is_stuck_is_not_alive(crew: Crew) -> None:
    """Nor is the whole, and the loop counts as well."""
    crew.says[1]["live"] = False
    assert crew.probes() == (503, 200)
    crew.says[1]["live"] = True
    crew.turns = False
    assert crew.probes() == (503, 200)


def test_a_worker_that_is_not_ready_says_why(crew: Crew) -> None:
    """In the body of the whole."""
    crew.says[1] |= {"ready": False, "not_ready_because": "the group has not taken it in yet"}
    assert crew.probes() == (200, 503)
    assert crew.why_not() == "worker 1: the group has not taken it in yet"


def test_a_worker_that_has_answered_and_does_not_any_more_is_not_alive(crew: Crew) -> None:
    """One whose process is new is at its start, for a minute."""
    crew.probes()
    crew.silent.add(1)
    assert crew.probes() == (503, 503)
    assert crew.why_not() == "worker 1: it does not answer"
    crew.change(1, pid=200, since=crew.clock())
    assert crew.probes() == (200, 503)
    assert crew.why_not() == "worker 1: it starts"
    crew.clock.sleep(60.1)
    assert crew.probes() == (503, 503)


def test_a_worker_that_waits_for_its_next_start_is_no_reason_to_restart_the_others(crew: Crew) -> None:
    """But the whole is not ready."""
    crew.change(1, state=State.WAITING, pid=None, address=None, code=-9)
    assert crew.probes() == (200, 503)
    assert crew.why_not() == "worker 1: it ended, and waits to be started again"


def test_a_worker_that_others_ended_is_not_missed(crew: Crew) -> None:
    """Who stopped it knows."""
    crew.change(1, state=State.ENDED, pid=None, address=None, code=0)
    assert crew.probes() == (200, 200)


def test_workers_that_are_to_end_are_not_ready(crew: Crew) -> None:
    """Alive they are."""
    crew.draining = True
    assert crew.probes() == (200, 503)


def test_metrics_are_those_of_all_that_answer(crew: Crew) -> None:
    """And say who does not, and how often each was started again."""
    crew.silent.add(1)
    crew.change(1, restarts=3)
    found = {(one.name, one.labels.get("worker")): one.value for one in samples(crew.front.pages["/metrics"]().body)}
    assert found["onelane_worker_up", "0"] == 1
    assert found["onelane_worker_up", "1"] == 0
    assert found["onelane_worker_restarts_total", "1"] == 3
    assert ("age", "0") in found
    assert ("age", "1") not in found
    assert found["process_resident_memory_bytes", "supervisor"] > 0
