"""Reads the files that the deployment tests compare with one another."""

from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML

from consumer.pipeline import load as pipeline_file

# A parsed YAML file: whatever it says, and a test that looks in the wrong place fails.
Document: TypeAlias = Any

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "flights"
KUBERNETES = ROOT / "deploy" / "kubernetes"
PROMETHEUS = ROOT / "deploy" / "prometheus"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"

# Headers that a dead letter adds to the event.
DEAD_LETTER_HEADERS = 65_536
# Kafka's default limit of a topic's records.
KAFKA_MAX_MESSAGE = 1_048_588


def load(path: Path) -> Document:
    """The only document of a YAML file."""
    return YAML(typ="safe", pure=True).load(path)


def pipeline() -> Document:
    """The example's pipeline file."""
    return load(EXAMPLE / "pipeline.yaml")


def pipeline_topics() -> tuple[str, str, str]:
    """The example's input, output and dead-letter topic."""
    example = pipeline()
    return example["input"]["topic"], example["output"]["topic"], example["dead_letters"]["topic"]


def shutdown_timeout() -> float:
    """Seconds after which a worker of the example has ended, whether it has drained or not."""
    return pipeline_file.load(EXAMPLE / "pipeline.yaml").spec.operate.shutdown_timeout


def manifest(name: str) -> Document:
    """One of the Kubernetes manifests."""
    return load(KUBERNETES / f"{name}.yaml")
