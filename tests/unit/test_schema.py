"""The JSON Schema of the pipeline file."""

from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from jsonschema.validators import validator_for
from ruamel.yaml import YAML

from consumer.pipeline.schema import schema
from tests.support.flights import FLIGHTS
from tests.support.pipelines import GOOD, changed

ROOT = Path(__file__).parents[2]


def errors(text: str) -> list[str]:
    """Return what the schema says of a pipeline file."""
    validator: Any = validator_for(schema())(schema())
    tree = YAML(typ="safe", pure=True).load(text)
    return [error.message for error in validator.iter_errors(tree)]


def test_the_schema_is_a_schema() -> None:
    """Of the dialect that it names."""
    assert schema()["$schema"].endswith("2020-12/schema")
    validator_for(schema()).check_schema(schema())
    assert validator_for(schema()) is jsonschema.Draft202012Validator


def test_the_committed_schema_is_this_one() -> None:
    """Editors and CI read it from schemas/."""
    assert orjson.loads((ROOT / "schemas" / "pipeline.schema.json").read_bytes()) == schema()


@pytest.mark.parametrize("name", ["pipeline.yaml", "pipeline-int8.yaml"])
def test_the_schema_accepts_the_examples(name: str) -> None:
    """Every pipeline file that we show."""
    assert errors((FLIGHTS / name).read_text()) == []


def test_the_schema_accepts_the_small_pipeline() -> None:
    """That the other tests change."""
    assert errors(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("topic: in}", "topic: '${TOPIC:-in}'}"),
        ("kafka:", "operate: {http: '${HTTP}'}\nkafka:"),
        ("kafka:", "operate: {http: '127.0.0.1:9404'}\nkafka:"),
        ("kafka:", "operate: {http: '0.0.0.0:${PORT:-9404}'}\nkafka:"),
    ],
)
def test_the_schema_accepts_variables(old: str, new: str) -> None:
    """Also where a text has a form: the loader judges what they become."""
    assert errors(changed(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("topic: in}", "topc: in}"),
        ("topic: in}", "topic: in, start: first}"),
        ("field: n, kind: number", "field: n, kind: numbr"),
        ("part: hour", "part: houre"),
        ("field: n, kind: number", "field: n, kind: number, std: 0"),
        ("kafka:", "batch: {wait: 20}\nkafka:"),
        ("kafka:", "batch: {bytes: 4mb}\nkafka:"),
        ("kafka:", "batch: {rows: 0}\nkafka:"),
        ("kafka:", "operate: {http: nowhere}\nkafka:"),
        ("name: small\n", ""),
        ("localhost:9092", "[a]"),
    ],
)
def test_the_schema_refuses_mistakes(old: str, new: str) -> None:
    """What the loader refuses for its shape, an editor shows while it is typed."""
    assert errors(changed(old, new)) != []


def test_defaults_with_units_stand_in_the_schema() -> None:
    """As they would be written in the file."""
    batch = schema()["$defs"]["Batch"]["properties"]
    assert (batch["wait"]["default"], batch["bytes"]["default"], batch["time"]["default"]) == ("20ms", "4MiB", "1s")
    assert schema()["$defs"]["Pipeline"]["properties"]["checkpoint"]["default"] == "100ms"
