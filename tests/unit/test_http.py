"""The HTTP server: it tells, and no client can harm it."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http import HTTPStatus

import pytest
from structlog.testing import capture_logs

from consumer.hold import Hold, HoldKind
from consumer.observer import Change, Lag
from consumer.operate import http
from consumer.operate.front import Front
from consumer.operate.http import AddressError, Page, Server
from consumer.operate.pulse import Doing, Pulse
from tests.support.memory import Clock
from tests.support.scrape import Answer, ask, samples, status

WALL = 1_700_000_000.0
EARLIER = {"seconds": 3.5, "since": "2023-11-14T22:13:16.500Z"}


def _broken() -> Page:
    raise LookupError("a bug")


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Server]:
    server = Server("127.0.0.1:0", {"/page": lambda: Page(b"here\n"), "/broken": _broken})
    yield server
    server.close()


def connect(server: Server) -> socket.socket:
    """A connection of one's own."""
    host, port = server.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def rest(connection: socket.socket) -> bytes:
    """All that still comes; a reset is an end too."""
    received = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


def test_it_serves_its_pages(server: Server) -> None:
    """Whatever the query says; `/` lists them, and anything else is not there."""
    assert ask(server.address, "/page") == Answer(200, "text/plain; charset=utf-8", b"here\n")
    assert ask(server.address, "/page?x=1").body == b"here\n"
    assert ask(server.address, "/").body == b"/page\n/broken\n"
    assert [ask(server.address, path).status for path in ("/pag", "/page/", "/../page")] == [404] * 3


def test_head_is_get_without_a_body(server: Server) -> None:
    """Also where there is no such page."""
    with closing(connect(server)) as connection:
        connection.sendall(b"HEAD /page HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200")
    assert b"Content-Length: 5" in head
    assert body == b""
    assert ask(server.address, "/pag", "HEAD").status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_it_only_tells(server: Server, method: str) -> None:
    """No other method is known."""
    assert ask(server.address, "/page", method).status == HTTPStatus.NOT_IMPLEMENTED


