"""The kinds of feature in a pipeline file: what goes into the model's tensors."""

from typing import Annotated, Literal, TypeAlias

import msgspec

from consumer.pipeline.section import FieldName, Spec, text


class _Scaled(Spec, frozen=True, kw_only=True):
    field: FieldName
    mean: Annotated[float, text("Taken off the value.")] = 0.0
    std: Annotated[float, msgspec.Meta(gt=0, description="The value is divided by it, after the mean.")] = 1.0


class NumberFeature(_Scaled, frozen=True, kw_only=True, tag_field="kind", tag="number"):
    """A JSON number, as (value - mean) / std."""

    missing: Annotated[
        float | None,
        text("Stands in for an absent or null field; without it such an event is a dead letter."),
    ] = None
    range: Annotated[
        tuple[float, float] | None,
        text("Lowest and highest value allowed; outside it the event is a dead letter."),
    ] = None


class BooleanFeature(_Scaled, frozen=True, kw_only=True, tag_field="kind", tag="boolean"):
    """A JSON boolean, as 0 or 1."""

    missing: Annotated[bool | None, text("Stands in for an absent or null field.")] = None


class CategoryFeature(Spec, frozen=True, kw_only=True, tag_field="kind", tag="category"):
    """A string or number, as its index in a vocabulary."""

    field: FieldName
    vocabulary: Annotated[
        str | list[str | int | float],
        text("The entries in order, or the path of a file with one entry a line, relative to the pipeline file."),
    ]
    unknown: Annotated[
        int | None,
        text(
            "Index of a value that is not in the vocabulary: 0 (entries then begin at 1) or the number of entries. "
            "Without it such an event is a dead letter."
        ),
    ] = None
    missing: Annotated[
        str | int | float | None,
        text("The entry that stands in for an absent or null field; by default it counts as unknown."),
    ] = None


TimePart = Literal["year", "month", "day", "hour", "minute", "second", "weekday", "yearday"]


class TimeFeature(_Scaled, frozen=True, kw_only=True, tag_field="kind", tag="time"):
    """A part of an RFC 3339 time; weekday counts from Monday = 0, yearday from 1."""

    part: TimePart
    zone: Annotated[
        str, text("IANA time zone in which the part is read; a time without offset is taken to be in it.")
    ] = "UTC"
    missing: Annotated[float | None, text("Value of the part that stands in for an absent or null field.")] = None


Feature: TypeAlias = NumberFeature | BooleanFeature | CategoryFeature | TimeFeature
