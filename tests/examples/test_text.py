"""examples/text: messages, tokens and masks."""

import numpy as np
import orjson
import pytest

from consumer.deadletter.causes import Code
from tests.support.command import onelane
from tests.support.examples import EXAMPLES, assert_golden, by_id, enriched, softmax, truth, values

PIPELINES = ["pipeline.yaml", "pipeline-1024.yaml"]
LABELS = (EXAMPLES / "text" / "labels.txt").read_text().splitlines()


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_pipeline_is_fine(pipeline: str) -> None:
    """Lint has nothing to say."""
    done = onelane("lint", EXAMPLES / "text" / pipeline)
    assert done.returncode == 0, done.stderr.decode()


def test_the_cases_are_as_expected() -> None:
    """Neighbours among the languages are told apart."""
    done = onelane("test", EXAMPLES / "text" / "pipeline.yaml")
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_only_events_without_text_are_dead_letters(pipeline: str) -> None:
    """Absent and null are missing, a number is no text; an empty text is one."""
    example = enriched("text", pipeline)
    bodies = {place: orjson.loads(value).get("body") for place, value in enumerate(values("text"))}
    assert {place: (cause.code, cause.field) for place, cause in example.dead.items()} == {
        place: (Code.MISSING if body is None else Code.WRONG_TYPE, "body")
        for place, body in bodies.items()
        if not isinstance(body, str)
    }
    assert len(example.told) == len(bodies) - 3
    assert sum(body == "" for body in bodies.values()) == 1


def test_tokens_and_logits_are_those_of_the_training_script() -> None:
    """In batches that are padded to their longest message, which the golden rows were not."""
    assert_golden("text", by_id(enriched("text")))


def test_both_models_say_the_same_where_nothing_is_cut() -> None:
    """Padding to 1,024 tokens changes no answer."""
    short, long = (by_id(enriched("text", pipeline)) for pipeline in PIPELINES)
    for event, told in short.items():
        if told.inputs["attention_mask"].sum() < 128:
            np.testing.assert_allclose(told.outputs["logits"], long[event].outputs["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("pipeline", "tokens"), [("pipeline.yaml", 128), ("pipeline-1024.yaml", 1024)])
def test_long_messages_are_cut(pipeline: str, tokens: int) -> None:
    """The longest of them fill what the pipeline takes, and no more."""
    lengths = [int(told.inputs["attention_mask"].sum()) for told in enriched("text", pipeline).told.values()]
    assert max(lengths) == tokens
    assert sum(length == tokens for length in lengths) >= 19


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_labels_are_right_as_often_as_the_card_says(pipeline: str) -> None:
    """0.9787 of the sample; the best three are ordered, and their chances those of a softmax."""
    told = by_id(enriched("text", pipeline))
    for event in told.values():
        said, chances = event.record["language"], softmax(event.outputs["logits"])
        order = np.argsort(-event.outputs["logits"], kind="stable")[:3]
        assert said["code"] == LABELS[order[0]]
        assert [best["label"] for best in said["best"]] == [LABELS[place] for place in order]
        assert [best["score"] for best in said["best"]] == pytest.approx(
            [chances[place] for place in order], rel=1e-4
        )
    right = [told[event].record["language"]["code"] == language for event, language in truth("text").items()]
    assert np.mean(right) > 0.975
