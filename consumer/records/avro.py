"""Avro: events read with the schemas that they were written with, enriched records made beside their bytes.

A record's bytes are those of its fields, one after the other (https://avro.apache.org/docs/1.12.0/specification/),
so an event and a field more are the event's bytes and the field's: what the event said is not written again, unless
its schema is another version than the output's.
"""

import io
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import numpy.typing as npt
import orjson

from consumer.deadletter.causes import Code
from consumer.records.avro_schema import KIND, AvroSchema, fastavro, read_slowly
from consumer.records.dialect import Rules
from consumer.records.envelope import FaultError
from consumer.records.predictions import Predictions
from consumer.records.reader import Bad
from consumer.records.schemas import Reference, Schema, SchemaError
from consumer.records.translated import as_json
from consumer.records.values import Fields, ListOf, Plain, Value
from consumer.records.writer import Batch

_PRIMITIVES: Final[Mapping[Plain, str]] = {
    Plain.LONG: "long",
    Plain.FLOAT: "float",
    Plain.DOUBLE: "double",
    Plain.BOOLEAN: "boolean",
    Plain.TEXT: "string",
}
# fastavro's compiled reader calls itself for a record in a record, without a limit: 20,000 deep it took the process
# down. No event is deeper than it has bytes; longer ones of recursive schemas are read by its Python twin, which
# Python stops in time.
_SAFE_DEPTH: Final = 4096
# What fastavro raises for bytes that are not what the schema says.
_UNREADABLE: Final = (
    EOFError,
    IndexError,
    ValueError,
    OverflowError,
    TypeError,
    KeyError,
    RecursionError,
    MemoryError,
)


class AvroDecoder:
    """Reads events of one schema.

    Args:
        writer: what they were written with.
        reader: what they are read as: fields that it adds have their defaults, fields that it lacks are left out.
            None: as they were written.
        finite: fields whose numbers must be finite; None for all.
        forbidden: a field that events must not have, if any.
    """

    def __init__(
        self, writer: AvroSchema, reader: AvroSchema | None, finite: Collection[str] | None, forbidden: str | None
    ) -> None:
        self.schema = writer
        self._reader = None if reader is None or reader.same_as(writer) else reader.parsed
        self._finite = finite
        self._forbidden = forbidden if forbidden in writer.fields else None

    def text(self, payload: bytes) -> bytes:
        """Return an event as JSON."""
        if self._forbidden is not None:  # the reader's schema may have left it out
            raise FaultError(Code.FIELD_EXISTS, "the event already has the output field", self._forbidden)
        return as_json(self.record(payload, self._reader), self._finite)

    def record(self, payload: bytes, reader: Any, *, named: bool = False) -> Any:  # noqa: ANN401
        """Return an event as plain values.

        Args:
            payload: its bytes.
            reader: what it is read as; None: as it was written.
            named: whether records in unions say which they are, so that they can be written again.

        Raises:
            FaultError: the bytes are not what the schema says.
        """
        stream = io.BytesIO(payload)
        read = read_slowly if self.schema.recursive and len(payload) > _SAFE_DEPTH else fastavro.schemaless_reader
        try:
            record = read(stream, self.schema.parsed, reader, return_record_name=named)
        except UnicodeDecodeError as error:
            raise FaultError(Code.NOT_UTF8, f"a text in it is not UTF-8: {error.reason}") from None
        except fastavro.read.SchemaResolutionError as error:
            raise FaultError(Code.WRONG_TYPE, f"can't be read as the pipeline's schema says: {error}") from None
        except _UNREADABLE:
            field, words = self._unreadable(payload, read)
            raise FaultError(Code.MALFORMED, f"not what its schema says: {words}", field) from None
        if stream.tell() != len(payload):
            left, read_up_to = len(payload) - stream.tell(), stream.tell()
            words = f"{left} bytes are left over after the {read_up_to} that its schema makes a record of"
            raise FaultError(Code.MALFORMED, words)
        return record

    def _unreadable(self, payload: bytes, read: Callable[..., Any]) -> tuple[str | None, str]:
        """Say from where on bytes are not what the schema says; read field by field, which takes twice as long."""
        stream, parsed = io.BytesIO(payload), self.schema.parsed
        for field in self.schema.fields:
            start = stream.tell()
            alone = [one for one in parsed["fields"] if one["name"] == field]
            try:
                read(stream, {**parsed, "fields": alone}, None)
            except _UNREADABLE:
                ended = f", which end at {len(payload)}" if stream.tell() == len(payload) else ""
                return field, f"`{field}` can't be read of the bytes from {start} on{ended}"
        return None, f"it can't be read of {len(payload)} bytes"


