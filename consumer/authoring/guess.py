"""Features for single fields, each with what was guessed."""

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np

from consumer.authoring.fields import Field
from consumer.model.tensors import Tensor

PARTS: Final = ("hour", "weekday", "month", "day", "yearday", "minute")
# How many where nothing says it.
_BUCKETS: Final = 1000
# Of a sample's entries, how many may be mistakes.
_STRAY: Final = 0.2


class Guess(msgspec.Struct):
    """A feature or output, as it is written in the file.

    Attributes:
        spec: the fields of its section.
        why: what was guessed; empty where nothing was.
        width: how many of a tensor's values it makes.
        entries: of a vocabulary, in order.
    """

    spec: dict[str, Any]
    why: str = ""
    width: int = 1
    entries: list[Any] | None = None


def column(field: Field, tensor: Tensor) -> Guess:
    """Return a field as a column, or as the one value of a tensor."""
    if field.is_time:
        return time_part(field, PARTS[0])
    if field.kind == "mixed" or (is_index(tensor) and field.path.lower().endswith("id")):
        spec = {"field": field.path, "kind": "category", "buckets": _BUCKETS, **_key(field)}
        return Guess(spec, "how many buckets the training had, or its vocabulary")
    if field.kind == "text" or (is_index(tensor) and field.digits > field.numbers / 2):
        entries = sorted(map(str, field.values))
        why = "the order of the entries must be that of the training"
        return Guess({"field": field.path, "kind": "category", "vocabulary": entries, "unknown": 0}, why, 1, entries)
    if field.is_vector:
        return _numbers(field, tensor)
    if field.kind == "boolean":
        return Guess({"field": field.path, "kind": "boolean", **_missing(field, value=False)}, _absent(field))
    return _number(field, tensor)


def sized(guess: Guess, size: int | None, field: Field) -> Guess:
    """Fit a category to how many indices the model knows, where that could be found out."""
    if size is not None and "range" in guess.spec:
        return Guess({**guess.spec, "range": [0, size - 1]}, f"the model knows {size} indices")
    if size is None or guess.spec["kind"] != "category":
        return guess
    entries = guess.entries
    if entries is None:
        return Guess({**guess.spec, "buckets": size}, f"the model knows {size} indices; or a vocabulary")
    room = size - 1  # 0 is for what is unknown
    if len(entries) <= room:
        if len(entries) < room:
            guess.why = f"the model knows {room} entries, the sample has {len(entries)}: take those of the training"
        return guess
    if len(entries) - room <= max(1, _STRAY * len(entries)):
        common = sorted(str(entry) for entry, _ in field.values.most_common(room))
        why = f"the model knows {room} entries, of the sample's {len(entries)} these are the most frequent"
        return Guess({**guess.spec, "vocabulary": common}, why, 1, common)
    spec = {"field": field.path, "kind": "category", "buckets": size, **_key(field)}
    return Guess(spec, f"the model knows {size} indices, the sample has {len(entries)} entries: buckets?")


def _key(field: Field) -> Mapping[str, object]:
    """Return the key that stands in for an absent field, where every key has a bucket."""
    return {"missing": "absent"} if field.missing else {}


def is_index(tensor: Tensor) -> bool:
    """Return whether a tensor's values are likely indices."""
    return tensor.dtype.startswith(("int", "uint")) and not tensor.scale


def time_part(field: Field, part: str) -> Guess:
    """Return a part of a time."""
    spec = {"field": field.path, "kind": "time", "part": part, "zone": "UTC", **_missing(field, value=0)}
    return Guess(spec, "; ".join(filter(None, ("which part, and in which zone", _absent(field)))))


def one_hot(field: Field) -> Guess:
    """Return a category as a column for each entry."""
    entries = sorted(map(str, field.values))
    spec: dict[str, Any] = {"field": field.path, "kind": "category", "vocabulary": entries, "one_hot": True}
    why = "the order of the entries must be that of the training"
    if field.missing:
        spec["missing"] = str(field.values.most_common(1)[0][0])
        why += f"; {_absent(field)}, where the most frequent stands in"
    return Guess(spec, why, len(entries), entries)


def _numbers(field: Field, tensor: Tensor) -> Guess:
    length = field.lengths.most_common(1)[0][0]
    spec: dict[str, Any] = {"field": field.path, "kind": "numbers", "length": length}
    if is_index(tensor):
        return Guess({**spec, "range": [0, _BUCKETS - 1]}, "which indices the model knows", length)
    return Guess(spec, width=length)


def _number(field: Field, tensor: Tensor) -> Guess:
    stands_in = 0 if not is_index(tensor) or field.lowest <= 0 <= field.highest else math.floor(field.lowest)
    spec: dict[str, Any] = {"field": field.path, "kind": "number", **_missing(field, value=stands_in)}
    why = [_absent(field)]
    if field.types["text"]:
        spec["text"] = "allow"
        why.append("some are written as texts" if field.types["number"] else "written as texts")
        if field.types["text"] > field.digits:
            why.append(f"{field.types['text'] - field.digits:,} of the sample are no numbers: dead letters")
    if field.is_constant:
        why.append("always the same in the sample")
    if is_index(tensor):
        spec["range"] = [math.floor(field.lowest), math.ceil(field.highest)]
        why.append("the range is the sample's")
    elif not _holds(tensor, field):
        spec |= {"mean": _short(field.mean), "std": _short(field.std or 1.0)}
        why.append("mean and std are the sample's, those of the training are right")
    elif abs(field.mean) > 1 or field.std > 1:
        why.append(f"mean {_short(field.mean)}, std {_short(field.std)} in the sample: scale it if the training did")
    return Guess(spec, "; ".join(filter(None, why)))


def _holds(tensor: Tensor, field: Field) -> bool:
    """Return whether a quantised tensor can hold the field's values as they are."""
    if not tensor.scale:
        return True
    limits = np.iinfo(tensor.dtype)
    low, high = ((end - tensor.zero_point) * tensor.scale for end in (limits.min, limits.max))
    return low <= field.lowest and field.highest <= high


def _missing(field: Field, *, value: object) -> Mapping[str, object]:
    return {"missing": value} if field.missing else {}


def _absent(field: Field) -> str:
    return f"absent in {field.missing:.2%} of the sample" if field.missing else ""


def _short(number: float) -> float:
    return float(f"{number:.4g}")
