"""Does each peer do the whole job, and rightly? A real broker, and a few thousand events.

`python -m bench.peers.check [WAY...]` prints a table: of the events, how many records are there, are missing, come
more than once, are not what they should be; how long it took, starts and all, and how it ended when it was told to.
With --stops, each is stopped on the way and goes on.
"""

import argparse
import collections
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
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
# Longer than a broker waits for a member that was killed.
QUIET: Final = 60.0
ENDING: Final = 30.0
_LOOK_EVERY: Final = 0.1


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
class Trial:
    """What each way is put through.

    Attributes:
        job: its name.
        expected: key and record of each event, by its number.
        stops: how often it is stopped on the way, and started again.
        by: how.
    """

    job: str
    expected: Mapping[int, tuple[bytes, object]]
    stops: int
    by: signal.Signals


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
    parser.add_argument("--stops", type=int, default=0, help="stop it so often on the way, and start it again")
    parser.add_argument("--by", default="TERM", choices=("TERM", "KILL"), help="how to stop it on the way")
    given = parser.parse_args()
    wanted = {name: way for name, way in WAYS.items() if not given.ways or {name, way.peer} & set(given.ways)}
    loaded = list(events(given.job, given.events))
    trial = Trial(
        job=given.job,
        expected=answers(given.job, loaded),
        stops=given.stops,
        by=signal.Signals[f"SIG{given.by}"],
    )
    found: dict[str, Found] = {}
    with KafkaBroker() as kafka, tempfile.TemporaryDirectory() as folder:
        kafka.create_topic(SOURCE, PARTITIONS)
        load(kafka.bootstrap, loaded)
        for number, (name, way) in enumerate(wanted.items()):
            found[name] = run(kafka, way, trial, Path(folder) / str(number))
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
        while True:
            try:
                producer.produce(SOURCE, value, key)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(PATIENCE):
        raise SystemExit("the events could not be produced")


def run(kafka: KafkaBroker, way: Way, trial: Trial, folder: Path) -> Found:
    """Run a peer until its output has as many records as there are events, and stop it as a supervisor would."""
    target = f"enriched-{folder.name}"
    kafka.create_topic(target, PARTITIONS)
    state = folder / "state"
    state.mkdir(parents=True)
    command = [str(environment(way.peer)), str(ROOT / "bench" / "peers" / f"{way.peer}.py")]
    command += ["--bootstrap", kafka.bootstrap, "--input", SOURCE, "--output", target, "--group", f"group-{target}"]
    command += ["--job", trial.job, "--folder", str(state), *way.options]
    began = time.monotonic()
    end = ""
    for share in range(1, trial.stops + 2):
        wanted = len(trial.expected) * share // (trial.stops + 1)
        by = trial.by if share <= trial.stops else signal.SIGTERM
        end = part(command, folder, lambda: count(kafka.bootstrap, target, len(trial.expected)), wanted, by)
    found = judged(read_all(kafka.bootstrap, target), trial.expected)
    return replace(found, seconds=time.monotonic() - began, end=end)


def part(command: Sequence[str], folder: Path, there: Callable[[], int], wanted: int, by: signal.Signals) -> str:
    """Run a peer until there are so many records, or no more come; stop it, and return how it ended."""
    log = folder / "log"
    with log.open("wb") as told:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, cwd=folder)
        said = Heard(process)
        try:
            if not said.ready.wait(PATIENCE):
                raise TimeoutError(f"{command[1]}: not ready after {PATIENCE:g} s:\n{tail(log)}")
            until_there(there, wanted, process)
            end = ended(process, by)
        finally:
            process.kill()
            process.wait()
    if "by itself" in end:
        print(tail(log, 60), file=sys.stderr)
    return f"{end}{tail(log, 1)}"


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


def count(bootstrap: str, target: str, most: int) -> int:
    """Return how many records a topic has; where that may be all of them, how many different ones."""
    there = sum(end_offsets(bootstrap, target).values())  # markers of transactions too
    if there < most:
        return there
    return len({number_of(orjson.loads(record.value or b"null")) for record in read_all(bootstrap, target)})


def until_there(there: Callable[[], int], wanted: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until there are so many records, or none have come for a while."""
    began = quiet_since = time.monotonic()
    before = there()
    while before < wanted and process.poll() is None:
        time.sleep(_LOOK_EVERY)
        now = time.monotonic()
        found = there()
        quiet_since = now if found != before else quiet_since
        before = found
        if now - quiet_since > QUIET or now - began > PATIENCE:
            break


def ended(process: subprocess.Popen[bytes], by: signal.Signals) -> str:
    """Have a peer end, and return how it did."""
    if process.poll() is not None:
        return f"ended by itself with {process.returncode}: "
    process.send_signal(by)
    began = time.monotonic()
    try:
        code = process.wait(ENDING)
    except subprocess.TimeoutExpired:
        return f"{by.name} did not end it: "
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
