"""Runs the topic creator of docker-compose.yml with a stand-in for Kafka's tool, and tells what it asked for."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.files import ROOT, load

TOOL = "/opt/kafka/bin/kafka-topics.sh"
RECORDER = f"""#!{sys.executable}
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
"""


@dataclass(frozen=True)
class Topic:
    """A topic as the creator asked for it."""

    partitions: int
    config: dict[str, str]


def created(folder: Path) -> dict[str, Topic]:
    """The topics by name, from really running the creator's shell script in `folder`."""
    calls = folder / "calls"
    recorder = folder / "kafka-topics.sh"
    recorder.write_text(RECORDER, encoding="utf-8")
    recorder.chmod(0o755)
    service = load(ROOT / "docker-compose.yml")["services"]["topics"]
    # Compose itself turns $$ into $.
    script = service["command"][0].replace("$$", "$").replace(TOOL, str(recorder))
    subprocess.run([*service["entrypoint"], script], check=True, env={**os.environ, "CALLS": str(calls)})
    return dict(_topic(json.loads(line)) for line in calls.read_text(encoding="utf-8").splitlines())


def _topic(arguments: list[str]) -> tuple[str, Topic]:
    settings = [arguments[at + 1] for at, flag in enumerate(arguments) if flag == "--config"]
    partitions = int(_after("--partitions", arguments))
    return _after("--topic", arguments), Topic(partitions, dict(setting.split("=") for setting in settings))


def _after(flag: str, arguments: list[str]) -> str:
    return arguments[arguments.index(flag) + 1]
