"""From a model's signature and the fields of events to features and outputs, each with what was guessed."""

import base64
import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from consumer.authoring.fields import Field
from consumer.authoring.guess import PARTS, Guess, column, is_index, one_hot, sized, time_part
from consumer.authoring.left import NO_ROOM, why_left
from consumer.model.file import Signature
from consumer.model.tensors import Tensor
from consumer.pipeline.contradictions import RESERVED

_ALIKE: Final = 0.75
# Stands for a field that a person has to name: no path, so that nothing takes it for one.
FILL_IN: Final = "[FILL_IN]"
_HOURS: Final = 24
_MAGIC: Final = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG"}
_PICTURE: Final = (3, 4)
_CHANNELS: Final = (1, 3)
# Inputs of models that read texts, and which part of the tokens they take.
_TOKENS: Final = {"mask": ("attention_mask", "mask"), "type_ids": ("token_type_ids", "segment_ids", "type_ids")}
_READ: Final = ("number", "boolean", "text", "mixed")
_WIDEST_HOT: Final = 64
_MASKS: Final = ("presen", "mask", "missing", "absent")
_KEYS: Final = 0.9
_OVER: Final = "if it is a probability, `kind: over, threshold: 0.5` says yes or no"


class Proposal(msgspec.Struct):
    """What is proposed.

    Attributes:
        inputs: by tensor, a list of columns or one feature for all of it.
        outputs: by the name they get.
        open: what could not be found out, for a person to fill in.
        unused: fields that nothing reads, each with why.
        tables: how many indices inputs know.
    """

    inputs: dict[str, list[Guess] | Guess]
    outputs: dict[str, Guess]
    open: list[str]
    unused: dict[str, str]
    tables: Mapping[str, int]


def propose(signature: Signature, fields: Sequence[Field], tables: Mapping[str, int]) -> Proposal:
    """Propose inputs and outputs.

    Args:
        signature: of the model.
        fields: of the events, in their order.
        tables: how many indices inputs know, as far as that could be found out.
    """
    left = [field for field in fields if not field.is_rare and (field.kind in _READ or field.is_vector)]
    proposal = Proposal({}, dict(_outputs(signature)), [], {}, tables)
    asked: set[str] = set()
    # Tensors that say by name or shape what they take come first; the widest list of columns gets what is left.
    order = sorted(
        signature.inputs.values(), key=lambda tensor: (not _is_special(tensor), _part(tensor) != "ids", tensor.width)
    )
    for tensor in order:
        made = _input(tensor, left, proposal)
        proposal.inputs[tensor.name] = made
        # Whether a field is there may be asked beside what it holds.
        guesses = made if isinstance(made, list) else [made]
        used = {name for guess in guesses for name in _read(guess) if guess.spec["kind"] != "present"}
        asked |= {name for guess in guesses for name in _read(guess)}
        left = [field for field in left if field.path not in used]
    proposal.inputs = {name: proposal.inputs[name] for name in signature.inputs}
    proposal.unused = {field.path: why_left(field) or NO_ROOM for field in fields if field.path not in asked}
    return proposal


def _read(guess: Guess) -> list[str]:
    return [guess.spec["field"]] if "field" in guess.spec else []


def _is_special(tensor: Tensor) -> bool:
    return tensor.width == 1 or _is_picture(tensor) or _is_tokens(tensor)


def _is_picture(tensor: Tensor) -> bool:
    return len(tensor.shape) in _PICTURE and tensor.width > 1 and all(size > 0 for size in tensor.shape[1:])


def _is_tokens(tensor: Tensor) -> bool:
    return len(tensor.shape) == 2 and tensor.dtype in ("int32", "int64") and tensor.shape[1] != 1  # noqa: PLR2004


def _input(tensor: Tensor, left: Sequence[Field], proposal: Proposal) -> list[Guess] | Guess:
    if _is_picture(tensor) and (picture := _picture(tensor, left)) is not None:
        return picture
    if _is_tokens(tensor) and (_first_text(proposal) or any(_is_prose(field) for field in left)):
        return _text(tensor, left, proposal)
    if tensor.width == 1:
        return _single(tensor, left, proposal)
    return _columns(tensor, left, proposal)


