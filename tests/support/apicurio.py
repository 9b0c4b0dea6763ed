"""A real schema registry: Apicurio, fetched once by Maven into the git-ignored cache, with Confluent's API.

`python -m tests.support.apicurio` fetches it ahead of the tests; everything that starts one calls `apicurio()`, which
does the same when it is not there yet.
"""

import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.error import URLError
from urllib.request import urlopen

from tests.support.jars import QUICK_START, JarsError, lock, program
from tests.support.processes import HOST, free_port, killed_with_parent
from tests.support.topics import wait_until

VERSION: Final = "3.0.9"
ARTIFACT: Final = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
RUNNER: Final = f"apicurio-registry-app-{VERSION}-runner.jar"
CACHE: Final = Path(__file__).parents[2] / ".cache" / "apicurio"

START_TIMEOUT = 90.0
STOP_TIMEOUT = 15.0


class RegistryError(RuntimeError):
    """The registry can't be had."""


def apicurio() -> Path:
    """The folder that it is unpacked in; fetched if it is missing or of another version."""
    folder = CACHE / VERSION
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with lock(CACHE / "lock"):
            if not folder.exists():  # another process may have fetched it while this one waited
                _fetch(folder)
    return folder


def _fetch(target: Path) -> None:
    """Fill a temporary folder, then rename it: an interrupted download never looks like a finished one."""
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="fetching-") as temporary:
        command = [
            program("mvn"),
            "--batch-mode",
            "--quiet",
            "org.apache.maven.plugins:maven-dependency-plugin:copy",
            f"-Dartifact={ARTIFACT}",
            f"-DoutputDirectory={temporary}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise RegistryError(f"Maven could not fetch {ARTIFACT}:\n{tail}")
        made = Path(temporary) / "unpacked"
        with tarfile.open(next(Path(temporary).glob("*.tar.gz"))) as archive:
            archive.extractall(made, filter="data")
        made.rename(target)


class Apicurio:
    """A registry with its process, its schemas in memory; a context manager.

    Args:
        flags: of its Java machine, on top of ours: where it asks for a password, or speaks TLS.
    """

    def __init__(self, flags: Sequence[str] = ()) -> None:
        self.port = free_port()
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None
        self._log = Path(tempfile.mkstemp(prefix="onelane-apicurio-", suffix=".log")[1])

    def __enter__(self) -> Self:
        folder = apicurio()
        command = [
            *killed_with_parent(),
            program("java"),
            *QUICK_START,
            "-Xmx192m",
            f"-Dquarkus.http.host={HOST}",
            f"-Dquarkus.http.port={self.port}",
            *self._flags,
            "-jar",
            str(folder / RUNNER),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._answers, START_TIMEOUT, "the registry did not come up")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process = self.running()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._log.unlink()

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """What clients of Confluent's API are given."""
        return url(self.address)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Have it take connections and say nothing."""
        process = self.running()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def running(self) -> subprocess.Popen[bytes]:
        """The process, if it runs."""
        if self._process is None:
            raise RegistryError("the registry is not started: use it in a with statement")
        if self._process.poll() is not None:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
            raise RegistryError(f"the registry ended with {self._process.returncode}:\n{tail}")
        return self._process

    def _answers(self) -> bool:
        self.running()
        try:
            with urlopen(f"{self.url}/subjects", timeout=2):  # noqa: S310 - an http address of our own
                return True
        except URLError as error:
            return getattr(error, "code", None) is not None  # it wants a password, but it is there
        except OSError:
            return False


def url(address: str) -> str:
    """The address of Confluent's API on a registry, or on a proxy before one."""
    return f"http://{address}/apis/ccompat/v7"


def main() -> int:
    """Fetch it and print where it is."""
    try:
        folder = apicurio()
    except (RegistryError, JarsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
