"""Bytes and images as whole tensors."""

import base64
import io
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from consumer.deadletter.causes import Code
from consumer.exits import RefusedError
from consumer.features.content import BytesBlock, ImageBlock
from consumer.features.kinds import content_block
from consumer.fit import fit_inputs
from consumer.model.file import Signature
from consumer.model.tensors import Array, Tensor
from consumer.pipeline.features import BytesFeature, ImageFeature
from consumer.pipeline.findings import Finding
from consumer.types import Cause
from tests.support.pipelines import changed, loaded, refused


def tensor(*shape: int, dtype: str = "float32", scale: float = 0.0, zero_point: int = 0) -> Tensor:
    """Make an input."""
    return Tensor("x", 0, (-1, *shape), dtype, scale, zero_point)


def run(block: BytesBlock | ImageBlock, *values: Any) -> tuple[Array, dict[int, Cause]]:  # noqa: ANN401
    """Return the tensor and the causes of bad rows."""
    bad: dict[int, Cause] = {}
    return block.build({"f": values}, len(values), bad)["x"], bad


def picture(array: Any, form: str = "PNG") -> str:  # noqa: ANN401
    """Write an image in base64."""
    file = io.BytesIO()
    Image.fromarray(np.array(array, dtype=np.uint8)).save(file, form)
    return base64.b64encode(file.getvalue()).decode()


def test_bytes_are_numbers_in_row_major_order() -> None:
    """Scaled, and of the tensor's type."""
    block = BytesBlock(BytesFeature(field="f", encoding="hex", scale="1/255"), tensor(2, 2))
    made, bad = run(block, "00ff3366")
    assert (made.dtype.name, made.shape, bad) == ("float32", (1, 2, 2), {})
    assert made.ravel().tolist() == pytest.approx([0.0, 1.0, 0.2, 0.4])


def test_bytes_of_wider_numbers_are_little_endian() -> None:
    """Whatever the machine is."""
    block = BytesBlock(BytesFeature(field="f", dtype="int16"), tensor(2, dtype="int32"))
    assert run(block, base64.b64encode(b"\x01\x00\xff\xff").decode())[0].tolist() == [[1, -1]]


def test_raw_parts_are_bytes_as_they_are() -> None:
    """Such as the value of a raw topic."""
    block = BytesBlock(BytesFeature(field="@value", encoding="raw"), tensor(3, dtype="uint8"))
    assert block.accepts == bytes | None
    assert block.build({"@value": [b"\x01\x02\xff"]}, 1, {})["x"].tolist() == [[1, 2, 255]]


def test_bytes_of_a_quantised_tensors_type_are_stored_values() -> None:
    """Unless they are scaled: then they are numbers, and quantised."""
    quantised = tensor(2, dtype="uint8", scale=0.5, zero_point=10)
    assert run(BytesBlock(BytesFeature(field="f", encoding="hex"), quantised), "01ff")[0].tolist() == [[1, 255]]
    scaled = BytesBlock(BytesFeature(field="f", encoding="hex", scale="1/2"), quantised)
    assert run(scaled, "0408")[0].tolist() == [[14, 18]]


@pytest.mark.parametrize(
    ("value", "code"),
    [(None, Code.MISSING), ("?", Code.BAD_BYTES), ("AA==", Code.WRONG_LENGTH), ("AAAA", Code.WRONG_LENGTH)],
)
def test_bytes_that_can_not_be_had_are_a_dead_letter_alone(value: Any, code: Code) -> None:  # noqa: ANN401
    """Their neighbours go on; nothing is cut or padded."""
    block = BytesBlock(BytesFeature(field="f"), tensor(2))
    made, bad = run(block, "AQI=", value, "AwQ=")
    assert {row: cause.code for row, cause in bad.items()} == {1: code}
    assert (made[0].tolist(), made[2].tolist()) == ([1, 2], [3, 4])


