"""Dead letters in scenarios: events that fall out, `onelane dead-letters` on them, and replays that are killed."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.command import ROOT, onelane
from tests.support.processes import killed_with_parent
from tests.support.stream import EXAMPLE, Stream, record
from tests.support.topics import NewRecord, committed, open_transactions, wait_until

# Every third event flies farther than the narrow mapping allows.
FAR = 4000.0
TIMEOUT = 120.0


def mapping(highest: float | None) -> dict[str, Any]:
    """Return a change of the pipeline: distances above this are out of range; all are within it for None."""
    spec = YAML(typ="safe", pure=True).load(EXAMPLE)
    features = spec["model"]["inputs"]["features"]
    for feature in features:
        if feature["field"] == "distance" and highest is not None:
            feature["range"] = [0, highest]
    return {"model": {"inputs": {"features": features}}}


def flight(number: int) -> NewRecord:
    """Return an event; every third one flies far."""
    return record(number, distance=FAR) if number % 3 == 0 else record(number)


def dead_letters(stream: Stream, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run `onelane dead-letters COMMAND PIPELINE … --json`, and return what it says."""
    command, *options = arguments
    done = onelane("dead-letters", command, stream.pipeline, "--json", *options, timeout=TIMEOUT)
    assert done.returncode == code, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout) if code == 0 else {"error": done.stderr.decode()}
    return answer


def kill_after(stream: Stream, seconds: float, *options: str, log: Path) -> bool:
    """Start a replay, and kill it as `kill -9` does after so long; whether it was still at work."""
    process = _start(stream, options, log)
    try:
        time.sleep(seconds)
        return process.poll() is None
    finally:
        process.kill()
        process.wait(30)


def kill_in_transaction(stream: Stream, topic: str, *options: str, log: Path) -> None:
    """Start a replay, and kill it as `kill -9` does while it has one transaction behind it and another open."""
    group = f"{stream.name}.replay"
    before = committed(stream.bootstrap, group, stream.dead)
    process = _start(stream, options, log)
    try:
        wait_until(
            lambda: _in_the_middle(stream, group, topic, before) or process.poll() is not None,
            60,
            f"the replay never has a transaction behind it and another open: {log.read_text()}",
        )
        assert process.poll() is None, f"the replay has ended: {log.read_text()}"
    finally:
        process.kill()
        process.wait(30)
    assert open_transactions(stream.bootstrap, topic), "it was killed between two transactions"


def _in_the_middle(stream: Stream, group: str, topic: str, before: Mapping[int, int | None]) -> bool:
    return committed(stream.bootstrap, group, stream.dead) != before and bool(
        open_transactions(stream.bootstrap, topic)
    )


def _start(stream: Stream, options: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.support.slow_replay", "dead-letters", "replay", str(stream.pipeline)]
    with log.open("ab") as out:
        return subprocess.Popen(
            [*killed_with_parent(), *command, "--yes", *options], cwd=ROOT, stdout=out, stderr=out
        )
