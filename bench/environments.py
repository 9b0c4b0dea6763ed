"""Each peer's own environment: made once from its list of requirements, and again when that changes.

`python -m bench.environments [PEER...]` makes them ahead of a run.
"""

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Final

from tests.support.jars import lock, program

REQUIREMENTS: Final = Path(__file__).parent / "peers" / "requirements"
CACHE: Final = Path(__file__).parents[1] / ".cache" / "bench"
PEERS: Final = tuple(sorted(path.stem for path in REQUIREMENTS.glob("*.txt") if path.stem != "plots"))

_SPARK_POM: Final = REQUIREMENTS / "spark-pom.xml"


class EnvironmentFailedError(RuntimeError):
    """An environment can't be made."""


def environment(peer: str) -> Path:
    """Return the Python of a peer's environment, which is made if it is not there.

    Args:
        peer: the name of its script and of its list of requirements.
    """
    folder = CACHE / peer
    python = folder / "bin" / "python"
    wanted = REQUIREMENTS / f"{peer}.txt"
    made = folder / wanted.name
    CACHE.mkdir(parents=True, exist_ok=True)
    with lock(CACHE / f"{peer}.lock"):
        if not _same(made, wanted):
            venv.create(folder, clear=True, with_pip=True, symlinks=True)
            _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)], peer)
            shutil.copy(wanted, made)  # last: an installation that was cut short is none
        if peer == "spark":
            _fetch_spark_jars(folder / "jars")
    return python


def _fetch_spark_jars(folder: Path) -> None:
    """Let Maven copy the jars that pyspark has not: its package leaves the Kafka source out."""
    made = folder / _SPARK_POM.name
    if _same(made, _SPARK_POM):
        return
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        jars = Path(temporary) / "jars"
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        _run([program("mvn"), "--batch-mode", "--quiet", f"--file={_SPARK_POM}", *copy], "spark")
        shutil.copy(_SPARK_POM, jars)
        jars.rename(folder)


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.read_bytes() == other.read_bytes()


def _run(command: list[str], peer: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise EnvironmentFailedError(f"{peer}: {' '.join(command[1:4])} failed:\n{tail}")


def main() -> int:
    """Make the environments named, or all of them."""
    for peer in sys.argv[1:] or PEERS:
        print(f"{peer}: {environment(peer)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