@pytest.mark.parametrize(
    ("given", "dtype", "content"),
    [("float32", "float16", np.float32(1e6)), ("float32", "int8", np.float32(0.5)), ("int16", "int8", np.int16(200)),
     ("float32", "float32", np.float32("nan"))],
)  # fmt: skip
def test_numbers_that_the_tensor_can_not_hold_are_a_dead_letter(given: Any, dtype: str, content: Any) -> None:  # noqa: ANN401
    """Neither wrapped nor rounded, and no NaN."""
    block = BytesBlock(BytesFeature(field="f", encoding="hex", dtype=given, scale=1.0), tensor(1, dtype=dtype))
    _, bad = run(block, content.tobytes().hex())
    assert bad[0].code == Code.OUT_OF_RANGE


def test_a_number_that_no_float_holds_saturates_no_quantised_tensor() -> None:
    """As beside others in a matrix: it is a dead letter, where an infinite one would have become the largest."""
    block = BytesBlock(BytesFeature(field="f", dtype="float64"), tensor(1, dtype="int8", scale=0.5))
    contents = [base64.b64encode(np.float64(number).tobytes()).decode() for number in (1e300, 3.0)]
    made, bad = run(block, *contents)
    assert {row: cause.code for row, cause in bad.items()} == {0: Code.OUT_OF_RANGE}
    assert made.tolist() == [[0], [6]]


def test_an_image_is_rows_of_pixels() -> None:
    """Grey ones with or without a channel of their own; of RGB, three."""
    grey = [[0, 51], [102, 255]]
    for shape in ((2, 2, 1), (2, 2)):
        made, bad = run(
            ImageBlock(ImageFeature(field="f", size=(2, 2), mode="L", scale="1/255"), tensor(*shape)), picture(grey)
        )
        assert (made.shape, bad) == ((1, *shape), {})
        assert made.ravel().tolist() == pytest.approx([0, 0.2, 0.4, 1.0])
    colours = [[[255, 0, 0], [0, 255, 0]]]
    block = ImageBlock(ImageFeature(field="f", size=(1, 2)), tensor(1, 2, 3, dtype="uint8"))
    assert run(block, picture(colours))[0].tolist() == [colours]


def test_an_image_of_another_size_and_mode_is_made_to_fit() -> None:
    """Height comes first."""
    block = ImageBlock(ImageFeature(field="f", size=(2, 4), mode="L"), tensor(2, 4, 1))
    made, _ = run(block, picture(np.full((9, 7, 3), 100)), picture(np.full((9, 7), 100), "JPEG"))
    assert np.abs(made - 100).max() <= 1


def test_a_number_one_too_large_for_int64_is_a_dead_letter() -> None:
    """As a float it is not more than the largest int64."""
    block = BytesBlock(BytesFeature(field="f", dtype="float64"), tensor(1, dtype="int64"))
    values = [base64.b64encode(np.array([number]).tobytes()).decode() for number in (2.0**63, 2.0**62, -(2.0**63))]
    made, bad = run(block, *values)
    assert (made[1:].tolist(), {row: why.code for row, why in bad.items()}) == (
        [[2**62], [-(2**63)]],
        {0: Code.OUT_OF_RANGE},
    )


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_of_16_bits_keeps_its_upper_8(mode: Literal["L", "RGB"]) -> None:
    """Pillow's own conversion makes 255 of all that is more: a scan or an X-ray would be white."""
    grey = np.array([[0, 255, 256], [0x7F00, 0x80FF, 0xFFFF]], dtype=np.uint16)
    depth = 3 if mode == "RGB" else 1
    block = ImageBlock(ImageFeature(field="f", size=(2, 3), mode=mode), tensor(2, 3, depth, dtype="uint8"))
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    made, bad = run(block, base64.b64encode(file.getvalue()).decode())
    assert bad == {}
    assert made[0, :, :, 0].tolist() == made[0, :, :, -1].tolist() == [[0, 0, 1], [0x7F, 0x80, 0xFF]]


