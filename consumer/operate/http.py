"""A small HTTP server that only tells: for probes, Prometheus and people.

It has threads of its own and answers while the worker's thread is at something else. Whoever connects has a few
seconds and a few kilobytes: a client that is slow or hostile holds up its own connection alone.
"""

import io
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import msgspec
import structlog

# Seconds in which a request must have come, and again in which its answer must have gone.
_PATIENCE: Final = 2.0
_HEAD_LIMIT: Final = 8192
_HEAD_END: Final = b"\r\n\r\n"
# Connections that are served at once; more wait in the kernel's queue.
_AT_ONCE: Final = 16
_QUEUE: Final = 128

TEXT: Final = "text/plain; charset=utf-8"

_log = structlog.get_logger()


class AddressError(Exception):
    """An address can't be served; the message says why."""


class Page(msgspec.Struct, frozen=True):
    """An answer."""

    body: bytes
    kind: str = TEXT
    status: HTTPStatus = HTTPStatus.OK


Pages = Mapping[str, Callable[[], Page]]


class Server:
    """Serves pages from daemon threads until it is closed.

    Args:
        address: host:port or [address]:port; port 0 takes a free one. Or a socket that listens already.
        pages: by path; `/` lists them.

    Raises:
        AddressError: it can't be served.
    """

    def __init__(self, address: str | socket.socket, pages: Pages) -> None:
        try:
            self._server = _Listener(address if isinstance(address, socket.socket) else _bound(address), pages)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise AddressError(f"{address} can't be served: {why}") from None
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()

    @property
    def address(self) -> str:
        """Where it serves, with the port that it took."""
        host, port = self._server.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        """Stop; answers under way are not waited for."""
        self._server.shutdown()
        self._server.server_close()


def _bound(address: str) -> socket.socket:
    """Return a socket on host:port."""
    host, port = address.rsplit(":", 1)
    family, _, _, _, place = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family)
    try:
        # As the base class has it: a port that was served a moment ago can be taken again.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((str(place[0]), int(port)))
    except BaseException:
        bound.close()
        raise
    return bound


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = _QUEUE

    def __init__(self, listener: socket.socket, pages: Pages) -> None:
        self.pages = pages
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        # Connections whose request has not come yet, the oldest first.
        self._silent: dict[socket.socket, None] = {}
        self._lock = threading.Lock()
        socketserver.BaseServer.__init__(self, listener.getsockname(), _Handler)
        # Bound already; the base class would make a socket of its own, and ask a name server who we are.
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.server_activate()

    def process_request(self, request: object, client_address: object) -> None:
        """Take a place, if need be that of whoever has said nothing for longest: a probe speaks at once."""
        if not self._places.acquire(blocking=False):
            self._hang_up_on_one()
            self._places.acquire()
        try:
            super().process_request(request, client_address)  # type: ignore[arg-type]  # typeshed's private alias
        except BaseException:  # no thread could be started
            self._places.release()
            raise

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Serve, then give the place back."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]  # the same
        finally:
            self._places.release()

    def listening(self, connection: socket.socket) -> None:
        """Note that a request is waited for."""
        with self._lock:
            self._silent[connection] = None

    def heard(self, connection: socket.socket) -> None:
        """Note that it has come, or will not."""
        with self._lock:
            self._silent.pop(connection, None)

    def _hang_up_on_one(self) -> None:
        with self._lock:
            oldest = next(iter(self._silent), None)
            if oldest is not None:
                del self._silent[oldest]
                with suppress(OSError):  # it has gone by itself
                    oldest.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Log what is a bug of ours; a client that went away is none."""
        del request, client_address
        _log.exception("a page could not be served")


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    server_version = "onelane"
    sys_version = ""
    timeout = _PATIENCE

    def setup(self) -> None:
        """Take the request's head whole, or nothing: the base class would wait for each byte anew."""
        super().setup()
        self.server.listening(self.connection)
        try:
            self.rfile = io.BufferedReader(io.BytesIO(_head(self.connection)))
        finally:
            self.server.heard(self.connection)

    def handle(self) -> None:
        """Answer, unless the client has gone."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def do_GET(self) -> None:
        """Answer with a page."""
        page = self._page()
        self._start(page)
        self.wfile.write(page.body)

    def do_HEAD(self) -> None:
        """Answer with what a page would begin with."""
        self._start(self._page())

    def _page(self) -> Page:
        path = self.path.partition("?")[0]
        if path == "/":
            return Page("".join(f"{name}\n" for name in self.server.pages).encode())
        make = self.server.pages.get(path)
        return make() if make else Page(b"there is no such page: see /\n", status=HTTPStatus.NOT_FOUND)

    def _start(self, page: Page) -> None:
        self.send_response(page.status)
        self.send_header("Content-Type", page.kind)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Log nothing: probes come every few seconds."""


def _head(connection: socket.socket) -> bytes:
    """Return a request's head, or nothing where it does not come in time or in size."""
    head, deadline = b"", time.monotonic() + _PATIENCE
    while _HEAD_END not in head:
        left = deadline - time.monotonic()
        if left <= 0 or len(head) >= _HEAD_LIMIT:
            return b""
        connection.settimeout(left)
        try:
            piece = connection.recv(_HEAD_LIMIT)
        except OSError:
            return b""
        if not piece:
            return b""
        head += piece
    connection.settimeout(_PATIENCE)
    return head
