"""Texts as tokens: their parts, their lengths, and that rows do not depend on their neighbours."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from consumer.deadletter.causes import Code
from consumer.enrich import Enricher
from consumer.exits import RefusedError
from consumer.features.plan import ColumnPlan
from consumer.features.text import TextBlock
from consumer.fit import fit_inputs
from consumer.model.file import Signature
from consumer.model.tensors import Array, Tensor
from consumer.pipeline.features import TextFeature
from consumer.pipeline.findings import Finding
from consumer.records.answers import NumberColumn
from consumer.records.json_reader import JsonReader
from consumer.records.layouts import Only
from consumer.records.predictions import Predictions
from consumer.records.writer import JsonWriter
from consumer.types import Cause, DeadLetter, Enriched, PlainEvent
from tests.support.pipelines import changed, loaded, refused

WORDS = {"[PAD]": 7, "a": 1, "b": 2, "c": 3, "[UNK]": 4}


def tokenizer() -> str:
    """Make a tokenizer of a few words."""
    made = Tokenizer(WordLevel(WORDS, unk_token="[UNK]"))  # noqa: S106 - a token, not a secret
    made.pre_tokenizer = Whitespace()
    return str(made.to_str())


def block(width: int = -1, most: int = 32, **more: Any) -> TextBlock:  # noqa: ANN401
    """Make a block of ids and mask."""
    parts = {
        "ids": (Tensor("ids", 0, (-1, width), "int32"), "ids"),
        "mask": (Tensor("mask", 1, (-1, width), "int32"), "mask"),
    }
    return TextBlock(TextFeature(field="f", tokenizer=tokenizer(), max_tokens=most, **more), parts)


def build(made: TextBlock, *texts: str | None) -> tuple[dict[str, list[Any]], dict[int, Cause]]:
    """Return the tensors and the causes of bad rows."""
    bad: dict[int, Cause] = {}
    return {name: array.tolist() for name, array in made.build({"f": texts}, len(texts), bad).items()}, bad


def test_a_text_is_padded_to_a_fixed_length() -> None:
    """Ids with the tokenizer's own padding, the mask with 0; what is beyond the most is cut."""
    made, bad = build(block(width=5, most=4), "a b", "c c c c c c", "")
    assert made["ids"] == [[1, 2, 7, 7, 7], [3, 3, 3, 3, 7], [7] * 5]
    assert made["mask"] == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 0], [0] * 5]
    assert bad == {}


def test_an_absent_text_is_missing() -> None:
    """A dead letter, or the text that stands in."""
    assert build(block(), "a", None)[1][1].code == Code.MISSING
    assert build(block(missing="b"), None) == build(block(), "b")


def test_rows_of_one_length_are_run_together() -> None:
    """Each padded to the bucket of its own length, and in no other company."""
    plan = ColumnPlan([block()])
    texts = ["a", "b " * 9, "c " * 8, "a " * 50, "b " * 16]
    inputs, bad = plan.map({"f": texts}, 5)
    assert bad == {}
    groups = [(places.tolist(), group["ids"].shape, group["mask"].shape) for places, group in plan.groups(inputs, 5)]
    assert groups == [([0, 2], (2, 8), (2, 8)), ([1, 4], (2, 16), (2, 16)), ([3], (1, 32), (1, 32))]
    first = plan.groups(inputs, 5)[0][1]
    assert first["ids"].tolist() == [[1] + [7] * 7, [3] * 8]
    assert first["mask"].tolist() == [[1] + [0] * 7, [1] * 8]


class Longest:
    """Answers with a row's padded length and its first token; fails on the token 4."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a batch."""
        ids = inputs["ids"]
        if (ids == WORDS["[UNK]"]).any():
            raise RuntimeError("no such token")
        return {"y": (ids.shape[1] * 10 + ids[:, :1]).astype(np.float32)}

    def rebuild(self) -> None:
        """Start anew."""


def test_what_a_row_is_told_does_not_depend_on_its_neighbours() -> None:
    """In a batch of all lengths, each is told what it is told alone, in its place; the bad ones fall out alone."""
    plan = ColumnPlan([block()])
    enricher = Enricher(
        JsonReader(plan.fields),
        plan,
        Longest(),
        JsonWriter(Predictions({"y": NumberColumn("y", 0)}, {"m": "v"}), Only("p")),
    )
    texts = ["a", "b " * 20, "zzz", None, "c " * 9, "b", "a " * 30, "zzz " * 20]
    events = [PlainEvent(orjson.dumps({"f": text}), offset=place) for place, text in enumerate(texts)]
    together = enricher.enrich(events)
    assert [result.event.offset() for result in together] == list(range(8))
    for event, result in zip(events, together, strict=True):
        (alone,) = enricher.enrich([event])
        assert type(alone) is type(result)
        if isinstance(result, Enriched) and isinstance(alone, Enriched):
            assert result.value == alone.value
    dead = {result.event.offset(): result.cause.code for result in together if isinstance(result, DeadLetter)}
    assert dead == {2: Code.INVOKE_FAILED, 3: Code.MISSING, 7: Code.INVOKE_FAILED}


