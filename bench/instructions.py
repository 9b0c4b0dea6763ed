"""Instructions an event: what the worker's own path takes, by what the bare loop's takes. No clock is read.

Each is run under callgrind (https://valgrind.org/docs/manual/cl-manual.html), which counts the instructions inside
one call alone, the same ones each time, whatever else the machine does: a batch from bytes to bytes, that is
decode, features, the model, encode; not Kafka's clients. The ratio of both counts is compared with the committed one,
since builds of Python and numpy differ.

    python -m bench.instructions [--write]
"""

import argparse
import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from bench.bare_loop import PROVENANCE, Flight, Model
from bench.events import events
from consumer.assembly import assemble
from consumer.cli.options import load_pipeline
from consumer.types import Enriched, Event, PlainEvent

ROOT: Final = Path(__file__).parents[1]
FIGURE: Final = Path(__file__).with_suffix(".txt")
ROWS: Final = 256
BATCHES: Final = 8
_TOLERANCE: Final = 0.05
# What ctypes calls a foreign function through: counted is what happens inside it, and nobody else here calls any.
_DOOR: Final = "ffi_call"
_COLLECTED: Final = re.compile(r"Collected : (\d+)")


def main() -> None:
    """Count both, and compare or write their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="commit to the ratio that is found")
    parser.add_argument("--inside", choices=("bare", "onelane"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        run(arguments.inside)
        return
    if shutil.which("valgrind") is None:
        raise SystemExit("instructions are counted by valgrind: install it (apt-get install valgrind)")
    counts = {way: counted(way) for way in ("bare", "onelane")}
    ratio = counts["onelane"] / counts["bare"]
    for way, count in counts.items():
        print(f"{way:<8} {count:8.0f} instructions an event")
    if arguments.write:
        FIGURE.write_text(f"{ratio:.3f}\n")
        print(f"ratio {ratio:.3f}, written to {FIGURE.relative_to(ROOT)}")
        return
    committed = float(FIGURE.read_text())
    print(f"ratio {ratio:.3f}, committed {committed:.3f}")
    if abs(ratio / committed - 1) > _TOLERANCE:
        raise SystemExit(
            f"that is more than {_TOLERANCE:.0%} from what is committed: find out why, or commit to it with --write"
        )


def counted(way: str) -> float:
    """Return the instructions that one way takes an event."""
    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={_DOOR}"]
        command = [
            *valgrind,
            f"--callgrind-out-file={folder}/out",
            sys.executable,
            "-m",
            __spec__.name,
            "--inside",
            way,
        ]
        # Dictionaries and sets that hash texts otherwise in each process would make for other counts.
        environment = {**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    found = _COLLECTED.search(done.stderr)
    if done.returncode or found is None:
        raise SystemExit(f"{way} can't be counted:\n{done.stderr[-2000:]}")
    return int(found[1]) / (ROWS * BATCHES)


def run(way: str) -> None:
    """Warm up, then go through the door with a few batches."""
    enrich = {"bare": bare, "onelane": onelane}[way]()
    made = [PlainEvent(value, key=key) for key, value in events("small", ROWS * BATCHES)]
    batches: list[list[Event]] = [list(made[start : start + ROWS]) for start in range(0, len(made), ROWS)]
    for batch in batches:
        enrich(batch)
    through(lambda: [enrich(batch) for batch in batches])


def onelane() -> Callable[[list[Event]], object]:
    """Return what a lane does with a batch."""
    assembly = assemble(load_pipeline(ROOT / "bench" / "pipelines" / "small.yaml"))
    # How many rows to run at once is found by the clock, which callgrind makes slow.
    assembly = msgspec.structs.replace(assembly, verdict=assembly.verdict.of(ROWS))
    enricher = assembly.enrichers()()

    def enrich(batch: list[Event]) -> object:
        results = enricher.enrich(batch)
        if not all(type(result) is Enriched for result in results):
            raise AssertionError("an event of the bench became a dead letter")
        return results

    return enrich


def bare() -> Callable[[list[Event]], object]:
    """Return what the bare loop does with a batch."""
    model, decode = Model(), msgspec.json.Decoder(Flight).decode

    def enrich(batch: list[Event]) -> object:
        values = [event.value() or b"" for event in batch]
        minutes, lates = model.predict([decode(value) for value in values])
        return [
            b'%b,"delay":{"minutes":%b,"late":%b%b' % (value[:-1], minute, b"true" if late else b"false", PROVENANCE)
            for value, minute, late in zip(values, minutes, lates, strict=True)
        ]

    return enrich


def through(work: Callable[[], object]) -> None:
    """Do it inside a call of a foreign function, which calls back."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

    def compare(_key: int, _item: int) -> int:
        work()
        return 0

    one = ctypes.create_string_buffer(1)
    ctypes.CDLL(None).bsearch(one, one, ctypes.c_size_t(1), ctypes.c_size_t(1), kind(compare))


if __name__ == "__main__":
    main()
