"""Protobuf schemas, written: registries and people want .proto files, and Google's library only reads descriptors.

Comments and options are left out, but for those that decide what bytes mean.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from consumer.records.protobuf_schema import DescriptorProto, FileDescriptorProto
from consumer.records.schemas import SchemaError

# Numbers of FieldDescriptorProto.Type and Label, by google/protobuf/descriptor.proto.
_SCALARS: Final[Mapping[int, str]] = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    6: "fixed64",
    7: "fixed32",
    8: "bool",
    9: "string",
    12: "bytes",
    13: "uint32",
    15: "sfixed32",
    16: "sfixed64",
    17: "sint32",
    18: "sint64",
}
_STRING, _GROUP, _BYTES = 9, 10, 12
_REQUIRED, _REPEATED = 2, 3
_MOST: Final = 536_870_912
_INDENT: Final = "  "


def proto_text(file: FileDescriptorProto) -> str:
    """Return a file of messages as text.

    Raises:
        SchemaError: it has what can't be written this way: groups, extensions of others, or editions.
    """
    if file.syntax not in ("", "proto2", "proto3") or file.extension:
        raise SchemaError("files with an edition, or that extend others, can't have a field more")
    lines = [f'syntax = "{file.syntax or "proto2"}";']
    if file.package:
        lines.append(f"package {file.package};")
    lines += [
        f'import {"public " if place in file.public_dependency else ""}"{name}";'
        for place, name in enumerate(file.dependency)
    ]
    for enum in file.enum_type:
        lines += ["", *_enum(enum)]
    for message in file.message_type:
        lines += ["", *_message(message, proto3=file.syntax == "proto3")]
    return "\n".join(lines) + "\n"


def _message(message: DescriptorProto, *, proto3: bool) -> Iterator[str]:
    if message.extension:
        raise SchemaError(f"{message.name} extends another message, and can't be written again")
    yield f"message {message.name} {{"
    maps = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    begun: set[int] = set()
    for field in message.field:
        if not _is_one_of(field):
            yield _INDENT + _field(field, maps, proto3=proto3)
        elif field.oneof_index not in begun:
            begun.add(field.oneof_index)
            together = [one for one in message.field if _is_one_of(one) and one.oneof_index == field.oneof_index]
            yield f"{_INDENT}oneof {message.oneof_decl[field.oneof_index].name} {{"
            yield from (2 * _INDENT + f"{_type(one)} {one.name} = {one.number};" for one in together)
            yield f"{_INDENT}}}"
    for nested in message.nested_type:
        if nested.name not in maps:
            yield from _indented(_message(nested, proto3=proto3))
    for enum in message.enum_type:
        yield from _indented(_enum(enum))
    yield from (f"{_INDENT}extensions {_range(one.start, one.end)};" for one in message.extension_range)
    yield from (f"{_INDENT}reserved {_range(one.start, one.end)};" for one in message.reserved_range)
    yield from (f'{_INDENT}reserved "{name}";' for name in message.reserved_name)
    yield "}"


def _is_one_of(field: Any) -> bool:  # noqa: ANN401
    # `optional` in proto3 is a oneof of one field that nobody wrote.
    return bool(field.HasField("oneof_index") and not field.proto3_optional)


def _field(field: Any, maps: Mapping[str, DescriptorProto], *, proto3: bool) -> str:  # noqa: ANN401 - a descriptor
    entry = maps.get(field.type_name.rsplit(".", 1)[-1]) if field.label == _REPEATED else None
    if entry is not None:
        key, value = entry.field
        return f"map<{_type(key)}, {_type(value)}> {field.name} = {field.number};"
    label = {_REPEATED: "repeated ", _REQUIRED: "required "}.get(field.label, "")
    if not label and (field.proto3_optional or not proto3):
        label = "optional "
    options = []
    if field.HasField("default_value"):
        options.append(f"default = {_default(field.default_value, field.type)}")
    if field.options.HasField("packed"):
        options.append(f"packed = {str(field.options.packed).lower()}")
    told = f" [{', '.join(options)}]" if options else ""
    return f"{label}{_type(field)} {field.name} = {field.number}{told};"


def _default(text: str, kind: int) -> str:
    if kind == _STRING:
        return json.dumps(text)
    return f'"{text}"' if kind == _BYTES else text  # the compiler has escaped bytes already


def _type(field: Any) -> str:  # noqa: ANN401
    if field.type == _GROUP:
        raise SchemaError(f"{field.name} is a group, and can't be written again")
    return _SCALARS.get(field.type) or str(field.type_name)


def _enum(enum: Any) -> Iterator[str]:  # noqa: ANN401
    yield f"enum {enum.name} {{"
    if enum.options.allow_alias:
        yield f"{_INDENT}option allow_alias = true;"
    yield from (f"{_INDENT}{value.name} = {value.number};" for value in enum.value)
    yield from (f"{_INDENT}reserved {_range(one.start, one.end + 1)};" for one in enum.reserved_range)
    yield from (f'{_INDENT}reserved "{name}";' for name in enum.reserved_name)
    yield "}"


def _range(start: int, end: int) -> str:
    """Write a range whose end is not in it."""
    if end >= _MOST:
        return f"{start} to max"
    return str(start) if end == start + 1 else f"{start} to {end - 1}"


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (_INDENT + line for line in lines)
