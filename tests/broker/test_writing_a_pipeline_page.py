"""docs/writing-a-pipeline.md, on a broker: a worker takes the topics that it makes, and its commands work there."""

import gzip
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.kafka.topics import look_at_topics
from consumer.pipeline.load import load
from tests.support.brokers import Brokers
from tests.support.command import ROOT, onelane
from tests.support.topics import read_all, wait_until

PAGE = (ROOT / "docs" / "writing-a-pipeline.md").read_text()
TOPICS, WORK = (
    [shlex.split(line) for line in block.splitlines()] for block in re.findall(r"```sh\n(.+?)```", PAGE, re.DOTALL)
)
PAYMENTS = ROOT / "examples" / "payments"


def test_the_commands_make_topics_that_a_worker_takes(
    kafka: Brokers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By Kafka's own tool; a worker then enriches what the page has produced."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap)
    monkeypatch.setenv("ONELANE_HTTP", "127.0.0.1:0")
    for program, *arguments in TOPICS:
        assert program == "kafka-topics.sh"
        here = [kafka.bootstrap if word == "localhost:9092" else word for word in arguments]
        done = kafka.tool("TopicCommand", *here)
        assert done.returncode == 0, done.stderr
    events = tmp_path / "payments.jsonl.gz"
    with gzip.open(PAYMENTS / "events.jsonl.gz") as lines:
        events.write_bytes(gzip.compress(b"".join(line for _, line in zip(range(300), lines, strict=False))))
    shutil.copy(PAYMENTS / "models" / "fraud.tflite", tmp_path)
    pipeline = tmp_path / "pipeline.yaml"
    made = onelane("init", "--model", tmp_path / "fraud.tflite", "--sample", events, "--output", pipeline)
    assert made.returncode == 0, made.stderr
    found = look_at_topics(load(pipeline).spec)
    assert found.limits["payments-dead"] - found.limits["payments"] == 65_536
    run, produce, look = WORK
    assert run == ["onelane", "run", "pipeline.yaml"]
    with subprocess.Popen([sys.executable, "-m", "consumer", "run", str(pipeline)], cwd=ROOT) as worker:
        subprocess.run(
            [sys.executable, ROOT / produce[1], events, *produce[3:]], check=True, capture_output=True, timeout=60
        )
        out = ("payments-enriched", "payments-dead")
        wait_until(lambda: sum(len(read_all(kafka.bootstrap, topic)) for topic in out) == 300, 60, "some are missing")
        worker.terminate()
        assert worker.wait(30) == 0
    assert look[:3] == ["onelane", "enrich", "pipeline.yaml"]
    sampled = onelane("enrich", pipeline, *look[3:])
    assert len(sampled.stdout.splitlines()) + len(sampled.stderr.splitlines()) == 3
