"""The JSON Schema of the pipeline file, for editors and for CI."""

from typing import Any

import msgspec

from consumer.pipeline.spec import Batch, Operate, Pipeline
from consumer.pipeline.units import Duration, Size


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a pipeline file."""
    made = msgspec.json.schema(Pipeline, schema_hook=_unit)
    for section in (Batch, Operate, Pipeline):
        for field in msgspec.structs.fields(section):
            default = None if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            if isinstance(default, Duration | Size):
                made["$defs"][section.__name__]["properties"][field.name]["default"] = str(default)
    _admit_variables(made)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "onelane pipeline file",
        **made,
    }


def _admit_variables(node: Any) -> None:  # noqa: ANN401 - a schema holds anything
    """Let ``${NAME}`` stand in every text that has a form: what it becomes is for the loader to judge."""
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            node["pattern"] = rf"\$\{{|{node['pattern']}"
        for inner in node.values():
            _admit_variables(inner)
    elif isinstance(node, list):
        for inner in node:
            _admit_variables(inner)


def _unit(kind: type) -> dict[str, Any]:
    examples = {Duration: ["20ms", "1s"], Size: ["4MiB"]}
    if kind in (Duration, Size):
        return {"type": "string", "pattern": kind.PATTERN, "examples": examples[kind]}
    raise NotImplementedError(kind)