def test_samples_are_as_long_as_a_row_may_be() -> None:
    """So that the load probe measures the dearest."""
    plan = ColumnPlan([block(most=20)])
    assert plan.samples(4)["ids"].shape == (4, 20)
    assert plan.row_bytes == 2 * 20 * 4
    assert len(plan.groups(plan.samples(4), 4)) == 1


def test_a_tokenizer_that_is_none_is_refused() -> None:
    """With the field."""
    with pytest.raises(RefusedError, match="the tokenizer of field f can't be read"):
        TextBlock(
            TextFeature(field="f", tokenizer="{}", max_tokens=4), {"x": (Tensor("x", 0, (-1, 4), "int32"), "ids")}
        )


def test_a_most_that_a_tokenizers_own_tokens_fill_is_a_finding(tmp_path: Path) -> None:
    """Its cut leaves them in: four tokens of a text that may have one."""
    made = Tokenizer(WordLevel({**WORDS, "[CLS]": 5, "[SEP]": 6}, unk_token="[UNK]"))  # noqa: S106 - a token
    made.pre_tokenizer = Whitespace()
    made.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 5), ("[SEP]", 6)])
    (tmp_path / "t.json").write_text(made.to_str())
    signature = Signature({"x": Tensor("x", 0, (-1, -1), "int32")}, {})
    for most, told in ((2, ["the tokenizer of field f needs `max_tokens` of at least 3"]), (3, [])):
        feature = f" {{field: f, kind: text, tokenizer: t.json, max_tokens: {most}}}\n"
        findings: list[Finding] = []
        plan = fit_inputs(loaded(tmp_path, changed(COLUMNS, feature)).spec.model, signature, findings)
        assert [finding.message for finding in findings] == told
        assert [finding.path for finding in findings] == [("model", "inputs", "x")] * len(told)
    assert plan.map({"f": ["a b c"]}, 1)[0]["x"].tolist() == [[5, 1, 6]]


def test_without_tokenizers_a_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(RefusedError, match=r"pip install 'onelane\[text\]'"):
        block()


COLUMNS = (
    "\n      - {field: n, kind: number}\n      - {field: c, kind: category, vocabulary: [a, b], unknown: 0}"
    "\n      - {field: t, kind: time, part: hour}\n"
)
TEXT = " {field: f, kind: text, tokenizer: t.json, max_tokens: 16}\n"


def test_another_tokenizer_is_another_pipeline(tmp_path: Path) -> None:
    """It is its content that counts."""
    (tmp_path / "t.json").write_text(tokenizer())
    first = loaded(tmp_path, changed(COLUMNS, TEXT)).label
    (tmp_path / "t.json").write_text(json.dumps(json.loads(tokenizer()) | {"version": "1.1"}))
    assert loaded(tmp_path, changed(COLUMNS, TEXT)).label != first


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (Tensor("x", 0, (-1, 8), "int32"), "has room for 8 tokens"),
        (Tensor("x", 0, (-1, 32), "float32"), "takes no tokens"),
        (Tensor("x", 0, (-1,), "int32"), "is not one of rows and tokens"),
    ],
)
def test_a_tensor_that_takes_no_such_text_is_a_finding(tensor: Tensor, words: str, tmp_path: Path) -> None:
    """With the tensor."""
    (tmp_path / "t.json").write_text(tokenizer())
    findings: list[Finding] = []
    fit_inputs(loaded(tmp_path, changed(COLUMNS, TEXT)).spec.model, Signature({"x": tensor}, {}), findings)
    assert [words in finding.message for finding in findings] == [True]


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (" {kind: text, of: y}\n", "no input of kind text with a tokenizer: y"),
        (" {kind: text, of: x}\n", "no input of kind text with a tokenizer: x"),
        (" {kind: text, of: x, max_tokens: 5}\n", "is that of x"),
        (" {kind: text, field: f, max_tokens: 5}\n", "`tokenizer` is missing"),
        (" {field: f, kind: text, tokenizer: none.json, max_tokens: 16}\n", "none.json can't be read"),
        ("\n      - {field: f, kind: text, tokenizer: t.json, max_tokens: 16}\n", "it can't stand in a list"),
    ],
)
def test_what_can_not_be_meant_is_refused(feature: str, words: str, tmp_path: Path) -> None:
    """With its place."""
    (tmp_path / "t.json").write_text(tokenizer())
    found = refused(tmp_path, changed(COLUMNS, feature))
    assert any(words in line for line in found), found