def _picture(tensor: Tensor, left: Sequence[Field]) -> Guess | None:
    for field in left:
        content = _decoded(field.example)
        if content is None:
            continue
        channels = tensor.shape[3] if len(tensor.shape) == max(_PICTURE) else 1
        scale = {} if tensor.dtype == "uint8" and not tensor.scale else {"scale": "1/255"}
        why = "whether the model was trained on 0 to 1 (scale: 1/255) or 0 to 255"
        if any(content.startswith(magic) for magic in _MAGIC) and channels in _CHANNELS:
            size = list(tensor.shape[1:3])
            mode = "L" if channels == 1 else "RGB"
            return Guess({"field": field.path, "kind": "image", "size": size, "mode": mode, **scale}, why)
        if len(content) == tensor.width:
            return Guess({"field": field.path, "kind": "bytes", "dtype": "uint8", **scale}, why)
        if len(content) == tensor.width * np.dtype(tensor.dtype).itemsize:
            return Guess({"field": field.path, "kind": "bytes", "dtype": tensor.dtype})
    return None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if text else None
    except ValueError:
        return None


def _part(tensor: Tensor) -> str:
    """Return which part of tokens a tensor takes, by its name."""
    return next((part for part, names in _TOKENS.items() if tensor.name.endswith(names)), "ids")


def _first_text(proposal: Proposal) -> str:
    """Return the tensor whose text is tokenised, if there is one."""
    made = proposal.inputs.items()
    return next((name for name, guess in made if isinstance(guess, Guess) and "tokenizer" in guess.spec), "")


def _is_prose(field: Field) -> bool:
    return field.kind == "text" and not (field.is_time or field.is_date) and (field.is_long or field.many)


def _text(tensor: Tensor, left: Sequence[Field], proposal: Proposal) -> Guess:
    part, first = _part(tensor), _first_text(proposal)
    if part != "ids" and first:
        return Guess({"kind": "text", "of": first, "part": part})
    texts = [field for field in left if field.kind == "text" and not (field.is_time or field.is_date)]
    if not texts:
        return _nothing(tensor, proposal)
    field = max(texts, key=lambda one: one.letters / one.present)
    most = tensor.shape[1] if tensor.shape[1] > 0 else 128
    proposal.open.append(f"put the model's tokenizer.json beside this file, for `{tensor.name}`")
    spec = {"field": field.path, "kind": "text", "tokenizer": "tokenizer.json", "max_tokens": most, "part": part}
    return Guess(spec, "tokenizer and max_tokens are those of the training")


def _single(tensor: Tensor, left: Sequence[Field], proposal: Proposal) -> Guess:
    size = proposal.tables.get(tensor.name)
    fit = [field for field in left if _suits(field) and (not is_index(tensor) or _is_known(field, size))]
    field = _named(tensor.name, fit)
    if field is None:
        fit = [one for one in fit if not one.is_identifier]
        # Indices are of categories; a float is likelier a number.
        wanted = "text" if is_index(tensor) else "number"
        field = next((one for one in fit if one.kind == wanted), next(iter(fit), None))
        if field is None:
            return _nothing(tensor, proposal)
        guess = sized(column(field, tensor), size, field)
        guess.why = f"no field is called like it{'; ' + guess.why if guess.why else ''}"
        return guess
    return sized(column(field, tensor), size, field)


def _nothing(tensor: Tensor, proposal: Proposal) -> Guess:
    proposal.open.append(f"say which field goes into {tensor}: none of the sample suits it")
    return Guess({"field": FILL_IN, "kind": "number"}, "nothing in the sample suits it")


def _is_known(field: Field, size: int | None) -> bool:
    """Return whether a model knows all of a field's values as indices; a category is made to fit."""
    if field.is_time:
        return size is None or size >= _HOURS
    if field.kind != "number" or field.digits > field.numbers / 2 or field.path.lower().endswith("id"):
        return True
    return field.integers and field.lowest >= 0 and (size is None or field.highest < size)


def _suits(field: Field) -> bool:
    if field.is_vector or (field.kind == "mixed" and not _is_key(field)):
        return False
    return field.kind != "text" or field.is_category or field.is_time


def _is_key(field: Field) -> bool:
    """Return whether a field is a number here and a text there, as identifiers are."""
    return field.types["number"] + field.types["text"] > _KEYS * field.present