class AvroDialect:
    """Avro as a pipeline uses it.

    Args:
        event: what events are read as; None: as each was written.
        rules: of the pipeline.

    Raises:
        SchemaError: it is no Avro schema, or events of it could not be enriched.
    """

    def __init__(self, event: Schema | None, rules: Rules) -> None:
        self._rules = rules
        self._event = None if event is None else AvroSchema(event)
        if self._event is not None and rules.forbidden in self._event.fields:
            raise SchemaError(
                f"events have a field {rules.forbidden!r} already: `existing: replace` lets it give way"
            )

    def decoder(self, schema: Schema) -> AvroDecoder:
        """Return what reads the events of a schema."""
        return AvroDecoder(AvroSchema(schema), self._event, self._rules.finite, self._rules.forbidden)

    def derived(self, answers: Fields) -> Schema:
        """Return the schema of enriched records."""
        rules, event = self._rules, self._event
        if rules.layout == "only" or event is None:
            added = {"name": rules.field, "type": _record(f"{rules.name}_{rules.field}", answers, {})}
            return _schema({"type": "record", "name": f"{rules.name}_enriched", "fields": [added]})
        if not event.is_record:
            raise SchemaError("events that are no records have no place for a field more")
        kept, space = self._kept(event), _space(event)
        added = {"name": rules.field, "type": _record(f"{event.tree['name']}_{rules.field}", answers, space)}
        if rules.layout == "merge":
            return _schema({**kept, "fields": [*kept["fields"], added]}, event.references)
        both = [{"name": "event", "type": kept}, added]
        name = f"{event.tree['name']}_enriched"
        return _schema({"type": "record", "name": name, **space, "fields": both}, event.references)

    def writer(self, lead: bytes, predictions: Predictions, answers: Fields) -> "AvroWriter":
        """Return what writes enriched records."""
        event = None
        if self._rules.layout != "only" and self._event is not None:
            event = AvroSchema(_schema(self._kept(self._event), self._event.references))
        return AvroWriter(lead, event, predictions, AvroSchema(_schema(_record("answers", answers, {}))))

    def _kept(self, event: AvroSchema) -> dict[str, Any]:
        """Return what of an event is written: a field that gives way is left out."""
        if self._rules.layout == "nest":
            return dict(event.tree)
        fields = [field for field in event.tree["fields"] if field["name"] != self._rules.field]
        return {**event.tree, "fields": fields}


class AvroWriter:
    """Writes enriched records in Avro.

    Args:
        lead: what stands before each.
        event: what is written of an event; None: nothing.
        predictions: makes the values that stand in the last field.
        answers: schema of these values.
    """

    def __init__(self, lead: bytes, event: AvroSchema | None, predictions: Predictions, answers: AvroSchema) -> None:
        self._lead = lead
        self._event = event
        self._predictions = predictions
        self._answers = answers
        self._as_they_are: dict[AvroDecoder, bool] = {}

    def write(self, batch: Batch, outputs: Mapping[str, npt.NDArray[Any]]) -> tuple[list[bytes], Bad]:
        """Put events and outputs together."""
        pieces, bad = self._predictions.encode(outputs)
        answers = map(self._answers.write, map(orjson.loads, pieces))
        if self._event is None:
            return [self._lead + answer for answer in answers], bad
        rows = [row for place, row in enumerate(batch.rows()) if place not in bad]
        return [
            b"".join((self._lead, self._part(self._event, row.decoder, row.payload), answer))
            for row, answer in zip(rows, answers, strict=True)
        ], bad

    def _part(self, event: AvroSchema, decoder: AvroDecoder, payload: bytes) -> bytes:
        same = self._as_they_are.get(decoder)
        if same is None:
            same = self._as_they_are[decoder] = event.same_as(decoder.schema)
        return payload if same else event.write(decoder.record(payload, event.parsed, named=True))


def _record(name: str, fields: Fields, space: Mapping[str, str]) -> dict[str, Any]:
    made = [{"name": field, "type": _type(value, f"{name}_{field}", space)} for field, value in fields.named.items()]
    return {"type": "record", "name": name, **space, "fields": made}


def _type(value: Value, name: str, space: Mapping[str, str]) -> Any:  # noqa: ANN401 - a tree of JSON
    if isinstance(value, Plain):
        return _PRIMITIVES[value]
    if isinstance(value, ListOf):
        return {"type": "array", "items": _type(value.item, name, space)}
    return _record(name, value, space)


def _space(event: AvroSchema) -> dict[str, str]:
    return {"namespace": event.tree["namespace"]} if "namespace" in event.tree else {}


def _schema(tree: Any, references: tuple[Reference, ...] = ()) -> Schema:  # noqa: ANN401
    return Schema(KIND, json.dumps(tree, indent=1, ensure_ascii=False), references)
