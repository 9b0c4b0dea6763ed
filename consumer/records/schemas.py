"""Schemas of events, and what is asked of a registry of them."""

from typing import Protocol

import msgspec


class Reference(msgspec.Struct, frozen=True):
    """Another schema that a schema imports.

    Attributes:
        name: what the importing schema calls it: an Avro type's full name, or the path of a .proto file.
        subject: where the registry has it.
        version: of the subject.
        schema: what it is.
    """

    name: str
    subject: str
    version: int
    schema: "Schema"


class Schema(msgspec.Struct, frozen=True):
    """A schema as a registry keeps it.

    Attributes:
        kind: AVRO, JSON or PROTOBUF.
        text: what it says.
        references: what it imports.
    """

    kind: str
    text: str
    references: tuple[Reference, ...] = ()


class SchemaError(ValueError):
    """A schema is not what it is taken for; the message says why."""


class UnknownSchemaError(Exception):
    """The registry has answered that it has no such schema; who asks again may be told otherwise."""


class Registry(Protocol):
    """A registry of schemas; see ``consumer.kafka.registry``."""

    def schema(self, number: int) -> Schema:
        """Return the schema of an id, which is kept.

        Raises:
            NotYetError: the registry does not answer. Ask again later.
            UnknownSchemaError: it has none; believed for a while, so that it can be asked for each event.
        """
        ...

    def latest(self, subject: str) -> Schema | None:
        """Return the latest schema of a subject; None where there is no such subject.

        Raises:
            FatalBrokerError: the registry does not answer.
        """
        ...

    def claim(self, subject: str, schema: Schema) -> int:
        """Return the id of a schema under a subject.

        Raises:
            RefusedError: the registry won't have it, in its own words.
            FatalBrokerError: the registry does not answer.
        """
        ...


def subject_of(topic: str) -> str:
    """Return the subject of a topic's values (TopicNameStrategy of Confluent's serializers)."""
    return f"{topic}-value"
