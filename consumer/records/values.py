"""What kind of value each output gives, for formats that have to say so in a schema."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from consumer.pipeline.outputs import NumberOutput, NumbersOutput, OutputField, OverOutput, PythonOutput, TopOutput


class Plain(StrEnum):
    """A value without parts."""

    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    TEXT = "text"


class ListOf(msgspec.Struct, frozen=True):
    """Any number of values of one kind."""

    item: "Value"


class Fields(msgspec.Struct, frozen=True):
    """Values with names, in order."""

    named: Mapping[str, "Value"]


Value: TypeAlias = Plain | ListOf | Fields


_HOOKS: Final[Mapping[str, Plain]] = {
    "number": Plain.DOUBLE,
    "integer": Plain.LONG,
    "text": Plain.TEXT,
    "boolean": Plain.BOOLEAN,
    "any": Plain.TEXT,  # for json, which needs to know nothing of it
}


def value_of(output: OutputField, dtypes: Mapping[str, str]) -> Value:
    """Return what an output gives of tensors of these types, dequantised."""
    if isinstance(output, PythonOutput):
        return _HOOKS[output.type]
    if isinstance(output, OverOutput):
        return Plain.BOOLEAN
    number = number_of(dtypes[output.tensor]) if output.apply is None else Plain.FLOAT
    if isinstance(output, NumbersOutput):
        return ListOf(number)
    if isinstance(output, NumberOutput):
        return number
    label = Plain.LONG if output.labels is None else Plain.TEXT
    return ListOf(Fields({"label": label, "score": number})) if isinstance(output, TopOutput) else label


def number_of(dtype: str) -> Plain:
    """Return the kind of a number of this type."""
    if dtype == "float64":
        return Plain.DOUBLE
    return Plain.FLOAT if dtype.startswith("float") else Plain.LONG


def predictions_of(outputs: Mapping[str, Value], provenance: Mapping[str, str]) -> Fields:
    """Return what the field of predictions holds."""
    return Fields({**outputs, **dict.fromkeys(provenance, Plain.TEXT)})
