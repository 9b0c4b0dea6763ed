"""The kinds of feature in a pipeline file: what goes into the model's tensors."""

from typing import Annotated, Literal, TypeAlias

import msgspec

from consumer.pipeline.section import FieldPath, Spec
from consumer.pipeline.section import text as words


class _Scaled(Spec, frozen=True, kw_only=True):
    field: FieldPath
    mean: Annotated[float, words("Taken off the value.")] = 0.0
    std: Annotated[float, msgspec.Meta(gt=0, description="The value is divided by it, after the mean.")] = 1.0


class NumberFeature(_Scaled, frozen=True, kw_only=True, tag_field="kind", tag="number"):
    """A JSON number, as (value - mean) / std."""

    missing: Annotated[
        float | None,
        words("Stands in for an absent or null field; without it such an event is a dead letter."),
    ] = None
    range: Annotated[
        tuple[float, float] | None,
        words("Lowest and highest value allowed; outside it the event is a dead letter."),
    ] = None
    text: Annotated[Literal["refuse", "allow"], words('Whether a number may be written as text, such as "12.5".')] = (
        "refuse"
    )
    clip: Annotated[
        tuple[float, float] | None, words("What is below the lowest or above the highest counts as that one.")
    ] = None
    transform: Annotated[
        Literal["log1p", "log", "sqrt"] | None,
        words("Of the clipped value, before mean and std; a value that has none is a dead letter."),
    ] = None


class BooleanFeature(_Scaled, frozen=True, kw_only=True, tag_field="kind", tag="boolean"):
    """A JSON boolean, as 0 or 1."""

    missing: Annotated[bool | None, words("Stands in for an absent or null field.")] = None


class CategoryFeature(Spec, frozen=True, kw_only=True, tag_field="kind", tag="category"):
    """A string or number, as its index in a vocabulary or as one of a number of buckets."""

    field: FieldPath
    vocabulary: Annotated[
        str | list[str | int | float] | None,
        words("The entries in order, or the path of a file with one entry a line, relative to the pipeline file."),
    ] = None
    buckets: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=2**24)] | None,
        words("Instead of a vocabulary: their number; a key's is the CRC-32 of its text in UTF-8, modulo that."),
    ] = None
    one_hot: Annotated[bool, words("One column for each index, 1 in the entry's and 0 in the others.")] = False
    multi_hot: Annotated[bool, words("As one_hot, for a field that is a list of entries: 1 for each of them.")] = (
        False
    )
    unknown: Annotated[
        int | None,
        words(
            "Index of a value that is not in the vocabulary: 0 (entries then begin at 1) or the number of entries. "
            "Without it such an event is a dead letter."
        ),
    ] = None
    missing: Annotated[
        str | int | float | None,
        words("The key that stands in for an absent or null field; without it such a field is as one unknown."),
    ] = None


TimePart = Literal["year", "month", "day", "hour", "minute", "second", "weekday", "yearday"]


class TimeFeature(_Scaled, frozen=True, kw_only=True, tag_field="kind", tag="time"):
    """A part of an RFC 3339 time; weekday counts from Monday = 0, yearday from 1."""

    part: Annotated[TimePart, words("Which part of the time.")]
    zone: Annotated[
        str, words("IANA time zone in which the part is read; a time without offset is taken to be in it.")
    ] = "UTC"
    missing: Annotated[float | None, words("Value of the part that stands in for an absent or null field.")] = None


class PresentFeature(Spec, frozen=True, kw_only=True, tag_field="kind", tag="present"):
    """1 where the field is there and not null, else 0: a mask beside another feature's `missing`."""

    field: FieldPath


