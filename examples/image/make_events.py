"""Make images of digits from scikit-learn's, as JSON with a PNG inside and as bare bytes, and their truth.

Run from the repository's root: `python -m examples.image.make_events`. Chance is seeded: the same packages give the
same bytes.
"""

import base64
import io
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from examples.served import write_gzip, write_lines

HERE: Final = Path(__file__).parent
SEED: Final = 19
BRIGHTEST: Final = 16  # a pixel of the data set is a count, 0 to 16

# The rows come writer by writer, so they are split in order: at random, one hand would be on both sides.
TRAINING: Final = slice(0, 1100)
VALIDATION: Final = slice(1100, 1260)
HELD_OUT: Final = slice(1260, None)

LARGE_EVENTS: Final = 10  # colour images of twice the size, as another camera would send them


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Read images, uint8 [n, 8, 8] of 0 to 16, and which digit each is."""
    digits = load_digits()
    return digits.images.astype("uint8"), digits.target


def grey(image: np.ndarray) -> np.ndarray:
    """Spread 0 to 16 over 0 to 255, the whole range of a PNG's pixel."""
    return np.round(image * (255 / BRIGHTEST)).astype("uint8")


def png(image: np.ndarray) -> str:
    """Write uint8 [height, width] as a grey PNG, [height, width, 3] as one in colour, in base64."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def large(image: np.ndarray) -> np.ndarray:
    """Make each pixel four, and three channels of one."""
    doubled = grey(image).repeat(2, axis=0).repeat(2, axis=1)
    return np.stack([doubled] * 3, axis=-1)


def broken(image: np.ndarray) -> list[dict[str, Any]]:
    """Give what else comes: nothing, no base64, a PNG that ends early, bytes that are no image. Dead letters all."""
    whole = base64.b64decode(png(grey(image)))
    return [
        {},
        {"image": None},
        {"image": "a photograph, see attachment"},
        {"image": base64.b64encode(whole[:60]).decode()},
        {"image": base64.b64encode(image.tobytes()).decode()},
    ]


def main() -> None:
    """Write the events of both topics and their truth beside this script."""
    images, digits = read_digits()
    images, digits = images[HELD_OUT], digits[HELD_OUT]
    rng = np.random.default_rng(SEED)
    larges = set(rng.choice(len(images), LARGE_EVENTS, replace=False).tolist())
    good = [
        ({"image": png(large(image) if place in larges else grey(image))}, digit)
        for place, (image, digit) in enumerate(zip(images, digits, strict=True))
    ]
    events: list[tuple[dict[str, Any], int | None]] = [*good]
    for event in broken(images[0]):
        events.insert(int(rng.integers(len(events))), (event, None))
    write_lines(HERE / "events.jsonl.gz", ({"id": number, **event} for number, (event, _) in enumerate(events)))
    known = [f"{number},{digit}" for number, (_, digit) in enumerate(events) if digit is not None]
    write_gzip(HERE / "truth.csv.gz", "".join(f"{line}\n" for line in ["id,digit", *known]).encode())
    # The same digits in the same order, 64 bytes each, without the broken ones.
    write_gzip(HERE / "images.bin.gz", images.tobytes())
    (HERE / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
    print(f"{len(events)} events, {len(events) - len(known)} of them broken, {LARGE_EVENTS} large and in colour")


if __name__ == "__main__":
    main()
