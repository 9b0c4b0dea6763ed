"""Events of other formats, read as the JSON that says the same: the rules of JSON then hold for all of them."""

from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

import orjson

from consumer.deadletter.causes import Code
from consumer.records.envelope import Decoder, Envelope, FaultError
from consumer.records.reader import Bad, Reader
from consumer.types import Cause, Stage


class Translated(NamedTuple):
    """An event that was read.

    Attributes:
        row: what the reader of JSON made of it.
        text: it, as JSON.
        decoder: who read it.
        payload: it, as it came, without what stood around it.
    """

    row: Any
    text: bytes
    decoder: Decoder
    payload: bytes


class TranslatingReader:
    """Reads events of one format.

    Args:
        envelope: takes values out of what they came in.
        json: reads what they say.
    """

    def __init__(self, envelope: Envelope, json: Reader) -> None:
        self._envelope = envelope
        self._json = json

    def read(self, values: Sequence[bytes | None]) -> tuple[list[Translated], Bad]:
        """Decode values.

        Raises:
            NotYetError: a schema can't be had now; nothing is decided about any of the values.
        """
        opened: list[tuple[bytes, Decoder, bytes]] = []
        places: list[int] = []
        bad: Bad = {}
        for place, value in enumerate(values):
            if not value:
                words = "a tombstone" if value is None else "an empty value"
                bad[place] = Cause(Stage.DECODE, Code.NO_VALUE, words)
                continue
            try:
                decoder, payload = self._envelope.open(value)
                opened.append((decoder.text(payload), decoder, payload))
            except FaultError as fault:
                bad[place] = fault.cause
            else:
                places.append(place)
        rows, wrong = self._json.read([text for text, _, _ in opened])
        if wrong:
            bad |= {places[place]: cause for place, cause in wrong.items()}
            opened = [one for place, one in enumerate(opened) if place not in wrong]
        return [Translated(row, *one) for row, one in zip(rows, opened, strict=True)], bad

    def columns(self, rows: Sequence[Translated]) -> Mapping[str, Sequence[Any]]:
        """Return the declared fields of all rows."""
        return self._json.columns([translated.row for translated in rows])


def as_json(record: Any, finite: Collection[str] | None) -> bytes:  # noqa: ANN401 - a record of any schema
    """Return what a record says as JSON: bytes as base64, times as RFC 3339, decimals as numbers.

    Args:
        record: plain values.
        finite: fields in which NaN and infinity are refused, since JSON has no such numbers; None for all.

    Raises:
        FaultError: a number is NaN or infinite, or the record says something that JSON has no words for.
    """
    try:
        text = orjson.dumps(record, default=_plain)
    except orjson.JSONEncodeError as error:
        if "Recursion" in str(error):
            raise FaultError(Code.TOO_DEEP, "nested deeper than JSON may be") from None
        raise FaultError(Code.WRONG_TYPE, f"can't be said as JSON: {error}") from None
    # orjson writes null for what is not finite, so that most events need not be looked at.
    if b"null" in text and isinstance(record, dict):
        for name in record if finite is None else finite:
            _refuse_infinite(record.get(name), name)
    return text


def _refuse_infinite(value: Any, field: str) -> None:  # noqa: ANN401
    if isinstance(value, float):
        if not isfinite(value):
            raise FaultError(Code.NOT_FINITE, f"the event says {value}", field)
    elif isinstance(value, dict):
        for name, item in value.items():
            _refuse_infinite(item, f"{field}.{name}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _refuse_infinite(item, f"{field}[{place}]")


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(format(value, "f").encode())
    raise TypeError(f"{type(value).__name__}: {value}")
