"""kind: text. One field tokenised once, for as many tensors as want a part of it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from consumer.exits import RefusedError
from consumer.features.block import ABSENT, Source, Values
from consumer.features.column import absent_cause
from consumer.model.tensors import Array, Tensor
from consumer.pipeline.features import TextFeature
from consumer.types import Cause

# Rows are padded to one of few lengths, since the engine plans anew for each: 8, 16, 32, and so on.
_SHORTEST: Final = 8
_PADDING: Final = ("[PAD]", "<pad>", "<|padding|>")


class TextBlock:
    """Tokens of a text, cut at the most and padded on the right.

    Where the tensors' second dimension varies, a row is padded to the bucket of its own length, and what is beyond is
    ``ABSENT``: such rows are run apart, so that what a row is told never depends on its neighbours.

    Args:
        feature: with the tokenizer's content, the JSON of a Hugging Face ``tokenizers`` file.
        parts: tensor name -> the tensor and which part it takes.

    Raises:
        RefusedError: ``tokenizers`` is not installed, or the tokenizer can't be read, or adds more than the most.
    """

    accepts: Any = str | None

    def __init__(self, feature: TextFeature, parts: Mapping[str, tuple[Tensor, str]]) -> None:
        self.field = feature.field or ""
        self.sources: Sequence[Source] = (self,)
        self._most = feature.max_tokens or 0
        self._missing = feature.missing
        self._parts = {name: part for name, (_, part) in parts.items()}
        # What a row takes at most counts, also where it may be shorter.
        self.tensors = tuple(
            msgspec.structs.replace(tensor, shape=(tensor.shape[0], max(self._most, tensor.shape[1])))
            for tensor, _ in parts.values()
        )
        self._width = next(tensor.shape[1] for tensor, _ in parts.values())
        self.ragged = tuple(parts) if self._width < 0 else ()
        self._tokenizer = _tokenizer(feature.tokenizer or "", self.field)
        self._tokenizer.no_padding()
        least = self._tokenizer.num_special_tokens_to_add(is_pair=False) + 1
        if self._most < least:  # which the tokenizer's own cut does not keep to
            raise RefusedError(f"the tokenizer of field {self.field} needs `max_tokens` of at least {least}")
        self._tokenizer.enable_truncation(max_length=self._most)
        known = (self._tokenizer.token_to_id(token) for token in _PADDING)
        self._pad = next((token for token in known if token is not None), 0)

    def build(self, values: Values, rows: int, bad: dict[int, Cause]) -> dict[str, Array]:
        """Return (rows, tokens) arrays of the tensors' types."""
        texts = [self._missing if value is None else value for value in values[self.field]]
        for row, text in enumerate(texts):
            if text is None:
                bad.setdefault(row, absent_cause(self.field))
        encoded = self._tokenizer.encode_batch([text or "" for text in texts])
        lengths = [self._padded(len(one)) for one in encoded]
        width = max(lengths, default=self._padded(0))
        made = {}
        for tensor in self.tensors:
            part = self._parts[tensor.name]
            array = np.full((rows, width), ABSENT if self.ragged else 0, dtype=tensor.dtype)
            for row, (one, length) in enumerate(zip(encoded, lengths, strict=True)):
                tokens = _part(one, part)
                array[row, : len(tokens)] = tokens
                array[row, len(tokens) : length] = self._pad if part == "ids" else 0
            made[tensor.name] = array
        return made

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return texts of as many tokens as a row may have, of the tokenizer's own vocabulary."""
        words = sorted(word for word in self._tokenizer.get_vocab(with_added_tokens=False) if word.isalnum())
        drawn = random.choice(words or ["a"], (count, self._most))
        return [" ".join(row) for row in drawn.tolist()]

    def _padded(self, tokens: int) -> int:
        if not self.ragged:
            return self._width
        length = _SHORTEST
        while length < tokens:
            length *= 2
        return min(length, self._most)


def _part(encoding: Any, part: str) -> list[int]:  # noqa: ANN401 - tokenizers is an extra
    ids: list[int] = encoding.ids
    if part == "ids":
        return ids
    types: list[int] = encoding.type_ids
    return types if part == "type_ids" else [1] * len(ids)


def _tokenizer(content: str, field: str) -> Any:  # noqa: ANN401
    # One worker, one thread; without this the package makes as many as there are cores, and warns of forks.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415 - an extra
    except ImportError:
        raise RefusedError("features of kind text need tokenizers: pip install 'onelane[text]'") from None
    try:
        return Tokenizer.from_str(content)
    except Exception as error:  # noqa: BLE001 - it raises no other
        raise RefusedError(f"the tokenizer of field {field} can't be read: {error}") from None
