"""The demo's stage: example events, a pipeline file of its own, and a real worker process."""

import contextlib
import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
from ruamel.yaml import YAML

from consumer.deadletter.headers import ROOM
from consumer.exits import FatalBrokerError, RefusedError

_STOP: Final = 30.0
# A Kafka topic's own default.
_EVENT_LIMIT: Final = 1_048_588

ROLES: Final = ("input", "output", "dead_letters")


class Plan(msgspec.Struct, frozen=True):
    """What the demo runs.

    Attributes:
        topics: by their section of the pipeline file: input, output, dead_letters.
        delivery: exactly_once, or at_least_once where the broker stores no transactional offsets.
        kafka: librdkafka settings that the broker needs.
    """

    topics: dict[str, str]
    delivery: str
    kafka: dict[str, str | int] = {}

    def topic_settings(self) -> dict[str, dict[str, str]]:
        """Return the settings of each topic; dead letters need room for their headers."""
        return {
            name: {"max.message.bytes": str(_EVENT_LIMIT + ROOM)} if role == "dead_letters" else {}
            for role, name in self.topics.items()
        }


def example_folder() -> Path:
    """Return the flights example, in a checkout or in the installed package.

    Raises:
        RefusedError: it is in neither.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "examples" / "flights", package.parent / "examples" / "flights"):
        if (folder / "pipeline.yaml").exists():
            return folder
    raise RefusedError("the flights example is not installed: run the demo from a checkout")


def example_events(folder: Path) -> list[bytes]:
    """Return the example's events, one JSON object each."""
    with gzip.open(folder / "events.jsonl.gz") as lines:
        return [line.rstrip(b"\n") for line in lines]


def broken_events(event: bytes) -> dict[str, bytes]:
    """Return real trouble made of a good event, each by what is wrong with it."""
    fields: dict[str, Any] = orjson.loads(event)
    return {
        "cut off in the middle": event[: len(event) // 2],
        "delay given as a word": orjson.dumps(fields | {"dep_delay": "twelve"}),
        "distance absent": orjson.dumps({name: value for name, value in fields.items() if name != "distance"}),
        "a time that is none": orjson.dumps(fields | {"time_hour": "2013-02-30T05:00:00Z"}),
        "already enriched": orjson.dumps(fields | {"delay": {"minutes": 1}}),
        "not UTF-8": event.replace(b'"tailnum":"', b'"tailnum":"\xff', 1),
    }


def write_pipeline(example: Path, folder: Path, plan: Plan) -> Path:
    """Write the example's pipeline file with the plan's topics and delivery, its paths made absolute."""
    yaml = YAML()
    tree = yaml.load(example / "pipeline.yaml")
    tree["name"] = plan.topics["input"]
    tree["delivery"] = plan.delivery
    tree["kafka"].update(plan.kafka)
    for role, topic in plan.topics.items():
        tree[role]["topic"] = topic
    tree["model"]["path"] = str(example / tree["model"]["path"])
    for tensor in tree["model"]["inputs"].values():
        for feature in tensor if isinstance(tensor, list) else [tensor]:
            if isinstance(feature.get("vocabulary"), str):
                feature["vocabulary"] = str(example / feature["vocabulary"])
    path = folder / "pipeline.yaml"
    yaml.dump(tree, path)
    return path


class WorkerProcess:
    """A real ``onelane run``, its log kept in a file.

    Args:
        pipeline: the file it runs.
        environment: variables beside those of this process.
        log: where its log goes.
    """

    def __init__(self, pipeline: Path, environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603 - our own command, on a file of our own
                [sys.executable, "-m", "consumer", "run", str(pipeline)],
                stdin=subprocess.DEVNULL,
                stderr=file,
                env={**os.environ, **environment},
            )

    def check(self) -> None:
        """See that it runs.

        Raises:
            FatalBrokerError: it ended by itself; its last words are told.
        """
        code = self._process.poll()
        if code is not None:
            words = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
            raise FatalBrokerError("\n".join([f"the worker ended by itself with code {code}:", *words]))

    def line(self, event: str) -> dict[str, Any]:
        """Return the newest line of its log with this event, or nothing."""
        for line in reversed(self._log.read_bytes().splitlines()):
            with contextlib.suppress(orjson.JSONDecodeError):
                fields: dict[str, Any] = orjson.loads(line)
                if fields.get("event") == event:
                    return fields
        return {}

    def stop(self) -> int:
        """Tell it to stop as a supervisor would, and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
