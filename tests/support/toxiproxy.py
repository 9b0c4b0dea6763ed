"""The network between a worker and its broker, and what can happen to it: a real Toxiproxy, driven by its HTTP API.

`python -m tests.support.toxiproxy` builds it ahead of the tests, by Go, into the git-ignored cache; everything that
starts one calls `toxiproxy()`, which does the same when it is not there yet.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from tests.support.jars import JarsError, lock, program
from tests.support.kafka import KafkaBroker
from tests.support.processes import HOST, free_port, killed_with_parent
from tests.support.topics import wait_until

VERSION = "2.12.0"
SOURCE = f"github.com/Shopify/toxiproxy/v2/cmd/server@v{VERSION}"
CACHE = Path(__file__).parents[2] / ".cache" / "toxiproxy"

START_TIMEOUT = 30.0
REQUEST_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0

# Upstream is from the worker to the broker.
Direction = Literal["upstream", "downstream"]
BOTH: tuple[Direction, Direction] = ("upstream", "downstream")


class ToxiproxyError(RuntimeError):
    """Toxiproxy can't be had, or refuses."""


def toxiproxy() -> Path:
    """The program; built if it is missing or of another version."""
    built = CACHE / f"v{VERSION}" / "server"
    if not built.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with lock(CACHE / "lock"):
            if not built.exists():  # another process may have built it while this one waited
                _build(built.parent)
    return built


def _build(target: Path) -> None:
    """Fill a temporary folder, then rename it: an interrupted build never looks like a finished one."""
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="building-") as temporary:
        made = Path(temporary) / "bin"
        # One processor, so that a build beside tests takes none of them all.
        environment = {**os.environ, "GOBIN": str(made), "GOMAXPROCS": "1"}
        command = [program("go"), "install", SOURCE]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise ToxiproxyError(f"Go could not build {SOURCE}:\n{tail}")
        made.rename(target)


class Toxiproxy:
    """A proxy of one port with its process; a context manager.

    Closed connections are made anew by clients; swallowed bytes are gone and nobody is told, as in a real cut.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._api = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [*killed_with_parent(), str(toxiproxy()), "-host", HOST, "-port", str(self._api)]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "LOG_LEVEL": "error"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self._answers, START_TIMEOUT, "Toxiproxy did not come up")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_TIMEOUT)

    @property
    def address(self) -> str:
        """What clients connect to, `host:port`."""
        return f"{HOST}:{self.port}"

    def lead_to(self, upstream: str) -> None:
        """Let connections through to an address."""
        self._ask("POST", "/proxies", {"name": "kafka", "listen": self.address, "upstream": upstream})

    def swallow(self, *directions: Direction) -> None:
        """Let no byte through in these directions: connections stay open, new ones too are made and say nothing."""
        for direction in directions:
            self._add("timeout", direction, timeout=0)

    def delay(self, milliseconds: int) -> None:
        """Let each byte take so long, there and back together."""
        self._add("latency", "downstream", latency=milliseconds)

    @contextmanager
    def resetting(self) -> Iterator[None]:
        """Reset each connection at its next byte, new ones too, for as long as the with statement lasts.

        Taken away at once it resets nothing: no byte has come by then.
        """
        self._add("reset_peer", "downstream", timeout=0)
        try:
            yield
        finally:
            self._ask("DELETE", "/proxies/kafka/toxics/reset_peer_downstream")

    def heal(self) -> None:
        """Let everything through again; connections that lost bytes are closed."""
        self._ask("POST", "/reset")

    def _add(self, kind: str, direction: Direction, **attributes: int) -> None:
        toxic = {"type": kind, "stream": direction, "attributes": attributes}
        self._ask("POST", "/proxies/kafka/toxics", toxic)

    def _answers(self) -> bool:
        with suppress(ConnectionRefusedError):
            self._ask("GET", "/version")
            return True
        return False

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        connection = HTTPConnection(HOST, self._api, timeout=REQUEST_TIMEOUT)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            words = answer.read().decode()
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise ToxiproxyError(f"Toxiproxy answers {answer.status} to {method} {path}: {words}")


class FarBroker(NamedTuple):
    """A broker with a network before it."""

    network: Toxiproxy
    broker: KafkaBroker


def main() -> int:
    """Build it and print where it is."""
    try:
        built = toxiproxy()
    except (JarsError, ToxiproxyError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{built}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
