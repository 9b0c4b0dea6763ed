"""Durations and sizes as people write them: ``20ms``, ``4MiB``."""

import re
from typing import Any, Final, Self

_DURATION: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE: Final = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def _quantity(text: object, units: dict[str, Any], example: str) -> float:
    match = _QUANTITY.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match[2] not in units:
        raise ValueError(f"expected a number with a unit ({', '.join(units)}), such as {example}, got {text!r}")
    return float(match[1]) * float(units[match[2]])


class Duration(float):
    """A time in seconds, written with its unit."""

    __slots__ = ()
    PATTERN: Final = r"^\d+(\.\d+)?\s*(us|ms|s|m|h)$"

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read ``20ms`` or ``1.5s``.

        Raises:
            ValueError: no number, no unit, or a unit that is not one of us, ms, s, m, h.
        """
        return cls(_quantity(text, _DURATION, "20ms"))

    def __str__(self) -> str:
        return f"{self:g}s" if self >= 1 else f"{self * 1000:g}ms"


class Size(int):
    """A number of bytes, written with its unit."""

    __slots__ = ()
    PATTERN: Final = r"^\d+(\.\d+)?\s*(B|KB|MB|GB|KiB|MiB|GiB)$"

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read ``4MiB`` or ``512KB``.

        Raises:
            ValueError: no number, no unit, or an unknown unit.
        """
        return cls(round(_quantity(text, _SIZE, "4MiB")))

    def __str__(self) -> str:
        return f"{int(self) // 1024**2}MiB" if self % 1024**2 == 0 else f"{int(self)}B"


def factor(scale: float | str) -> float:
    """Return the number that a scale is: 0.5, or "1/255".

    Raises:
        ValueError: it is neither.
    """
    if not isinstance(scale, str):
        return float(scale)
    above, _, below = scale.partition("/")
    try:
        return float(above) / float(below)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"expected a number or a fraction such as 1/255, got {scale!r}") from None
