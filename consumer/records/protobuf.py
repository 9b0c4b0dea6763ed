"""Protobuf: events read with the schemas that they were written with, enriched records made beside their bytes.

Messages put one after the other are one message with the fields of both
(https://protobuf.dev/programming-guides/encoding/#last-one-wins), so an event and a field more are the event's bytes
and the field's: what the event said is not written again, not even what its schema does not know.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy.typing as npt
import orjson

from consumer.records.dialect import Rules
from consumer.records.predictions import Predictions
from consumer.records.protobuf_event import ProtobufDecoder, places, tag, varint
from consumer.records.protobuf_schema import (
    KIND,
    DescriptorProto,
    FileDescriptorProto,
    Message,
    ProtobufSchema,
    message_class,
    place_of,
    pool,
)
from consumer.records.protobuf_text import proto_text
from consumer.records.reader import Bad
from consumer.records.schemas import Schema, SchemaError
from consumer.records.values import Fields, ListOf, Plain, Value
from consumer.records.writer import Batch

_SCALARS: Final[Mapping[Plain, int]] = {
    # Numbers of FieldDescriptorProto.Type.
    Plain.LONG: 3,
    Plain.FLOAT: 2,
    Plain.DOUBLE: 1,
    Plain.BOOLEAN: 8,
    Plain.TEXT: 9,
}
_MESSAGE: Final = 11
_OPTIONAL, _REPEATED = 1, 3


class ProtobufDialect:
    """Protobuf as a pipeline uses it.

    Args:
        event: what events are read as; None: as each was written.
        rules: of the pipeline.

    Raises:
        SchemaError: it is no Protobuf schema, or events of it could not be enriched.
    """

    def __init__(self, event: Schema | None, rules: Rules) -> None:
        self._rules = rules
        self._schema = None if event is None else ProtobufSchema(event)
        self._event = None if self._schema is None else self._schema.message(rules.message)
        if self._event is not None and rules.forbidden in self._event.fields_by_name:
            raise SchemaError(
                f"events have a field {rules.forbidden!r} already: `existing: replace` lets it give way"
            )

    def decoder(self, schema: Schema) -> ProtobufDecoder:
        """Return what reads the events of a schema."""
        name = self._rules.message or (self._event.full_name if self._event is not None else "")
        return ProtobufDecoder(ProtobufSchema(schema), name, self._rules, indexed=self._rules.registry)

    def derived(self, answers: Fields) -> Schema:
        """Return the schema of enriched records."""
        file, _ = self._made(answers)
        references = () if self._schema is None or self._rules.layout == "only" else self._schema.references
        return Schema(KIND, proto_text(file), references)

    def writer(self, lead: bytes, predictions: Predictions, answers: Fields) -> "ProtobufWriter":
        """Return what writes enriched records."""
        file, name = self._made(answers)
        rules = self._rules
        # A file of predictions alone imports nothing, and may be named as one of the event's is.
        alone = self._schema is None or self._rules.layout == "only"
        files = pool([*(() if self._schema is None or alone else self._schema.files[:-1]), file])
        descriptor = files.FindMessageTypeByName(f"{file.package}.{name}" if file.package else name)
        field = descriptor.fields_by_name[rules.field]
        place = places(place_of(descriptor, with_maps=False)) if lead else b""
        event = None
        if rules.layout == "nest":
            event = tag(descriptor.fields_by_name["event"].number)
        elif rules.layout == "merge":
            event = b""
        gives_way = rules.field if rules.layout == "merge" else ""
        answer = message_class(field.message_type)
        return ProtobufWriter(lead + place, event, predictions, answer, tag(field.number), gives_way=gives_way)

    def _made(self, answers: Fields) -> tuple[FileDescriptorProto, str]:
        """Return the file of enriched records, and their message's name in its package."""
        rules = self._rules
        if rules.layout == "only" or self._schema is None or self._event is None:
            file = FileDescriptorProto(name=f"{rules.name}.proto", syntax="proto3")
            file.message_type.add(name=f"{rules.name}_enriched")
            _add(file, file.message_type[0], (rules.field, 1), f"{rules.name}_{rules.field}", answers)
            return file, file.message_type[0].name
        file = FileDescriptorProto.FromString(self._schema.file.SerializeToString())
        name = f"{self._event.name}_{rules.field}"
        if rules.layout == "nest":
            file.message_type.insert(0, DescriptorProto(name=f"{self._event.name}_enriched"))
            record = file.message_type[0]
            event = record.field.add(name="event", number=1, type=_MESSAGE, label=_OPTIONAL)
            event.type_name = f".{self._event.full_name}"
            _add(file, record, (rules.field, 2), name, answers)
            return file, record.name
        record = _message_at(file, place_of(self._event, with_maps=True))
        for place in reversed(range(len(record.field))):
            if record.field[place].name == rules.field:
                del record.field[place]
        if any(one.number == rules.number for one in record.field):
            raise SchemaError(f"events have a field with the number {rules.number}: say another `output.number`")
        _add(file, record, (rules.field, rules.number), name, answers)
        space = f"{file.package}." if file.package else ""
        return file, self._event.full_name.removeprefix(space)


