"""The jars of Apache Kafka, fetched once by Maven into the git-ignored cache.

`python -m tests.support.jars` fetches them ahead of the tests; everything that starts a broker calls
`kafka_jars()`, which does the same when they are not there yet.
"""

import fcntl
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

POM = Path(__file__).with_name("kafka-pom.xml")
CACHE = Path(__file__).parents[2] / ".cache" / "kafka"

# What to install, by the program that is missing.
PACKAGES = {
    "java": "a Java 17 runtime or newer (Debian: apt-get install default-jre-headless)",
    "mvn": "Apache Maven (Debian: apt-get install maven)",
    "go": "Go 1.22 or newer, which builds Toxiproxy (Debian: apt-get install golang-go)",
}


# A Java machine that is up soon and takes little, and slower once warm.
QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")

# At the default level the cause of a failed start drowns in settings and the order of shutting down.
LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.coordinator.group=info",  # who joins, leaves, is missed
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.coordinator.transaction=info",  # who is fenced, timed out
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)


class JarsError(RuntimeError):
    """The jars, or a program that fetches or runs them, can't be had."""


def program(name: str) -> str:
    """The full path of `java`, `mvn` or `go`; raises JarsError that says what to install."""
    path = shutil.which(name)
    if path is None:
        raise JarsError(
            f"'{name}' is not on the PATH, and the tests on a real broker need it: install {PACKAGES[name]}"
        )
    return path


def java(flags: Sequence[str], main: str, *args: str) -> list[str]:
    """The command that runs a class of Kafka's jars."""
    return [program("java"), *flags, *LOGGING, "-cp", f"{kafka_jars()}/*", main, *args]


def kafka_jars() -> Path:
    """The folder of jars that hold the broker and its tools; fetched if it is missing or of another pom."""
    libs = CACHE / "libs"
    if not _is_current(libs):
        CACHE.mkdir(parents=True, exist_ok=True)
        with lock(CACHE / "lock"):
            if not _is_current(libs):  # another process may have fetched them while this one waited
                _fetch(libs)
    return libs


def _is_current(libs: Path) -> bool:
    """Whether the jars are there and came from the pom as it is now."""
    pom = libs / POM.name
    return pom.exists() and pom.read_bytes() == POM.read_bytes()


def _fetch(libs: Path) -> None:
    """Fill a temporary folder, then rename it: an interrupted download never looks like a finished one."""
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="fetching-") as temporary:
        made = Path(temporary) / "libs"
        made.mkdir()
        _run_maven(made)
        shutil.copy(POM, made)
        shutil.rmtree(libs, ignore_errors=True)
        made.rename(libs)


def _run_maven(target: Path) -> None:
    """Let Maven copy every jar that the pom needs at run time into `target`."""
    done = subprocess.run(
        [
            program("mvn"),
            "--batch-mode",
            "--quiet",
            f"--file={POM}",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={target}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise JarsError(f"Maven could not fetch the jars of {POM}:\n{tail}")


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock that the kernel drops even if this process is killed."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Fetch the jars and print where they are."""
    try:
        libs = kafka_jars()
    except JarsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{libs}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