def test_a_client_that_sends_nothing_is_hung_up_on(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that sends a byte now and then: what counts is the whole request."""
    monkeypatch.setattr(http, "_PATIENCE", 0.5)
    with closing(connect(server)) as silent, closing(connect(server)) as slow:
        began = time.monotonic()
        with suppress(OSError):
            while time.monotonic() - began < 10:
                slow.sendall(b"G")
                time.sleep(0.05)
        assert time.monotonic() - began < 5
        assert rest(silent) == b""
    assert ask(server.address, "/page").status == 200


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 1000,
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /page HTTP/9.9\r\n\r\n",
        b"GET /page HTTP/1.1\r\n" + b"x: y\r\n" * 1000 + b"\r\n",
        b"GET /" + b"x" * 100_000,
        b"\xff\xfe\x00 /page HTTP/1.1\r\n\r\n",
    ],
)
def test_junk_gets_no_page(server: Server, junk: bytes) -> None:
    """And nothing is logged of it; the next one is served."""
    with capture_logs() as lines, closing(connect(server)) as connection:
        with suppress(OSError):
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
        assert b"here" not in rest(connection)
        assert ask(server.address, "/page").status == 200
    assert lines == []


def test_a_request_without_end_is_cut_off_by_its_size(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by its time alone: what a fast client can send in two seconds would fill the memory."""
    monkeypatch.setattr(http, "_PATIENCE", 120.0)
    with closing(connect(server)) as connection, pytest.raises(ConnectionError):
        connection.sendall(b"x" * 16_384_000)


def test_many_that_hang_do_not_keep_others_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are served at once, as patiently as ever: those that said nothing for longest are hung up on."""
    monkeypatch.setattr(http, "_PATIENCE", 120.0)
    with ExitStack() as hanging:
        silent = [hanging.enter_context(closing(connect(server))) for _ in range(3 * http._AT_ONCE)]
        assert ask(server.address, "/page", timeout=20).status == 200
        assert rest(silent[0]) == b""


def test_a_client_that_hangs_up_early_is_no_error(server: Server) -> None:
    """It is not worth a line in the log."""
    with capture_logs() as lines:
        for _ in range(20):
            with closing(connect(server)) as connection:
                connection.sendall(b"GET /page HTTP/1.1\r\n\r\n")
        assert ask(server.address, "/page").status == 200
    assert lines == []


def test_a_bug_in_a_page_is_logged_and_the_next_one_is_served(server: Server) -> None:
    """With its trace."""
    with capture_logs() as lines:
        with closing(connect(server)) as connection:
            connection.sendall(b"GET /broken HTTP/1.1\r\n\r\n")
            assert rest(connection) == b""
        assert ask(server.address, "/page").status == 200
    assert [(line["event"], line["exc_info"]) for line in lines] == [("a page could not be served", True)]


def test_it_says_nothing_of_what_it_is_built_on(server: Server) -> None:
    """No version of Python in its headers."""
    with closing(connect(server)) as connection:
        connection.sendall(b"GET /page HTTP/1.1\r\n\r\n")
        assert b"Server: onelane\r\n" in rest(connection).replace(b"onelane \r\n", b"onelane\r\n")


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "0.0.0.0:0", "[::1]:0", "[::]:0"])
def test_it_serves_on_every_form_of_address(address: str) -> None:
    """A free port is taken for 0, and told."""
    server = Server(address, {"/page": lambda: Page(b"here\n")})
    try:
        port = int(server.address.rsplit(":", 1)[1])
        assert port > 0
        assert server.address.startswith("[") == address.startswith("[")
        host = "[::1]" if address.startswith("[") else "127.0.0.1"
        assert ask(f"{host}:{port}", "/page").status == 200
    finally:
        server.close()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("{taken}", "Address already in use"),
        ("192.0.2.1:0", "Cannot assign requested address"),
        ("no.such.host.invalid:9404", "Name or service not known|Temporary failure in name resolution"),
        ("127.0.0.1:99999", "port must be 0-65535"),
    ],
)
def test_an_address_that_can_not_be_served_is_refused(server: Server, address: str, why: str) -> None:
    """The message names the address and the reason."""
    address = address.format(taken=server.address)
    with pytest.raises(AddressError, match=rf"^{address} can't be served: .*({why})"):
        Server(address, {})


class Shown:
    """A front, served, with a clock turned by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pulse = Pulse(10.0, self.clock)
        self.draining = False
        self.front = Front("flights", self.pulse, lambda: self.draining, self.clock, lambda: WALL)
        self.server = Server("127.0.0.1:0", self.front.pages)

    def probes(self) -> tuple[int, int]:
        """What /live and /ready answer."""
        return ask(self.server.address, "/live").status, ask(self.server.address, "/ready").status


@pytest.fixture(name="shown")
def _shown() -> Iterator[Shown]:
    shown = Shown()
    yield shown
    shown.server.close()


def test_the_probes_tell_alive_from_ready(shown: Shown) -> None:
    """Starting, joined, held, waiting, stuck, draining: each answer is what a supervisor should do."""
    watcher = shown.front.watcher
    assert shown.probes() == (200, 503)
    watcher.joined()
    assert shown.probes() == (200, 200)
    watcher.lanes([0], Change.ASSIGNED)
    watcher.held(0, 7, Hold(HoldKind.GUARD, "why"))
    shown.pulse.waits("the group")
    assert shown.probes() == (200, 200)
    shown.pulse.beat()
    shown.clock.sleep(11)
    assert shown.probes() == (503, 200)
    shown.pulse.beat()
    shown.draining = True
    assert shown.probes() == (200, 503)


def test_the_body_says_all_that_one_wants_to_know(shown: Shown) -> None:
    """At three in the morning: what, since when, why, and what lets it go on."""
    watcher = shown.front.watcher
    watcher.joined()
    watcher.lanes([3, 1], Change.ASSIGNED)
    watcher.lag({1: Lag(5, int(1000 * (WALL - 10))), 3: Lag(7, None)})
    watcher.held(3, 7, Hold(HoldKind.GUARD, "500 dead letters in a row", "Malformed"))
    watcher.checkpoint(0.01)
    shown.pulse.waits("a broker")
    shown.clock.sleep(2)
    with shown.pulse.within(Doing.INVOKE):
        shown.clock.sleep(1.5)
        body = status(shown.server.address)
        assert body == json.loads(ask(shown.server.address, "/ready").body)
    (held,) = body["held"]
    assert body == {
        "pipeline": "flights",
        "live": True,
        "ready": True,
        "not_ready_because": None,
        "started": EARLIER,
        "doing": {"what": "invoke", "seconds": 1.5, "since": "2023-11-14T22:13:18.500Z"},
        "waiting": {"what": "a broker", **EARLIER},
        "joined": True,
        "draining": False,
        "lanes": [1, 3],
        "lag": {"events": 12, "seconds": 10.0},
        "held": [
            {
                "partition": 3,
                "offset": 7,
                "kind": "guard",
                "why": "500 dead letters in a row",
                "cause": "Malformed",
                "released_by": held["released_by"],
                **EARLIER,
            }
        ],
        "last_checkpoint": EARLIER,
    }
    assert "--release" in held["released_by"]


def test_a_worker_that_is_not_ready_says_why(shown: Shown) -> None:
    """Not taken in yet, or told to stop; nothing once it is ready."""
    assert status(shown.server.address)["not_ready_because"] == "the group has not taken it in yet"
    shown.front.watcher.joined()
    assert status(shown.server.address)["not_ready_because"] is None
    shown.draining = True
    assert status(shown.server.address)["not_ready_because"] == "it was told to stop"


def test_metrics_are_served_as_prometheus_reads_them(shown: Shown) -> None:
    """In the text format that every version of it knows."""
    answer = ask(shown.server.address, "/metrics")
    assert (answer.status, answer.kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert {"onelane_ready", "process_cpu_seconds_total"} <= {sample.name for sample in samples(answer.body)}
