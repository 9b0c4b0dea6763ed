"""The closed list of causes, as data: the code that makes one, the docs and the metrics' labels share it."""

from enum import StrEnum
from typing import Final


class Code(StrEnum):
    """What was wrong with an event. Each would be wrong again in the same way: transient trouble never makes one."""

    NO_VALUE = "NoValue"
    NOT_UTF8 = "NotUtf8"
    BAD_WIRE_FORMAT = "BadWireFormat"
    UNKNOWN_SCHEMA = "UnknownSchema"
    MALFORMED = "Malformed"
    TOO_DEEP = "TooDeep"
    WRONG_TYPE = "WrongType"
    FILTER_FAILED = "FilterFailed"
    FIELD_EXISTS = "FieldExists"
    MISSING = "Missing"
    UNKNOWN_CATEGORY = "UnknownCategory"
    BAD_TIME = "BadTime"
    WRONG_LENGTH = "WrongLength"
    BAD_BYTES = "BadBytes"
    BAD_IMAGE = "BadImage"
    HOOK_REFUSED = "HookRefused"
    HOOK_FAILED = "HookFailed"
    OUT_OF_RANGE = "OutOfRange"
    NOT_INTEGER = "NotInteger"
    NOT_FINITE = "NotFinite"
    INVOKE_FAILED = "InvokeFailed"
    TOO_LARGE = "TooLarge"
    REFUSED = "Refused"


MEANINGS: Final = {
    Code.NO_VALUE: "a tombstone or an empty value: there is nothing to predict from",
    Code.NOT_UTF8: "the value is not UTF-8, also in fields that the pipeline does not read",
    Code.BAD_WIRE_FORMAT: "the value does not begin with 0 and a schema's id, as a registry's serializers write",
    Code.UNKNOWN_SCHEMA: "the registry says that it has no such schema, or it has one that is of no use here",
    Code.MALFORMED: "not JSON (NaN and Infinity are not JSON either), or not what the event's schema says",
    Code.TOO_DEEP: "arrays and objects nested more than 256 deep",
    Code.WRONG_TYPE: "the value is not an object, or a declared field has another type; never replaced by `missing`",
    Code.FILTER_FAILED: "an operation in `when` does not go with the event's values",
    Code.FIELD_EXISTS: "the event already has the output field, and `existing` is dead_letter",
    Code.MISSING: "a field is absent or null and has no `missing`",
    Code.UNKNOWN_CATEGORY: "a value is not in the vocabulary and `unknown` is not set",
    Code.BAD_TIME: "not an RFC 3339 time",
    Code.BAD_BYTES: "not base64 or hex",
    Code.BAD_IMAGE: "no PNG or JPEG image, a broken one, or one of more than 64 million pixels",
    Code.WRONG_LENGTH: "a list or bytes of another length than the tensor takes",
    Code.HOOK_REFUSED: "a python hook says that it can't use the event",
    Code.HOOK_FAILED: "a python hook failed on this event alone, twice",
    Code.OUT_OF_RANGE: "outside `range`, or more than the tensor's type can hold",
    Code.NOT_INTEGER: "a fraction for an integer tensor",
    Code.NOT_FINITE: "the model answered NaN or infinity, or an Avro or Protobuf event holds one",
    Code.INVOKE_FAILED: "the model failed on this event alone, twice, in a fresh interpreter",
    Code.TOO_LARGE: "the enriched record is larger than the output topic takes",
    Code.REFUSED: "the broker refuses the enriched record, such as one without a key for a compacted topic",
}

# Longest message of a cause, in characters: a header, not a report.
MESSAGE_LIMIT: Final = 500


def clipped(text: str) -> str:
    """Cut a message to what a header may hold."""
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"