class ProtobufWriter:
    """Writes enriched records in Protobuf.

    Args:
        lead: what stands before each.
        event: what stands before an event: nothing where the record is it and more; None: it is left out.
        predictions: makes the values that stand in the last field.
        answer: the message of these values.
        tag: of the field.
        gives_way: a field of events that is not written, where they have one of the name.
    """

    def __init__(
        self,
        lead: bytes,
        event: bytes | None,
        predictions: Predictions,
        answer: type[Message],
        tag: bytes,
        *,
        gives_way: str,
    ) -> None:
        self._lead = lead
        self._event = event
        self._gives_way = gives_way
        self._predictions = predictions
        self._answer = answer
        self._tag = tag

    def write(self, batch: Batch, outputs: Mapping[str, npt.NDArray[Any]]) -> tuple[list[bytes], Bad]:
        """Put events and outputs together."""
        pieces, bad = self._predictions.encode(outputs)
        answers = [self._said(orjson.loads(piece)) for piece in pieces]
        if self._event is None:
            return [b"".join((self._lead, self._tag, answer)) for answer in answers], bad
        rows = [row for place, row in enumerate(batch.rows()) if place not in bad]
        return [
            b"".join((self._lead, self._part(row.decoder, row.payload), self._tag, answer))
            for row, answer in zip(rows, answers, strict=True)
        ], bad

    def _said(self, answer: Mapping[str, Any]) -> bytes:
        return _delimited(self._answer(**answer).SerializeToString(deterministic=True))

    def _part(self, decoder: ProtobufDecoder, payload: bytes) -> bytes:
        if self._gives_way in decoder.event.fields_by_name:
            message = decoder.message(payload)
            message.ClearField(self._gives_way)
            rest: bytes = message.SerializeToString(deterministic=True)
            return rest
        body = decoder.body(payload)
        return self._event + _delimited(body) if self._event else body


def _add(file: Any, record: Any, field: tuple[str, int], name: str, answers: Fields) -> None:  # noqa: ANN401
    """Add a message of answers to a file, and a field (name and number) of that message to a record."""
    made = file.message_type.add(name=name)
    _fill(made, answers, f"{file.package}.{name}" if file.package else name)
    added = record.field.add(name=field[0], number=field[1], type=_MESSAGE, label=_OPTIONAL)
    added.type_name = f".{file.package}.{name}" if file.package else f".{name}"


def _fill(message: Any, answers: Fields, full_name: str) -> None:  # noqa: ANN401 - a DescriptorProto
    for number, (name, value) in enumerate(answers.named.items(), 1):
        field = message.field.add(name=name, number=number, label=_OPTIONAL)
        item: Value = value
        if isinstance(value, ListOf):
            field.label = _REPEATED
            item = value.item
        if isinstance(item, Plain):
            field.type = _SCALARS[item]
        elif isinstance(item, Fields):
            nested = message.nested_type.add(name=f"{name}_item")
            _fill(nested, item, f"{full_name}.{nested.name}")
            field.type = _MESSAGE
            field.type_name = f".{full_name}.{nested.name}"
        else:
            raise SchemaError(f"a list of lists, as {name} is, has no place in a message")


def _message_at(file: FileDescriptorProto, path: Sequence[int]) -> Any:  # noqa: ANN401 - a DescriptorProto
    first, *rest = path
    found = file.message_type[first]
    for place in rest:
        found = found.nested_type[place]
    return found


def _delimited(content: bytes) -> bytes:
    return varint(len(content)) + content
