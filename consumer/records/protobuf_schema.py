"""Protobuf schemas, understood: from .proto files or descriptor sets to messages that can be read."""

import re
import subprocess
import sys
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from consumer.exits import RefusedError
from consumer.records.schemas import Schema, SchemaError

try:
    from google.protobuf import message_factory
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import DecodeError, Message
    from google.protobuf.unknown_fields import UnknownFieldSet
except ImportError as error:
    raise RefusedError("format protobuf needs an extra: pip install 'onelane[protobuf]'") from error

__all__ = [
    "KIND",
    "DecodeError",
    "Descriptor",
    "DescriptorProto",
    "FileDescriptorProto",
    "Message",
    "ProtobufSchema",
    "UnknownFieldSet",
    "from_file",
]

KIND: Final = "PROTOBUF"

_MAIN: Final = "event.proto"
# Base64 has no spaces, and no .proto file is without.
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/]+=*")
_NOISE: Final = re.compile(r"WARNING: All log messages|[IW]\d{4} ")
_COMPILING: Final = 30.0


class ProtobufSchema:
    """A file of messages that has been understood, with all that it imports.

    Args:
        schema: of kind PROTOBUF; its text is a .proto file, or a descriptor or a set of them in base64.

    Raises:
        SchemaError: it is no Protobuf schema.
        RefusedError: a .proto file needs its compiler, which is not installed.
    """

    def __init__(self, schema: Schema) -> None:
        if schema.kind != KIND:
            raise SchemaError(f"it is {schema.kind}, not {KIND}")
        self.references = schema.references
        self.files = _decoded(schema) if _ENCODED.fullmatch(schema.text) else _compiled(schema)
        self.file = self.files[-1]  # what is imported comes first
        self._pool = pool(self.files)

    def message(self, name: str) -> Descriptor:
        """Return a message by its full name; the file's first, where the name is empty.

        Raises:
            SchemaError: there is none.
        """
        space = f"{self.file.package}." if self.file.package else ""
        known = [self._pool.FindMessageTypeByName(f"{space}{one.name}") for one in self.file.message_type]
        if not known:
            raise SchemaError("it has no messages")
        if not name:
            return known[0]
        try:
            return self._pool.FindMessageTypeByName(name)
        except KeyError:
            names = ", ".join(one.full_name for one in known)
            raise SchemaError(f"it has no message {name}; known: {names}") from None


def pool(files: Sequence[FileDescriptorProto]) -> DescriptorPool:
    """Return a pool of these files.

    Raises:
        SchemaError: they do not go together.
    """
    made = DescriptorPool()
    try:
        for file in files:
            made.Add(file)
    except TypeError as error:
        raise SchemaError(f"it is no Protobuf schema: {error}") from None
    return made


def message_class(descriptor: Descriptor) -> type[Message]:
    """Return what reads and writes a message."""
    made: type[Message] = message_factory.GetMessageClass(descriptor)
    return made


def place_of(descriptor: Descriptor, *, with_maps: bool) -> list[int]:
    """Return a message's place in its file, and in the messages around it.

    Args:
        descriptor: of the message.
        with_maps: whether to count the messages that stand for entries of maps, which nobody wrote. Confluent's
            serializer for Python does, the one for Java does not.
    """
    around = descriptor.containing_type
    if around is None:
        return [list(descriptor.file.message_types_by_name).index(descriptor.name)]
    beside = [one.name for one in around.nested_types if with_maps or not one.GetOptions().map_entry]
    return [*place_of(around, with_maps=with_maps), beside.index(descriptor.name)]


def from_file(content: bytes) -> str:
    """Return the text of a schema from a file's content: a .proto file, or what protoc makes of it."""
    try:
        FileDescriptorSet.FromString(content)
    except DecodeError:
        return content.decode("utf-8", "replace")
    return b64encode(content).decode()


def _decoded(schema: Schema) -> list[FileDescriptorProto]:
    """Return the files of a descriptor set, or of the one descriptor that Confluent's Python serializer registers.

    A set's files come in the order in which they need each other; one file needs what it refers to, and what is
    Google's.
    """
    try:
        content = b64decode(schema.text)
        alone = FileDescriptorProto.FromString(content)
        if not alone.message_type:
            found = list(FileDescriptorSet.FromString(content).file)
            if not found:
                raise SchemaError("it is a descriptor set without files")
            return found
    except (DecodeError, ValueError) as error:
        raise SchemaError(f"it is no descriptor: {error}") from None
    files: dict[str, FileDescriptorProto] = {}
    for reference in schema.references:
        *needed, file = ProtobufSchema(reference.schema).files
        files |= {one.name: one for one in needed}
        file.name = reference.name
        files[file.name] = file
    for name in alone.dependency:
        if name not in files:
            files |= {one.name: one for one in _googles(name)}
    alone.name = _free_name(alone.name, set(files))  # nothing refers to it
    return [*files.values(), alone]


def _googles(name: str) -> list[FileDescriptorProto]:
    """Return a file that comes with Google's library, and those that it needs before it."""
    if not name.startswith("google/protobuf/"):  # a schema does not say what we import
        raise SchemaError(f"it needs {name}, and does not say where that is")
    try:
        descriptor = import_module(f"{name.removesuffix('.proto').replace('/', '.')}_pb2").DESCRIPTOR
    except ImportError:
        raise SchemaError(f"it needs {name}, and does not say where that is") from None
    file = FileDescriptorProto()
    descriptor.CopyToProto(file)
    return [*(needed for one in file.dependency for needed in _googles(one)), file]


def _compiled(schema: Schema) -> list[FileDescriptorProto]:
    with tempfile.TemporaryDirectory(prefix="onelane-") as temporary:
        folder = Path(temporary)
        main = _free_name(_MAIN, set(_names(schema)))
        _lay_out(schema, folder, main)
        made = folder / "descriptors"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", "--include_imports"]
        done = subprocess.run(  # noqa: S603 - our own interpreter, and a file of our own making
            [*command, f"--descriptor_set_out={made}", main],
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMPILING,
        )
        if "No module named" in done.stderr:
            raise RefusedError("a .proto file needs its compiler: pip install 'onelane[protobuf]'")
        if done.returncode != 0 or not made.exists():
            lines = [line for line in done.stderr.splitlines() if not _NOISE.match(line)]
            told = "; ".join(lines).replace(f"{folder}/", "")
            raise SchemaError(f"it is no Protobuf schema: {told}")
        return list(FileDescriptorSet.FromString(made.read_bytes()).file)


def _names(schema: Schema) -> Iterator[str]:
    """Return what a schema calls the files that it imports, and these theirs."""
    for reference in schema.references:
        yield reference.name
        yield from _names(reference.schema)


def _free_name(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name = f"_{name}"
    return name


def _lay_out(schema: Schema, folder: Path, name: str) -> None:
    """Write a schema and all that it imports where the compiler finds them."""
    file = folder / name
    if not file.resolve().is_relative_to(folder.resolve()):
        raise SchemaError(f"it imports {name!r}, which is no path of a .proto file")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(schema.text, encoding="utf-8")
    for reference in schema.references:
        _lay_out(reference.schema, folder, reference.name)
