"""What a format whose records have schemas can do, said once for all of them."""

from typing import Protocol

import msgspec

from consumer.records.envelope import Decoder
from consumer.records.predictions import Predictions
from consumer.records.schemas import Schema
from consumer.records.values import Fields
from consumer.records.writer import Writer


class Rules(msgspec.Struct, frozen=True):
    """What a pipeline asks of its events and of its records.

    Attributes:
        finite: the event's fields in which NaN and infinity are refused; None for all.
        forbidden: the field that events must not have, if there is one.
        registry: whether events have the wire format of a registry.
        message: the name of the events' message, where a schema has several; empty for the first.
        layout: merge, nest or only.
        field: that holds the predictions.
        number: of that field, in Protobuf's merge.
        name: of records that have nothing of the event.
    """

    finite: frozenset[str] | None
    forbidden: str | None
    registry: bool
    message: str
    layout: str
    field: str
    number: int
    name: str


class Dialect(Protocol):
    """A format, with the schema that events are read as, if there is one."""

    def decoder(self, schema: Schema) -> Decoder:
        """Return what reads the events of a schema.

        Raises:
            SchemaError: it is of no use.
        """
        ...

    def derived(self, answers: Fields) -> Schema:
        """Return the schema of enriched records.

        Args:
            answers: what the field of predictions holds.

        Raises:
            SchemaError: events have no place for it.
        """
        ...

    def writer(self, lead: bytes, predictions: Predictions, answers: Fields) -> Writer:
        """Return what writes enriched records.

        Args:
            lead: the wire format's prefix; empty where there is none.
            predictions: makes the values.
            answers: what they are.
        """
        ...
