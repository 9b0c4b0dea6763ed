"""What is well-formed in a pipeline file but can't be meant."""

import math
from collections.abc import Iterator, Mapping
from typing import Final

from consumer.pipeline.features import fields_of
from consumer.pipeline.filtering import filtering
from consumer.pipeline.findings import Finding
from consumer.pipeline.findings import Path as Where
from consumer.pipeline.formats import formats
from consumer.pipeline.mapping import each_feature, mapping
from consumer.pipeline.outputs import OverOutput, PythonOutput
from consumer.pipeline.paths import is_part, parse
from consumer.pipeline.spec import Pipeline

# Provenance stands beside the predictions, under these names.
RESERVED: Final = frozenset({"model", "pipeline"})

# In seconds. A transaction spans four batches and a checkpoint, and brokers allow it 15 minutes by default.
_MOST: Final[Mapping[Where, float]] = {
    ("batch", "wait"): 60,
    ("batch", "time"): 180,
    ("checkpoint",): 60,
    ("operate", "shutdown_timeout"): 3600,
    ("operate", "stuck_after"): 86400,
}
_LEAST: Final[Mapping[Where, tuple[float, str]]] = {
    ("operate", "shutdown_timeout"): (1, "a checkpoint may take as long, and the process would end with code 3"),
    ("operate", "stuck_after"): (1, "a machine that is busy may stand still as long"),
}
_LAST_PORT: Final = 65535


def contradictions(spec: Pipeline) -> list[Finding]:
    """Find what is well-formed but can't be meant."""
    return [
        *_same_topics(spec),
        *_empty(spec),
        *_times(spec),
        *_ports(spec),
        *_names(spec),
        *mapping(spec.model),
        *_outputs(spec),
        *filtering(spec),
        *formats(spec, {field: where for where, feature in each_feature(spec.model) for field in fields_of(feature)}),
    ]


def _same_topics(spec: Pipeline) -> Iterator[Finding]:
    topics = [("input", spec.input.topic), ("output", spec.output.topic), ("dead_letters", spec.dead_letters.topic)]
    for index, (section, topic) in enumerate(topics):
        for other, same in topics[:index]:
            if topic == same:
                yield Finding((section, "topic"), f"the same topic as {other}.topic", "use three topics")


def _empty(spec: Pipeline) -> Iterator[Finding]:
    for section in ("inputs", "outputs"):
        if not getattr(spec.model, section):
            yield Finding(("model", section), "is empty")
    amounts: list[tuple[Where, float]] = [
        (("batch", "wait"), spec.batch.wait),
        (("batch", "time"), spec.batch.time),
        (("batch", "bytes"), spec.batch.bytes),
        (("checkpoint",), spec.checkpoint),
        (("operate", "shutdown_timeout"), spec.operate.shutdown_timeout),
        (("operate", "stuck_after"), spec.operate.stuck_after),
    ]
    for where, amount in amounts:
        if amount <= 0:
            yield Finding(where, "must be more than nothing")
        elif where in _LEAST and amount < _LEAST[where][0]:
            least, why = _LEAST[where]
            yield Finding(where, f"is less than {least:g} second", why)
        elif where in _MOST and amount > _MOST[where]:
            yield Finding(where, f"is more than {_MOST[where]:g} seconds, the most that makes sense here")


def _ports(spec: Pipeline) -> Iterator[Finding]:
    address = spec.operate.http
    if address is not None and int(address.rsplit(":", 1)[1]) > _LAST_PORT:
        yield Finding(("operate", "http"), f"ports end at {_LAST_PORT}: {address}")


def _times(spec: Pipeline) -> Iterator[Finding]:
    if spec.operate.stuck_after <= spec.batch.time:
        where = ("operate", "stuck_after")
        hint = f"more than {spec.batch.time}"
        yield Finding(
            where, f"{spec.operate.stuck_after} is no longer than batch.time: a slow batch is not stuck", hint
        )


def _names(spec: Pipeline) -> Iterator[Finding]:
    for name in spec.model.outputs:
        if not name or not name.isprintable():
            yield Finding(("model", "outputs", name), "is no name that JSON readers would like", "choose another")
    for name in RESERVED & spec.model.outputs.keys():
        yield Finding(("model", "outputs", name), "this name holds the provenance", "choose another")
    output = spec.output
    if output.layout == "nest" and output.field == "event":
        yield Finding(("output", "field"), "layout nest puts the event there", "choose another")
    read = {_first(field) for _, feature in each_feature(spec.model) for field in fields_of(feature)}
    if output.layout == "merge" and output.existing == "dead_letter" and output.field in read:
        yield Finding(
            ("output", "field"),
            "a feature reads this field, but an event that has it is a dead letter",
            "choose another, or existing: replace",
        )


def _outputs(spec: Pipeline) -> Iterator[Finding]:
    for name, output in spec.model.outputs.items():
        where: Where = ("model", "outputs", name)
        if isinstance(output, OverOutput) and not math.isfinite(output.threshold):
            yield Finding((*where, "threshold"), f"must be a finite number, not {output.threshold}")
        if isinstance(output, PythonOutput) and not output.tensors:
            yield Finding((*where, "tensors"), "is empty")
        if isinstance(output, PythonOutput) and output.type == "any" and spec.output_format != "json":
            hint = "say number, integer, text or boolean"
            yield Finding(where, f"{spec.output_format} records need a `type`", hint)


def _first(field: str) -> str:
    """Return the name of the event's own field that a path begins with."""
    try:
        return field if is_part(field) else str(parse(field)[0])
    except ValueError:  # which is a finding of its own
        return field
