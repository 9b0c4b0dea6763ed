"""What enriched records keep of events of which they are not a part."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
import numpy.typing as npt
import orjson

from consumer.pipeline.paths import is_part
from consumer.records.parts import Parts
from consumer.records.predictions import Predictions
from consumer.records.reader import Bad
from consumer.records.writer import Batch


class KeepWriter:
    """Writes predictions as JSON behind fields of their events; absent ones are null.

    Args:
        names: field of the event -> its name in the record, in order.
        field: that holds the predictions.
        predictions: writes outputs.
        events: gives the events of a batch as JSON; asked only where fields of theirs are kept.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        field: str,
        predictions: Predictions,
        events: Callable[[Batch], Sequence[bytes]],
    ) -> None:
        self._names = dict(names)
        self._predictions = predictions
        self._events = events
        self._joint = b"," + orjson.dumps(field) + b":"
        # A key or a header is text, a timestamp milliseconds since 1970.
        self._parts = Parts({name: int if name == "@timestamp" else str for name in names if is_part(name)})
        own = [name for name in names if not is_part(name)]
        declared: list[Any] = [
            (f"f{place}", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for place in range(len(own))
        ]
        renamed = {f"f{place}": name for place, name in enumerate(own)}
        self._fields = {name: itemgetter(place) for place, name in enumerate(own)}
        row = msgspec.defstruct("Kept", declared, rename=renamed)
        self._decode = msgspec.json.Decoder(row).decode

    def write(self, batch: Batch, outputs: Mapping[str, npt.NDArray[Any]]) -> tuple[list[bytes], Bad]:
        """Put kept fields and outputs together."""
        pieces, bad = self._predictions.encode(outputs)
        answers = iter(pieces)
        answered = [None if place in bad else next(answers) for place in range(len(batch.rows()))]
        kept = self._parts.columns(batch.events(), bad)
        if self._fields:
            kept |= self._own(batch)
        columns = [kept[name] for name in self._names]
        values = []
        for place, (answer, row) in enumerate(zip(answered, zip(*columns, strict=True), strict=True)):
            if answer is not None and place not in bad:
                head = orjson.dumps(dict(zip(self._names.values(), row, strict=True)))
                values.append(b"".join((head[:-1], self._joint, answer, b"}")))
        return values, bad

    def _own(self, batch: Batch) -> dict[str, list[Any]]:
        rows = [msgspec.structs.astuple(self._decode(text)) for text in self._events(batch)]
        return {
            name: [None if get(row) is msgspec.UNSET else orjson.Fragment(bytes(get(row))) for row in rows]
            for name, get in self._fields.items()
        }
