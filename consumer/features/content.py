"""kinds: bytes and image. One field's content as a whole tensor."""

import base64
import binascii
import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from consumer.deadletter.causes import Code
from consumer.exits import RefusedError
from consumer.features.block import Source, Values
from consumer.features.column import absent_cause, cause
from consumer.model.tensors import Array, Tensor, from_floats, whole_within
from consumer.pipeline.features import BytesFeature, ImageFeature
from consumer.pipeline.units import factor
from consumer.types import Cause

# An image that says it is larger is not unpacked: a few bytes can stand for gigabytes.
_MOST_PIXELS: Final = 64_000_000
_SAMPLE_SIDE: Final = 24


class _WrongError(Exception):
    """A row's content can't be had; told with its code."""

    def __init__(self, code: Code, words: str) -> None:
        super().__init__(words)
        self.code = code


class _Content:
    """What both kinds share: a field, its encoding, a scale, and the tensor."""

    def __init__(self, feature: BytesFeature | ImageFeature, tensor: Tensor) -> None:
        self.field = feature.field
        self.accepts: Any = (
            bytes | None if feature.field.startswith("@") and feature.encoding == "raw" else str | None
        )
        self.tensors = (tensor,)
        self.ragged = ()
        self.sources: Sequence[Source] = (self,)
        self._encoding = feature.encoding
        self._tensor = tensor
        self._shape = tensor.shape[1:]
        self._scale = factor(feature.scale)
        self._plain = self._scale == 1 and not feature.mean and feature.std == 1
        self._mean = feature.mean
        self._std = feature.std

    def build(self, values: Values, rows: int, bad: dict[int, Cause]) -> dict[str, Array]:
        """Return a (rows, ...) array of the tensor's type."""
        made = np.zeros((rows, *self._shape), dtype=self._tensor.dtype)
        for row, value in enumerate(values[self.field]):
            if value is None:
                bad.setdefault(row, absent_cause(self.field))
                continue
            try:
                made[row] = self._typed(self._numbers(self._bytes(value)))
            except _WrongError as error:
                bad.setdefault(row, cause(error.code, str(error), self.field))
        return {self._tensor.name: made}

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return contents that pass."""
        raise NotImplementedError

    def _numbers(self, content: bytes) -> Array:
        raise NotImplementedError

    def _bytes(self, value: str | bytes) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            return base64.b64decode(value, validate=True) if self._encoding == "base64" else bytes.fromhex(value)
        except (binascii.Error, ValueError) as error:
            raise _WrongError(Code.BAD_BYTES, f"not {self._encoding}: {error}") from None

    def _text(self, content: bytes) -> str | bytes:
        if self._encoding == "raw":
            return content
        return base64.b64encode(content).decode() if self._encoding == "base64" else content.hex()

    def _typed(self, numbers: Array) -> Array:
        tensor = self._tensor
        if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
            raise _WrongError(Code.OUT_OF_RANGE, "holds what is not finite")
        if self._plain and numbers.dtype == tensor.dtype:
            return numbers.reshape(self._shape)  # as stored, also where the tensor is quantised
        with np.errstate(over="ignore"):  # an overflow becomes infinite, and that is looked for
            scaled = (numbers.astype(np.float64) * self._scale - self._mean) / self._std
        if tensor.scale or tensor.floats == tensor.dtype:
            made, odd = from_floats(scaled, tensor)
            if odd.any():
                raise _WrongError(Code.OUT_OF_RANGE, f"holds what is more than a {tensor.floats} can hold")
            return made.reshape(self._shape)
        if not whole_within(scaled, np.iinfo(tensor.dtype)).all():
            raise _WrongError(Code.OUT_OF_RANGE, f"holds what is no {tensor.dtype}")
        return scaled.astype(tensor.dtype).reshape(self._shape)


class BytesBlock(_Content):
    """Bytes as numbers of a type, little-endian, in row-major order."""

    def __init__(self, feature: BytesFeature, tensor: Tensor) -> None:
        super().__init__(feature, tensor)
        self._dtype = np.dtype(feature.dtype).newbyteorder("<")
        self._count = int(np.prod(self._shape, dtype=np.int64))

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return bytes of small numbers, which every type has."""
        return [self._text(random.integers(0, 100, self._count).astype(self._dtype).tobytes()) for _ in range(count)]

    def _numbers(self, content: bytes) -> Array:
        wanted = self._count * self._dtype.itemsize
        if len(content) != wanted:
            raise _WrongError(Code.WRONG_LENGTH, f"{len(content)} bytes, where {wanted} are needed")
        return np.frombuffer(content, dtype=self._dtype).astype(self._dtype.newbyteorder("="), copy=False)


class ImageBlock(_Content):
    """A picture in a file's bytes, resized, as (height, width, channels).

    Raises:
        RefusedError: Pillow is not installed.
    """

    def __init__(self, feature: ImageFeature, tensor: Tensor) -> None:
        super().__init__(feature, tensor)
        try:
            from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - an extra
        except ImportError:
            raise RefusedError("features of kind image need Pillow: pip install 'onelane[image]'") from None
        self._pillow = Image
        self._unidentified = UnidentifiedImageError
        self._size = feature.size
        self._mode = feature.mode

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return pictures of noise, as PNG."""
        return [self._text(self._noise(random)) for _ in range(count)]

    def _noise(self, random: np.random.Generator) -> bytes:
        shape = (_SAMPLE_SIDE, _SAMPLE_SIDE, *((3,) if self._mode == "RGB" else ()))
        file = io.BytesIO()
        self._pillow.fromarray(random.integers(0, 256, shape).astype(np.uint8)).save(file, "PNG")
        return file.getvalue()

    def _eight_bits(self, image: Any) -> Any:  # noqa: ANN401 - Pillow's
        """Take the upper half of 16 bits, as Pillow itself does in colours; grey it would cut off at 255."""
        if not image.mode.startswith("I"):
            return image
        return self._pillow.fromarray((np.asarray(image) >> 8).astype(np.uint8))

    def _numbers(self, content: bytes) -> Array:
        height, width = self._size
        try:
            with self._pillow.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
                if image.width * image.height > _MOST_PIXELS:
                    raise _WrongError(  # noqa: TRY301 - it passes
                        Code.BAD_IMAGE, f"{image.width} x {image.height} pixels are too many"
                    )
                plain = self._eight_bits(image).convert(self._mode)
        except self._unidentified:
            # Pillow's words name an address in memory, and dead letters of one event are to be alike.
            raise _WrongError(Code.BAD_IMAGE, "no PNG or JPEG image") from None
        except (_WrongError, MemoryError):  # what is short of memory may go well next time
            raise
        except Exception as error:  # noqa: BLE001 - what a decoder raises on broken bytes has no end (IndexError, too)
            raise _WrongError(Code.BAD_IMAGE, f"a broken image: {' '.join(str(error).split())}") from None
        if plain.size != (width, height):
            plain = plain.resize((width, height), self._pillow.Resampling.BILINEAR)
        return np.asarray(plain, dtype=np.uint8)
