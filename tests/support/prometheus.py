"""Prometheus and promtool for tests: those on the PATH, or Debian's, unpacked once into the git-ignored cache.

`python -m tests.support.prometheus` gets them ahead of the tests.
"""

import fcntl
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import free_port, killed_with_parent
from tests.support.topics import wait_until

CACHE = Path(__file__).parents[2] / ".cache" / "prometheus"
PROGRAMS = ("prometheus", "promtool")
HOST = "127.0.0.1"
# Package lists and a package of 20 MB: five seconds here.
_FETCH_TIMEOUT = 300.0
_START_TIMEOUT = 60.0


class PrometheusError(RuntimeError):
    """The programs can't be had."""


def program(name: str) -> str:
    """The full path of `prometheus` or `promtool`."""
    if all(shutil.which(wanted) for wanted in PROGRAMS):
        return str(shutil.which(name))
    _fetch()
    return str(CACHE / name)


def _present() -> bool:
    return all((CACHE / name).exists() for name in PROGRAMS)


def _fetch() -> None:
    """Fill the cache from Debian's package. Nothing is installed, and no right of root is needed."""
    if _present():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with _lock(CACHE / "lock"):
        if _present():  # another process may have fetched them while this one waited
            return
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="fetching-") as temporary:
            folder = Path(temporary)
            _download(folder)
            for name in PROGRAMS:  # a rename: an interrupted fetch never looks like a finished one
                (folder / "root" / "usr" / "bin" / name).rename(CACHE / name)


def _download(folder: Path) -> None:
    """Download and unpack the package, with package lists of our own: the machine's may be missing or old."""
    if not shutil.which("apt-get"):
        raise PrometheusError("tests need `prometheus` and `promtool`: install both (here is no apt-get to get them)")
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True)
    apt = ["apt-get", "-q", "-o", f"Dir::State::lists={lists}", "-o", "APT::Sandbox::User="]
    _run([*apt, "-o", "Debug::NoLocking=1", "update"], folder)
    _run([*apt, "download", "prometheus"], folder)
    packages = list(folder.glob("prometheus_*.deb"))
    if len(packages) != 1:
        raise PrometheusError(f"apt-get left {[path.name for path in packages]} and not one package")
    _run(["dpkg-deb", "-x", str(packages[0]), str(folder / "root")], folder)


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_FETCH_TIMEOUT)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise PrometheusError(f"tests need `prometheus` and `promtool`: install both. {command[0]} failed:\n{tail}")


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock that the kernel drops even if this process is killed."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def promtool(*arguments: str, stdin: bytes = b"") -> None:
    """Run promtool; it must be content."""
    done = subprocess.run(
        [program("promtool"), *arguments], input=stdin, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


@contextmanager
def running(config: Path, data: Path) -> Iterator[str]:
    """A Prometheus of one's own with a configuration; its address."""
    port = free_port()
    log = data.with_suffix(".log")
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address={HOST}:{port}",
        "--storage.tsdb.retention.time=1h",
    ]
    with log.open("wb") as file:
        process = subprocess.Popen([*killed_with_parent(), *command], stdout=file, stderr=file, cwd=config.parent)
    try:
        wait_until(
            lambda: b"Server is ready to receive web requests" in log.read_bytes() or process.poll() is not None,
            _START_TIMEOUT,
            "Prometheus does not come up",
        )
        assert process.poll() is None, log.read_text()
        yield f"{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(30)


def main() -> int:
    """Get the programs and print where they are."""
    try:
        found = [program(name) for name in PROGRAMS]
    except PrometheusError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("".join(f"{path}\n" for path in found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