def _named(name: str, fields: Sequence[Field]) -> Field | None:
    """Return the field whose name, or whose object's, is most like a tensor's."""
    words = {field.path: _bare(field.path) for field in fields}
    scores = {path: max(_score(name, word) for word in each) for path, each in words.items()}
    best = max(scores, key=lambda path: scores[path], default=None)
    if best is None or scores[best] < _ALIKE:
        return None
    return next(field for field in fields if field.path == best)


def _bare(path: str) -> list[str]:
    parts = [part.strip('"]') for part in path.replace("[", ".").split(".") if part.strip('"]')]
    return [parts[-1], *([parts[-2]] if len(parts) > 1 else [])]


def _score(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _columns(tensor: Tensor, left: Sequence[Field], proposal: Proposal) -> list[Guess]:
    useful = [field for field in left if field.kind == "mixed" or not why_left(field)]
    if any(word in tensor.name.lower() for word in _MASKS):
        return _present(tensor, useful, proposal)
    if tensor.width < 0:
        proposal.open.append(f"convert the model with as many values in {tensor} as it takes: it varies in them")
        return []
    fields = [field for field in useful if field.kind != "mixed"]
    best: list[Guess] = []
    for columns in itertools.chain(_ways(tensor, fields), _with_constants(tensor, fields, left)):
        width = sum(column.width for column in columns)
        if width == tensor.width:
            return columns
        if abs(width - tensor.width) < abs(sum(column.width for column in best) - tensor.width) or not best:
            best = columns
    cut = _cut(best, tensor.width)
    have = sum(column.width for column in cut)
    if have != tensor.width:
        proposal.open.append(f"{tensor} takes {tensor.width} values, and the sample gave {have}: add columns")
    else:
        proposal.open.append(f"check the columns of {tensor}: the sample has more fields than it takes")
    return cut


def _with_constants(tensor: Tensor, fields: Sequence[Field], left: Sequence[Field]) -> Iterator[list[Guess]]:
    """Return ways with fields that are always the same: they need not be so beyond the sample, and there is room."""
    constant = [
        field
        for field in left
        if field.is_constant and field.kind in ("number", "boolean") and not field.is_identifier
    ]
    for count in range(1, 1 + min(len(constant), tensor.width)):
        yield from _ways(tensor, [*fields, *constant[:count]])


def _present(tensor: Tensor, fields: Sequence[Field], proposal: Proposal) -> list[Guess]:
    """Return a mask of fields that are sometimes absent."""
    absent = sorted(fields, key=lambda field: -field.missing)[: tensor.width]
    if len(absent) < tensor.width:
        proposal.open.append(f"{tensor} takes {tensor.width} values, and the sample gave {len(absent)}: add columns")
    why = "by the tensor's name, it says which fields are there"
    return [Guess({"field": field.path, "kind": "present"}, why) for field in absent]


def _ways(tensor: Tensor, fields: Sequence[Field]) -> Iterator[list[Guess]]:
    """Return ways to fill a tensor, likeliest first: which kinds of field the model was trained with is not known."""
    numbers = [field for field in fields if field.kind in ("number", "boolean") or field.is_vector]
    times = [field for field in fields if field.is_time]
    categories = [field for field in fields if field.is_category]
    plain = [column(field, tensor) for field in numbers]
    for count in range(len(PARTS) + 1):
        parts = [time_part(field, part) for field in times for part in PARTS[:count]]
        yield [*plain, *parts]
        yield [*plain, *parts, *(column(field, tensor) for field in categories)]
        hot = [one_hot(field) for field in categories if len(field.values) <= _WIDEST_HOT]
        yield [*plain, *parts, *hot]


def _cut(columns: Sequence[Guess], width: int) -> list[Guess]:
    cut: list[Guess] = []
    for one in columns:
        if sum(taken.width for taken in cut) + one.width <= width:
            cut.append(one)
    return cut


def _outputs(signature: Signature) -> Iterator[tuple[str, Guess]]:
    for name, tensor in signature.outputs.items():
        called = f"{name}_value" if name in RESERVED else name
        if tensor.width == 1:
            yield called, Guess({"tensor": name, "kind": "number"}, _OVER if tensor.dtype.startswith("float") else "")
        else:
            yield (
                f"{called}_best",
                Guess(
                    {"tensor": name, "kind": "top", "k": min(3, tensor.width)},
                    "labels: FILE gives the values names; apply: softmax if they are logits",
                ),
            )
