"""Events in Protobuf, read with the schemas that they were written with."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from consumer.deadletter.causes import Code
from consumer.records.dialect import Rules
from consumer.records.envelope import FaultError
from consumer.records.protobuf_schema import (
    DecodeError,
    Descriptor,
    Message,
    ProtobufSchema,
    UnknownFieldSet,
    message_class,
    place_of,
)
from consumer.records.schemas import SchemaError
from consumer.records.translated import as_json

# Name, whether it can be absent, and what makes something plain of its value, if that is needed.
_Field: TypeAlias = tuple[str, bool, Callable[[Any], Any] | None]

_TIMESTAMP: Final = "google.protobuf.Timestamp"
_WRAPPERS: Final = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String")
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MESSAGE: Final = b"\x00"
_LENGTH_DELIMITED: Final = 2
_SEVEN_BITS: Final = 0x7F


class ProtobufDecoder:
    """Reads events of one schema.

    Args:
        schema: what they were written with.
        name: of the message that events are; empty for the file's first.
        indexed: whether the place of the message stands before each, as in the wire format.
        rules: of the pipeline.
    """

    def __init__(self, schema: ProtobufSchema, name: str, rules: Rules, *, indexed: bool) -> None:
        self.event = schema.message(name)
        if rules.layout == "merge" and rules.number in self.event.fields_by_number:
            taken = self.event.fields_by_number[rules.number].name
            if taken != rules.field:
                raise SchemaError(f"its field {taken} has the number {rules.number} of the output's field")
        both = {places(place_of(self.event, with_maps=with_maps)) for with_maps in (False, True)}
        self._places = tuple(both) if indexed else ()
        # What an event of a later schema may have where the output's field will stand.
        self._taken = rules.number if rules.layout == "merge" else None
        self._schema = schema
        self._finite = rules.finite
        self._class = message_class(self.event)
        wanted = None if rules.finite is None else rules.finite | {rules.forbidden}
        self._record = _Records().of_event(self.event, wanted)

    def text(self, payload: bytes) -> bytes:
        """Return an event as JSON."""
        return as_json(self._record(self.message(payload)), self._finite)

    def message(self, payload: bytes) -> Message:
        """Return an event.

        Raises:
            FaultError: the bytes are not what the schema says.
        """
        try:
            message: Message = self._class.FromString(self.body(payload))
        except DecodeError as error:
            if "UTF-8" in str(error):
                raise FaultError(Code.NOT_UTF8, "a text in it is not UTF-8") from None
            told = f"no {self.event.full_name} can be read of its {len(payload)} bytes"
            raise FaultError(Code.MALFORMED, f"not what its schema says: {told}") from None
        # Of whatever type it is there, and however its number is written: bytes are not looked for.
        if self._taken is not None and any(field.field_number == self._taken for field in UnknownFieldSet(message)):
            raise FaultError(Code.FIELD_EXISTS, f"the event already has a field with the number {self._taken}")
        return message

    def body(self, payload: bytes) -> bytes:
        """Return an event's bytes without the place of its message.

        Raises:
            FaultError: it is another message.
        """
        if not self._places:
            return payload
        if not payload.startswith(self._places):
            raise FaultError(
                Code.BAD_WIRE_FORMAT, f"is not a {self.event.full_name}, begins with {payload[:4].hex(' ')}"
            )
        return payload[len(next(place for place in self._places if payload.startswith(place))) :]


class _Records:
    """Makes plain records of messages: fields by their names in the schema, those without a value left out."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def of(self, descriptor: Descriptor) -> Any:  # noqa: ANN401 - a function of a message
        """Return what makes a record of a message."""
        if descriptor.full_name == _TIMESTAMP:
            return _time
        if descriptor.full_name in _WRAPPERS:
            return lambda message: message.value
        if descriptor.full_name not in self._known:
            fields: list[_Field] = []
            self._known[descriptor.full_name] = _record(fields)  # before its fields are: a message may hold itself
            fields += map(self._field, descriptor.fields)
        return self._known[descriptor.full_name]

    def of_event(self, descriptor: Descriptor, wanted: Collection[str | None] | None) -> Any:  # noqa: ANN401
        """Return what makes a record of an event, with the fields that are wanted alone; None: with all."""
        fields = [field for field in descriptor.fields if wanted is None or field.name in wanted]
        return _record([self._field(field) for field in fields])

    def _field(self, field: Any) -> "_Field":  # noqa: ANN401 - a FieldDescriptor
        return field.name, field.has_presence, self._convert(field)

    def _convert(self, field: Any) -> Any:  # noqa: ANN401 - a FieldDescriptor; a function or None
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            value = self._one(entry.fields_by_name["value"]) or _same
            # Sorted: a map has no order, and in memory another one in each process.
            return lambda items: {_key(key): value(items[key]) for key in sorted(items)}
        one = self._one(field)
        if not field.is_repeated:
            return one
        return list if one is None else lambda items: [one(item) for item in items]

    def _one(self, field: Any) -> Any:  # noqa: ANN401
        if field.message_type is not None:
            return self.of(field.message_type)
        if field.enum_type is not None:
            names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
            return lambda number: names.get(number, number)
        return None


def _record(fields: Sequence[_Field]) -> Callable[[Any], dict[str, Any]]:
    def record(message: Any) -> dict[str, Any]:  # noqa: ANN401 - of the fields' message
        made = {}
        for name, optional, convert in fields:
            if optional and not message.HasField(name):
                continue
            value = getattr(message, name)
            made[name] = value if convert is None else convert(value)
        return made

    return record


def _same(value: Any) -> Any:  # noqa: ANN401
    return value


def _key(key: Any) -> str:  # noqa: ANN401 - a text, an integer or a boolean
    return str(key).lower() if isinstance(key, bool) else str(key)


def _time(message: Any) -> str:  # noqa: ANN401 - a Timestamp
    try:
        moment = _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError:
        raise FaultError(Code.BAD_TIME, f"a time {message.seconds} seconds from 1970 has no date") from None
    return moment.isoformat()


def varint(number: int) -> bytes:
    """Return a number, which is not negative, seven bits a byte, the least significant first."""
    made = bytearray()
    while number > _SEVEN_BITS:
        made.append(number & _SEVEN_BITS | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def tag(number: int) -> bytes:
    """Return what stands before a field of this number that has a length: a text, bytes or a message."""
    return varint(number << 3 | _LENGTH_DELIMITED)


def places(path: Sequence[int]) -> bytes:
    """Return the place of a message as the wire format has it: how deep, and where at each depth, zigzag."""
    if list(path) == [0]:
        return _FIRST_MESSAGE
    return b"".join(varint(number << 1) for number in (len(path), *path))
