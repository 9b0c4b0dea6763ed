"""Which formats go with each other, with a registry, and with the rest of a pipeline file."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from consumer.pipeline.findings import Finding
from consumer.pipeline.findings import Path as Where
from consumer.pipeline.spec import Pipeline

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PART: Final = re.compile(r"@(key|timestamp|headers\..+)")
# Formats whose records are made of the fields that their schema names.
_TYPED: Final = ("avro", "protobuf")


def kept_name(field: str) -> str:
    """Return the name that a kept field has in a record: that of a header, or its own without the @."""
    return field.removeprefix("@headers.").removeprefix("@")


def formats(spec: Pipeline, fields: Mapping[str, Where]) -> Iterator[Finding]:
    """Find formats that can't be meant.

    Args:
        spec: the pipeline.
        fields: that its features read, with a place where each is read.
    """
    yield from _schemas(spec)
    yield from _kept(spec)
    if spec.input.format == "raw":
        for field, where in fields.items():
            if not field.startswith("@"):
                yield Finding((*where, "field"), f"a raw event has no field {field!r}", "@value, @key, @headers.name")
    source, target = spec.input.format, spec.output_format
    if source == "raw" and spec.output.layout != "only":
        yield Finding(("output", "layout"), "a raw event can't be part of a record", "use layout: only")
    elif target in _TYPED and target != source and spec.output.layout != "only":
        hint = f"use layout: only, whose records keep key and headers, or format: {source.removesuffix('_schema')}"
        yield Finding(("output", "layout"), f"{source} events can't be part of {target} records", hint)
    if target in _TYPED:
        names: list[tuple[Where, str]] = [(("output", "field"), spec.output.field)]
        names += [(("model", "outputs", name), name) for name in spec.model.outputs]
        for where, name in names:
            if not _NAME.fullmatch(name):
                yield Finding(where, f"{name!r} is no name of a field in {target}", "letters, digits and _")


def _schemas(spec: Pipeline) -> Iterator[Finding]:
    formats = ((("input", "format"), spec.input.format), (("output", "format"), spec.output_format))
    for where, name in formats:
        if name == "json_schema" and not spec.registry:
            yield Finding(
                where, "json_schema is the wire format of a registry", "use json, or say `registry: {url: …}`"
            )
    if spec.input.format in _TYPED and spec.input.schema is None and not spec.registry:
        yield Finding(
            ("input", "format"), f"{spec.input.format} needs a schema", "say `schema: FILE` or `registry: {url: …}`"
        )
    if spec.input.format in ("json", "raw") and spec.input.schema is not None:
        yield Finding(("input", "schema"), f"format {spec.input.format} has no schema", "leave it out")
    if spec.input.message is not None and spec.input.format != "protobuf":
        yield Finding(("input", "message"), "messages are of format protobuf", "leave it out")


def _kept(spec: Pipeline) -> Iterator[Finding]:
    output = spec.output
    if output.keep and output.layout != "only":
        yield Finding(
            ("output", "keep"), f"layout {output.layout} keeps all of the event", "use it with layout: only"
        )
    if output.keep and spec.output_format in _TYPED:
        yield Finding(("output", "keep"), f"{spec.output_format} records keep nothing", "use format: json")
    seen = {output.field: "the field of predictions"}
    for place, field in enumerate(output.keep):
        where: Where = ("output", "keep", place)
        name = kept_name(field)
        if field.startswith("@") and not _PART.fullmatch(field):
            yield Finding(where, f"no such part: {field!r}", "@key, @timestamp, @headers.name")
        elif spec.input.format == "raw" and not field.startswith("@"):
            yield Finding(where, f"a raw event has no field {field!r}", "@key, @timestamp, @headers.name")
        if name in seen:
            yield Finding(where, f"would be named {name!r}, as {seen[name]} is")
        seen.setdefault(name, field)
