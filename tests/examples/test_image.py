"""examples/image: PNGs within JSON, and bare pixels."""

import numpy as np
import orjson
import pytest

from consumer.deadletter.causes import Code
from tests.support.command import onelane
from tests.support.examples import EXAMPLES, assert_golden, by_id, enriched, golden, softmax, truth, values

PIPELINES = ["pipeline.yaml", "pipeline-int8.yaml"]
PIXELS = 64


@pytest.mark.parametrize("pipeline", [*PIPELINES, "pipeline-raw.yaml"])
def test_the_pipeline_is_fine(pipeline: str) -> None:
    """Lint has nothing to say."""
    done = onelane("lint", EXAMPLES / "image" / pipeline)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("pipeline", ["pipeline.yaml", "pipeline-raw.yaml"])
def test_the_cases_are_as_expected(pipeline: str) -> None:
    """Of either topic."""
    done = onelane("test", EXAMPLES / "image" / pipeline)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_only_what_is_no_image_is_a_dead_letter(pipeline: str) -> None:
    """Two events without an image, and three whose text is none; larger ones in colour are read."""
    example = enriched("image", pipeline)
    ids = {orjson.loads(values("image")[place])["id"] for place in example.dead}
    assert ids == {orjson.loads(value)["id"] for value in values("image")} - truth("image").keys()
    assert {cause.field for cause in example.dead.values()} == {"image"}
    assert sum(cause.code == Code.MISSING for cause in example.dead.values()) == 2


def test_pixels_and_logits_are_those_of_the_training_script() -> None:
    """A grey PNG of the right size gives its pixels, times 1/255."""
    assert_golden("image", by_id(enriched("image")))


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_digits_are_right_as_often_as_the_card_says(pipeline: str) -> None:
    """0.9683 and 0.9702."""
    told = by_id(enriched("image", pipeline))
    assert np.mean([told[event].record["digit"]["label"] == digit for event, digit in truth("image").items()]) > 0.96


def test_raw_pixels_are_read_like_the_images_of_them() -> None:
    """The same digits as 64 bytes each: the same labels, with chances within what a PNG's rounding makes."""
    raw, images = enriched("image", "pipeline-raw.yaml", PIXELS), by_id(enriched("image"))
    assert not raw.dead
    assert len(raw.told) == len(truth("image"))
    for told, event in zip(raw.told.values(), truth("image"), strict=True):
        if event in golden("image"):  # these are as small as the raw ones
            np.testing.assert_allclose(told.inputs["image"], images[event].inputs["image"], atol=1 / 510 + 1e-6)
        assert told.record.keys() == {"digit"}
        assert told.record["digit"]["best"][0]["score"] == pytest.approx(
            max(softmax(told.outputs["logits"])), rel=1e-4
        )
    said = [told.record["digit"]["label"] for told in raw.told.values()]
    assert np.mean(np.array(said) == list(truth("image").values())) > 0.96
