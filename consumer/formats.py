"""From the formats of a pipeline file to what reads events and writes enriched records."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from consumer.exits import RefusedError
from consumer.pipeline.findings import Finding
from consumer.pipeline.formats import kept_name
from consumer.pipeline.load import PipelineFile
from consumer.pipeline.paths import is_part, parse
from consumer.pipeline.spec import Pipeline
from consumer.records.dialect import Dialect, Rules
from consumer.records.envelope import Bare, Decoder, Envelope, Wire, prefix
from consumer.records.json_reader import JsonReader
from consumer.records.json_schema import JsonDecoder, derive
from consumer.records.keep import KeepWriter
from consumer.records.layouts import make_layout
from consumer.records.predictions import Predictions
from consumer.records.raw import RawReader
from consumer.records.reader import Reader
from consumer.records.schemas import Registry, Schema, SchemaError, subject_of
from consumer.records.translated import TranslatingReader
from consumer.records.values import Fields
from consumer.records.writer import FramedWriter, JsonWriter, Writer, as_they_came, as_translated

_KINDS: Final[Mapping[str, str]] = {"json_schema": "JSON", "avro": "AVRO", "protobuf": "PROTOBUF"}
_TEXT: Final = ("json", "json_schema")
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
# Bytes of a registry's prefix: docs/formats.md.
_FRAME: Final = len(prefix(0))


class Formats(msgspec.Struct, frozen=True):
    """How events are read and enriched records written.

    Attributes:
        reader: of events.
        writer: of enriched records.
        schema: of enriched records; None for json, which has none.
        selector: reads what the filter looks at; None where there is none.
        event: what events are read as, where they have a schema that is known at the start.
    """

    reader: Reader
    writer: Writer
    schema: Schema | None
    selector: Reader | None = None
    event: Schema | None = None


def open_formats(
    file: PipelineFile,
    fields: Mapping[str, Any],
    predictions: Predictions,
    answers: Fields,
    registry: Registry | None,
    *,
    selected: Collection[str] = (),
) -> Formats:
    """Make reader and writer.

    Args:
        file: the pipeline.
        fields: of the value, that features read, with the type that each is decoded as.
        predictions: makes what the field of predictions holds.
        answers: what kind of values these are.
        registry: of the section ``registry``; None where there is none.
        selected: fields of the value that the filter looks at.

    Raises:
        RefusedError: a schema won't do, a package is missing, or the registry refuses.
        FatalBrokerError: the registry does not answer.
    """
    spec = file.spec
    filters = dict.fromkeys(selected, Any)
    rules = _rules(spec, {**fields, **filters})
    event = _event_schema(file, registry)
    with _refusing(file):
        dialects: dict[str, Dialect] = {}
        for name in {spec.input.format, spec.output_format}.difference(("raw", *_TEXT)):
            dialects[name] = _dialect(name, event if name == spec.input.format else None, rules)
        reader = _reader(spec, JsonReader(fields, rules.forbidden), dialects, event, registry)
        selector = None if spec.when is None else _reader(spec, JsonReader(filters, None), dialects, event, registry)
        target = dialects.get(spec.output_format)
        if target is not None:
            schema = target.derived(answers)
            writer = target.writer(_lead(spec, schema, registry), predictions, answers)
            return Formats(reader, writer, schema, selector, event)
        json_writer = _json_writer(spec, reader, predictions)
        if spec.output_format == "json":
            return Formats(reader, json_writer, None, selector, event)
        known = event if spec.input.format == "json_schema" else None
        schema = derive(known, spec.output.layout, spec.output.field, answers)
        return Formats(reader, FramedWriter(_lead(spec, schema, registry), json_writer), schema, selector, event)


def record_reader(spec: Pipeline, formats: Formats) -> Callable[[bytes], dict[str, Any]]:
    """Return what reads the predictions of an enriched record back.

    Args:
        spec: the pipeline.
        formats: its formats.
    """
    name, field = spec.output_format, spec.output.field
    framed = _FRAME if spec.registry and name != "json" else 0
    if name in _TEXT or formats.schema is None:
        return lambda value: _answers(value[framed:], field)
    # Beside or without its event, the record is the first message of the file.
    message = (spec.input.message or "") if spec.output.layout == "merge" else ""
    rules = _rules(spec, {})
    alone = msgspec.structs.replace(rules, finite=frozenset({field}), forbidden=None, layout="only", message=message)
    decoder = _dialect(name, None, alone).decoder(formats.schema)
    return lambda value: _answers(decoder.text(value[framed:]), field)


def event_teller(file: PipelineFile, registry: Registry | None) -> Callable[[bytes], bytes] | None:
    """Return what says as JSON what an event says, for people; None where its bytes are all that there is.

    Args:
        file: the pipeline.
        registry: of the section ``registry``; None where there is none.

    Returns:
        A function that raises FaultError for an event that is not what its schema says, or says what JSON has no
        words for, and NotYetError where the registry does not answer.

    Raises:
        RefusedError: the schema won't do, or a package is missing.
    """
    spec, name = file.spec, file.spec.input.format
    if name not in _KINDS:
        return None
    rules = msgspec.structs.replace(_rules(spec, {}), finite=None, forbidden=None, layout="only")
    event = None if file.schema is None else schema_of(spec, file.schema)
    # What does not go with the pipeline's schema is what people want to see: as it was written, where that is known.
    known = None if registry is not None and name == "avro" else event
    with _refusing(file):
        decoder = JsonDecoder if name == "json_schema" else _dialect(name, known, rules).decoder
        envelope = _envelope(registry, decoder, event)

    def tell(value: bytes) -> bytes:
        found, payload = envelope.open(value)
        return found.text(payload)

    return tell


def _answers(text: bytes, field: str) -> dict[str, Any]:
    """Return what a record says under a field; the rest of it may hold what Python has no numbers for."""
    answers: dict[str, Any] = msgspec.json.decode(_FIELDS.decode(text)[field])
    return answers


def _json_writer(spec: Pipeline, reader: Reader, predictions: Predictions) -> Writer:
    output = spec.output
    events = as_translated if isinstance(reader, TranslatingReader) else as_they_came
    if output.keep:
        names = {field: kept_name(field) for field in output.keep}
        return KeepWriter(names, output.field, predictions, events)
    return JsonWriter(predictions, make_layout(output.layout, output.field, output.existing), events)


def _rules(spec: Pipeline, fields: Mapping[str, Any]) -> Rules:
    output = spec.output
    read = [*fields, *(name for name in output.keep or () if not is_part(name))]
    as_json = spec.output_format in _TEXT and output.layout != "only"
    return Rules(
        finite=None if as_json else frozenset(str(parse(field)[0]) for field in read),
        forbidden=output.field if output.layout == "merge" and output.existing == "dead_letter" else None,
        registry=bool(spec.registry),
        message=spec.input.message or "",
        layout=output.layout,
        field=output.field,
        number=output.number,
        name=re.sub(r"^(?=\d)|\W", "_", spec.name, flags=re.ASCII),
    )


def _event_schema(file: PipelineFile, registry: Registry | None) -> Schema | None:
    """Return what events are read as, and records made from."""
    spec = file.spec
    kind = _KINDS.get(spec.input.format)
    if kind is None:
        return None
    if file.schema is not None:
        return schema_of(spec, file.schema)
    if registry is None:
        return None
    subject = subject_of(spec.input.topic)
    schema = registry.latest(subject)
    needed = spec.output_format == spec.input.format and spec.output.layout != "only"
    if schema is None and needed:
        raise RefusedError(
            f"the registry has no schema under {subject} yet, which that of {spec.output.topic} is made from: "
            "register it, or say `schema: FILE` in section input"
        )
    return schema


def schema_of(spec: Pipeline, content: bytes) -> Schema:
    """Return the schema in a file, of a format that has schemas.

    Raises:
        RefusedError: a package is missing.
    """
    name = spec.input.format
    if name != "protobuf":
        return Schema(_KINDS[name], content.decode("utf-8", "replace"))
    from consumer.records.protobuf_schema import from_file  # noqa: PLC0415

    return Schema(_KINDS[name], from_file(content))


def _dialect(name: str, event: Schema | None, rules: Rules) -> Dialect:
    """Make a format, whose package is an extra."""
    if name == "avro":
        from consumer.records.avro import AvroDialect  # noqa: PLC0415

        return AvroDialect(event, rules)
    from consumer.records.protobuf import ProtobufDialect  # noqa: PLC0415

    return ProtobufDialect(event, rules)


def _reader(
    spec: Pipeline,
    json: JsonReader,
    dialects: Mapping[str, Dialect],
    event: Schema | None,
    registry: Registry | None,
) -> Reader:
    if spec.input.format == "json":
        return json
    if spec.input.format == "raw":
        return RawReader()
    decoder = JsonDecoder if spec.input.format == "json_schema" else dialects[spec.input.format].decoder
    return TranslatingReader(_envelope(registry, decoder, event), json)


def _envelope(registry: Registry | None, decoder: Callable[[Schema], Decoder], event: Schema | None) -> Envelope:
    """Return what takes events out of what they came in."""
    if registry is not None:
        return Wire(registry, decoder)
    if event is None:  # the pipeline file has been refused
        raise SchemaError("there is none")
    return Bare(decoder(event))


def _lead(spec: Pipeline, schema: Schema, registry: Registry | None) -> bytes:
    """Return what stands before each enriched record, whose schema has its id from here on."""
    if registry is None:
        return b""
    return prefix(registry.claim(subject_of(spec.output.topic), schema))


@contextmanager
def _refusing(file: PipelineFile) -> Iterator[None]:
    """Refuse a schema that won't do: of a file, at the place that names it."""
    try:
        yield
    except SchemaError as error:
        told = f"the schema of {file.spec.input.topic} won't do: {error}"
        if file.spec.input.schema is None:
            raise RefusedError(told) from None
        raise file.misfits([Finding(("input", "schema"), told)]) from None
