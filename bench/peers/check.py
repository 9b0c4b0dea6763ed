"""Does each peer do the whole job, and rightly? A real broker, and a few thousand events.

`python -m bench.peers.check [WAY...]` prints a table: of the events, how many records are there, are missing, come
more than once, are not what they should be; how long it took to the last record, and how it ended when it was told to.
"""

import argparse
import collections
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

import orjson
from confluent_kafka import Producer

from bench.environments import environment
from bench.events import Keyed, events
from bench.peers.job import Job
from bench.peers.records import differences
from tests.support.kafka import KafkaBroker
from tests.support.topics import Record, end_offsets, read_all

ROOT: Final = Path(__file__).parents[2]
PARTITIONS: Final = 6
SOURCE: Final = "events"
PATIENCE: Final = 120.0
ENDING: Final = 30.0
_LOOK_EVERY: Final = 0.2
_REFUSED: Final = 2


@dataclass(frozen=True)
class Way:
    """A peer, and how it is called."""

    peer: str
    options: tuple[str, ...] = ()


_EXACTLY_ONCE: Final = ("--delivery", "exactly_once")

# Name in the table -> way.
WAYS: Final[Mapping[str, Way]] = {
    "plain": Way("plain"),
    "batched": Way("batched"),
    "batched, exactly once": Way("batched", _EXACTLY_ONCE),
    "quix": Way("quix"),
    "quix, exactly once": Way("quix", _EXACTLY_ONCE),
    "quix, batched": Way("quix", ("--batched",)),
    "arroyo": Way("arroyo"),
    "faust": Way("faust"),
    "faust, exactly once": Way("faust", _EXACTLY_ONCE),
    "faststream": Way("faststream"),
    "bytewax": Way("bytewax"),
    "pathway": Way("pathway"),
    "spark": Way("spark"),
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came of a run."""

    complete: int = 0
    missing: int = 0
    doubled: int = 0
    wrong: int = 0
    moved: int = 0
    seconds: float = 0.0
    end: str = ""
    example: str = ""


def main() -> int:
    """Check, and print the table; 0 if all is complete and right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"a peer, or one of: {'; '.join(WAYS)}")
    parser.add_argument("--job", default="small")
    parser.add_argument("--events", type=int, default=5_000)
    given = parser.parse_args()
    wanted = {name: way for name, way in WAYS.items() if not given.ways or {name, way.peer} & set(given.ways)}
    loaded = list(events(given.job, given.events))
    expected = answers(given.job, loaded)
    found: dict[str, Found] = {}
    with KafkaBroker() as kafka, tempfile.TemporaryDirectory() as folder:
        kafka.create_topic(SOURCE, PARTITIONS)
        load(kafka.bootstrap, loaded)
        for number, (name, way) in enumerate(wanted.items()):
            found[name] = run(kafka, way, given.job, expected, Path(folder) / str(number))
            print(f"{name}: {found[name]}", flush=True)
    for line in table(found):
        print(line)
    return int(any(one.missing or one.wrong or one.moved for one in found.values()))


def answers(job: str, loaded: Sequence[Keyed]) -> dict[int, tuple[bytes, object]]:
    """Return key and record that each event should have, by its number."""
    one = Job(job).one
    records = [(key, orjson.loads(one(value))) for key, value in loaded]
    return {number_of(record): (key, record) for key, record in records}


def number_of(record: Mapping[str, object]) -> int:
    """Return which event a record is of."""
    number = record.get("event_id", record.get("id"))
    return number if isinstance(number, int) else -1


def load(bootstrap: str, loaded: Sequence[Keyed]) -> None:
    """Produce the events, each key to one partition."""
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 20})
    for key, value in loaded:
        producer.produce(SOURCE, value, key)
    if producer.flush(PATIENCE):
        raise SystemExit("the events could not be produced")


def run(kafka: KafkaBroker, way: Way, job: str, expected: Mapping[int, tuple[bytes, object]], folder: Path) -> Found:
    """Run a peer until its output has as many records as there are events, and stop it as a supervisor would."""
    target = f"enriched-{folder.name}"
    kafka.create_topic(target, PARTITIONS)
    folder.mkdir()
    command = [str(environment(way.peer)), str(ROOT / "bench" / "peers" / f"{way.peer}.py")]
    command += ["--bootstrap", kafka.bootstrap, "--input", SOURCE, "--output", target, "--group", f"group-{target}"]
    command += ["--job", job, "--folder", str(folder), *way.options]
    log = folder / "log"
    with log.open("wb") as told:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, cwd=folder)
        said = Heard(process)
        try:
            if not said.ready.wait(PATIENCE):
                raise TimeoutError(f"{way}: not ready after {PATIENCE:g} s:\n{tail(log)}")
            began = time.monotonic()
            seconds = until_all_there(kafka.bootstrap, target, len(expected), process, began)
            end = ended(process)
        finally:
            process.kill()
            process.wait()
    return replace(judged(read_all(kafka.bootstrap, target), expected), seconds=seconds, end=f"{end}{tail(log, 1)}")


class Heard:
    """Reads what a peer prints, to the end, so that its pipe never fills; knows whether it was ready."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - asked for where it is made
        self.ready = threading.Event()
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def _read(self, lines: IO[bytes]) -> None:
        for line in lines:
            if line.strip() == b"ready":
                self.ready.set()


def until_all_there(bootstrap: str, target: str, count: int, process: subprocess.Popen[bytes], began: float) -> float:
    """Wait until a topic has as many records, markers of transactions counted too; return how long it took."""
    while time.monotonic() - began < PATIENCE and process.poll() is None:
        if sum(end_offsets(bootstrap, target).values()) >= count and len(read_all(bootstrap, target)) >= count:
            break
        time.sleep(_LOOK_EVERY)
    return time.monotonic() - began


def ended(process: subprocess.Popen[bytes]) -> str:
    """Tell a peer to end, and return how it did."""
    if process.poll() is not None:
        return f"ended by itself with {process.returncode}: "
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    try:
        code = process.wait(ENDING)
    except subprocess.TimeoutExpired:
        return "killed: SIGTERM did not end it: "
    return f"code {code} after {time.monotonic() - began:.1f} s: "


def judged(records: Sequence[Record], expected: Mapping[int, tuple[bytes, object]]) -> Found:
    """Compare what is there with what should be."""
    seen: collections.Counter[int] = collections.Counter()
    wrong = moved = 0
    example = ""
    for record in records:
        value = orjson.loads(record.value or b"null")
        number = number_of(value) if isinstance(value, dict) else -1
        seen[number] += 1
        key, answer = expected.get(number, (b"", None))
        told = list(differences(value, answer))
        wrong += bool(told)
        moved += record.key != key
        example = example or (told[0] if told else "")
    return Found(
        complete=len(seen.keys() & expected.keys()),
        missing=len(expected.keys() - seen.keys()),
        doubled=sum(count - 1 for count in seen.values()),
        wrong=wrong,
        moved=moved,
        example=example,
    )


def tail(log: Path, lines: int = 15) -> str:
    """Return the end of a log."""
    return "\n".join(log.read_text(errors="replace").strip().splitlines()[-lines:])


def table(found: Mapping[str, Found]) -> list[str]:
    """Return the lines of a table in Markdown."""
    lines = [
        "| way | complete | missing | doubled | wrong | other key | s | end |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {one.complete} | {one.missing} | {one.doubled} | {one.wrong} | {one.moved} | {one.seconds:.1f} |"
        f" {one.end[:100]} |"
        for name, one in found.items()
    ]
    return lines


if __name__ == "__main__":
    sys.exit(main())