class NumbersFeature(Spec, frozen=True, kw_only=True, tag_field="kind", tag="numbers"):
    """A list of numbers of one length, each as (value - mean) / std; of another length, a dead letter."""

    field: FieldPath
    length: Annotated[int, msgspec.Meta(ge=1, le=2**20, description="How many numbers the list has.")]
    mean: Annotated[float | list[float], words("Taken off each value; a list has one for each.")] = 0.0
    std: Annotated[float | list[float], words("Each is divided by it, after the mean; a list has one for each.")] = (
        1.0
    )
    range: Annotated[
        tuple[float, float] | None,
        words("Lowest and highest that each may be; with one outside it the event is a dead letter."),
    ] = None


class _Content(Spec, frozen=True, kw_only=True):
    field: FieldPath
    encoding: Annotated[
        Literal["base64", "hex", "raw"],
        words("How the field writes bytes; raw: of @value, @key and headers."),
    ] = "base64"
    scale: Annotated[float | str, words('What each value is multiplied by, such as 0.5 or "1/255".')] = 1.0
    mean: Annotated[float, words("Taken off the scaled value.")] = 0.0
    std: Annotated[float, msgspec.Meta(gt=0, description="The value is divided by it, after the mean.")] = 1.0


class BytesFeature(_Content, frozen=True, kw_only=True, tag_field="kind", tag="bytes"):
    """Bytes as the numbers of a whole tensor, little-endian, in row-major order."""

    dtype: Annotated[
        Literal["uint8", "int8", "int16", "uint16", "int32", "int64", "float16", "float32", "float64"],
        words("The type of the numbers in the bytes."),
    ] = "uint8"
    shape: Annotated[list[int] | None, words("Of a row; by default the tensor's.")] = None


class ImageFeature(_Content, frozen=True, kw_only=True, tag_field="kind", tag="image"):
    """A PNG or JPEG image as a whole tensor of (height, width, channels); needs `onelane[image]`."""

    size: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=1, le=16384)], Annotated[int, msgspec.Meta(ge=1, le=16384)]],
        words("Height and width; other images are resized (bilinear)."),
    ]
    mode: Annotated[Literal["L", "RGB"], words("L: one channel, grey; RGB: three.")] = "RGB"


class TextFeature(Spec, frozen=True, kw_only=True, tag_field="kind", tag="text"):
    """A text's tokens as a whole tensor; needs `onelane[text]`."""

    field: FieldPath | None = None
    tokenizer: Annotated[
        str | None, words("A Hugging Face `tokenizers` file (tokenizer.json), relative to the pipeline file.")
    ] = None
    max_tokens: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=2**20)] | None,
        words("Texts of more are cut; shorter ones are padded, no further than needed where the length varies."),
    ] = None
    of: Annotated[str | None, words("Instead of these: the input that has them; the text is tokenised once.")] = None
    part: Annotated[
        Literal["ids", "mask", "type_ids"], words("The tokens' ids; 1 for each token, 0 for padding; their segments.")
    ] = "ids"
    missing: Annotated[str | None, words("Stands in for an absent or null field.")] = None


HookType: TypeAlias = Literal["number", "integer", "text", "boolean", "any"]


class PythonFeature(Spec, frozen=True, kw_only=True, tag_field="kind", tag="python"):
    """What a function of your own makes of whole columns, as a whole tensor; see docs/python-hooks.md."""

    fields: Annotated[list[FieldPath], words("What it is given: a column each.")]
    function: Annotated[str, words("features.py:make, a file relative to the pipeline file, or package.module:make.")]
    types: Annotated[
        dict[str, HookType], words("The types of fields; one of another type is a dead letter. By default any.")
    ] = msgspec.field(default_factory=dict)


ContentFeature: TypeAlias = BytesFeature | ImageFeature
ColumnFeature: TypeAlias = (
    NumberFeature | BooleanFeature | CategoryFeature | TimeFeature | PresentFeature | NumbersFeature
)
Feature: TypeAlias = ColumnFeature | BytesFeature | ImageFeature | TextFeature | PythonFeature


def fields_of(feature: Feature) -> list[str]:
    """Return the fields that a feature reads."""
    if isinstance(feature, PythonFeature):
        return feature.fields
    return [] if feature.field is None else [feature.field]
