"""deploy/kubernetes/scaledobject.yaml: KEDA scales the pipeline's group, up to one worker a partition."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from consumer.plan.shape import Plan
from tests.deploy.files import ROOT, Document, manifest, pipeline
from tests.deploy.topics import created

SCHEMA = Path(__file__).with_name("scaledobject.schema.json")


@pytest.fixture(name="spec")
def _spec() -> Document:
    return manifest("scaledobject")["spec"]


@pytest.fixture(name="trigger")
def _trigger(spec: Document) -> Document:
    return spec["triggers"][0]["metadata"]


def test_keda_knows_every_field() -> None:
    """The object has only fields that KEDA documents, with their types, and no two that exclude each other."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(manifest("scaledobject"))


def test_it_scales_the_deployment(spec: Document) -> None:
    """The target is the Deployment beside it."""
    assert spec["scaleTargetRef"]["name"] == manifest("deployment")["metadata"]["name"]


def test_the_most_workers_are_the_partitions(spec: Document, tmp_path: Path) -> None:
    """No worker beyond one a partition, as many as docker-compose.yml creates."""
    assert spec["maxReplicaCount"] == created(tmp_path)[pipeline()["input"]["topic"]].partitions


def test_one_worker_always_runs(spec: Document) -> None:
    """The group never scales to zero, where nothing would be committed and KEDA might see no lag."""
    assert spec["minReplicaCount"] == 1


def test_it_watches_the_group_and_topic_of_the_pipeline(trigger: Document) -> None:
    """The consumer group is the pipeline's name, and the lag is that of its input topic."""
    assert trigger["consumerGroup"] == pipeline()["name"]
    assert trigger["topic"] == pipeline()["input"]["topic"]


def test_it_counts_from_where_the_worker_starts(trigger: Document) -> None:
    """Where nothing is committed, KEDA counts the lag from where the worker would read."""
    assert trigger["offsetResetPolicy"] == pipeline()["input"]["start"]


def test_it_asks_the_brokers_of_the_worker(trigger: Document) -> None:
    """KEDA and the worker are given the same bootstrap servers."""
    environment = manifest("deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    servers = {entry["name"]: entry.get("value") for entry in environment}["KAFKA_BOOTSTRAP_SERVERS"]
    assert trigger["bootstrapServers"] == servers


def test_persistent_lag_is_judged_once_an_interval(spec: Document, trigger: Document) -> None:
    """Persistent lag is only excluded with cached metrics: two looks within one checkpoint would misjudge it."""
    assert trigger["excludePersistentLag"] == "true"
    assert spec["triggers"][0]["useCachedMetrics"] is True


def test_a_worker_is_added_for_what_the_plan_says(trigger: Document) -> None:
    """The lag is about the one that docs/scaling.md has for the example: plans differ a bit, each time."""
    plan = msgspec.json.decode((ROOT / "docs" / "scaling" / "flights.json").read_bytes(), type=Plan)
    assert int(trigger["lagThreshold"]) == pytest.approx(plan.recommended.lag_threshold, rel=0.2)


def test_it_scales_down_slower_than_a_worker_starts(spec: Document) -> None:
    """The window for scaling down outlasts the time in which a new worker becomes available."""
    behaviour = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    available = manifest("deployment")["spec"]["minReadySeconds"]
    assert behaviour["scaleDown"]["stabilizationWindowSeconds"] > available
    assert behaviour["scaleUp"]["stabilizationWindowSeconds"] < behaviour["scaleDown"]["stabilizationWindowSeconds"]