def test_a_png_that_its_decoder_stumbles_over_is_a_dead_letter() -> None:
    """Pillow raises IndexError for a colour profile of no bytes: whatever it raises falls on that event alone."""
    whole = base64.b64decode(picture(np.zeros((8, 8), dtype=np.uint8)))
    chunk = b"iCCP"
    evil = whole[:-12] + (0).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4) + whole[-12:]
    block = ImageBlock(ImageFeature(field="f", size=(8, 8), mode="L"), tensor(8, 8, 1))
    _, bad = run(block, base64.b64encode(evil).decode(), picture(np.zeros((8, 8), dtype=np.uint8)))
    assert {row: cause.code for row, cause in bad.items()} == {0: Code.BAD_IMAGE}


@pytest.mark.parametrize("content", [b"", b"no image", base64.b64decode(picture([[1]]))[:40], b"GIF89a" + bytes(20)])
def test_what_is_no_image_is_a_dead_letter(content: bytes) -> None:
    """With Pillow's words on one line."""
    block = ImageBlock(ImageFeature(field="f", size=(1, 1), mode="L"), tensor(1, 1, 1))
    _, bad = run(block, base64.b64encode(content).decode(), picture([[1]]))
    assert list(bad) == [0]
    assert bad[0].code == Code.BAD_IMAGE
    assert "\n" not in bad[0].message


def test_an_image_that_would_unpack_to_gigabytes_is_a_dead_letter() -> None:
    """It is refused by what it says of itself."""
    file = io.BytesIO()
    Image.new("1", (9000, 9000)).save(file, "PNG")
    block = ImageBlock(ImageFeature(field="f", size=(1, 1), mode="L"), tensor(1, 1, 1))
    _, bad = run(block, base64.b64encode(file.getvalue()).decode())
    assert bad[0].message == "9000 x 9000 pixels are too many"


@pytest.mark.parametrize(
    "feature",
    [ImageFeature(field="f", size=(2, 2), mode="RGB"), ImageFeature(field="@value", size=(2, 2), encoding="raw"),
     BytesFeature(field="f", encoding="hex", dtype="float16")],
)  # fmt: skip
def test_samples_pass_their_own_block(feature: Any) -> None:  # noqa: ANN401
    """And differ."""
    block = content_block(feature, tensor(2, 2, 3))
    samples = block.sources[0].samples(5, np.random.default_rng(0))
    bad: dict[int, Cause] = {}
    made = block.build({feature.field: samples}, 5, bad)["x"]
    assert bad == {}
    assert len({row.tobytes() for row in made}) == 5


def test_without_pillow_an_image_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(RefusedError, match=r"pip install 'onelane\[image\]'"):
        ImageBlock(ImageFeature(field="f", size=(1, 1)), tensor(1, 1, 3))


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (
            "{field: f, kind: image, size: [2, 3]}",
            "an image of [2, 3, 3] for the model's input `x` (float32[?, 2, 2, 3])",
        ),
        ("{field: f, kind: bytes, shape: [4]}", "[4] for the model's input `x` (float32[?, 2, 2, 3])"),
    ],
)
def test_what_does_not_fit_the_tensor_is_a_finding(feature: str, words: str, tmp_path: Path) -> None:
    """With both shapes."""
    columns = (
        "\n      - {field: n, kind: number}\n      - {field: c, kind: category, vocabulary: [a, b], unknown: 0}"
        "\n      - {field: t, kind: time, part: hour}\n"
    )
    spec = loaded(tmp_path, changed(columns, f" {feature}\n")).spec
    findings: list[Finding] = []
    fit_inputs(spec.model, Signature({"x": tensor(2, 2, 3)}, {}), findings)
    assert [finding.message for finding in findings] == [words]


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ("{field: f, kind: bytes}", "fills a whole tensor: it can't stand in a list"),
        ("{field: f, kind: bytes, scale: 1/x}", "1/x"),
        ("{field: f, kind: bytes, scale: 1/0}", "1/0"),
        ("{field: f, kind: bytes, encoding: raw}", "a field of an event holds no raw bytes"),
    ],
)
def test_what_can_not_be_meant_is_refused(feature: str, words: str, tmp_path: Path) -> None:
    """With its place."""
    found = refused(tmp_path, changed("{field: n, kind: number}", feature))
    assert any(words in line for line in found), found
