"""What stands around an event's bytes: nothing, or the wire format of a schema registry's serializers.

Wire format: a byte 0, the id of the schema in four bytes, most significant first, then the event
(https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format).
"""

import struct
from collections.abc import Callable
from typing import Final, Protocol

from consumer.deadletter.causes import Code, clipped
from consumer.records.schemas import Registry, Schema, SchemaError, UnknownSchemaError
from consumer.types import Cause, Stage

_MAGIC: Final = 0
_PREFIX: Final = struct.Struct(">BI")


class FaultError(Exception):
    """A value can't be read.

    Attributes:
        cause: why it is a dead letter.
    """

    def __init__(self, code: Code, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.cause = Cause(Stage.DECODE, code, clipped(message), field)


class Decoder(Protocol):
    """Reads events that were written with one schema."""

    def text(self, payload: bytes) -> bytes:
        """Return an event as JSON.

        Raises:
            FaultError: it is not what the schema says.
        """
        ...


class Envelope(Protocol):
    """Takes values out of what they came in."""

    def open(self, value: bytes) -> tuple[Decoder, bytes]:
        """Return who can read a value, and what is to be read.

        Raises:
            FaultError: nobody ever will.
            NotYetError: it is not known yet.
        """
        ...


class Bare:
    """Nothing around: all events have one schema."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def open(self, value: bytes) -> tuple[Decoder, bytes]:
        """Return the value as it is."""
        return self._decoder, value


class Wire:
    """Confluent's wire format: each event says which schema it was written with.

    Args:
        registry: has the schemas.
        decoder: makes what reads the events of one.
    """

    def __init__(self, registry: Registry, decoder: Callable[[Schema], Decoder]) -> None:
        self._registry = registry
        self._make = decoder
        self._known: dict[int, Decoder | Cause] = {}

    def open(self, value: bytes) -> tuple[Decoder, bytes]:
        """Take the prefix off."""
        if len(value) < _PREFIX.size or value[0] != _MAGIC:
            raise FaultError(Code.BAD_WIRE_FORMAT, f"begins with {value[:5].hex(' ')}, not with 00 and an id")
        number = int.from_bytes(value[1:5])
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = self._ask(number)
        if isinstance(known, Cause):
            raise FaultError(Code(known.code), known.message)
        return known, value[5:]

    def _ask(self, number: int) -> Decoder | Cause:
        try:
            return self._make(self._registry.schema(number))
        except UnknownSchemaError as error:  # not kept: it may be registered any time
            raise FaultError(Code.UNKNOWN_SCHEMA, f"no schema {number}: {error}") from None
        except SchemaError as error:
            why = f"schema {number} is of no use here: {error}"
            return Cause(Stage.DECODE, Code.UNKNOWN_SCHEMA, clipped(why))


def prefix(number: int) -> bytes:
    """Return what stands before an event that is written with the schema of this id."""
    return _PREFIX.pack(_MAGIC, number)
