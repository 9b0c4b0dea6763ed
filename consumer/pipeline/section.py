"""What all sections of the pipeline file share."""

from typing import Annotated

import msgspec


def text(description: str) -> msgspec.Meta:
    """Describe a field, for people and for the JSON Schema."""
    return msgspec.Meta(description=description)


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the pipeline file; unknown fields are refused."""


FieldPath = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[^\\\x00-\x1f\ud800-\udfff]+$(?!\n)",
        description='A field of the event: `user.country`, `items[0].price`, `["a.b"]`; or a part of the record: '
        "@value, @key, @timestamp, @headers.name.",
        extra={"wanted": "a path to a field, such as user.country or items[0].price"},
    ),
]
FieldName = Annotated[
    # msgspec refuses such names in a typed struct, and JSON needs them escaped: a byte-wise merge would not see them.
    str,
    msgspec.Meta(
        pattern=r'^[^"\\\x00-\x1f\ud800-\udfff]+$(?!\n)',
        description="The name of a top-level field of the event.",
        extra={"wanted": "a field's name, without quotes and backslashes"},
    ),
]
