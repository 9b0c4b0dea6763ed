"""Are two records the same?"""

import math
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final

RELATIVE: Final = 1e-5
# Scores that are next to nothing may differ by what is lost in adding up.
ABSOLUTE: Final = 1e-7

_NOTHING: Final = object()


def differences(found: Any, expected: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - whatever JSON holds
    """Return where two decoded records differ; numbers may by a 100,000th."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in found.keys() | expected.keys():
            yield from differences(found.get(key, _NOTHING), expected.get(key, _NOTHING), f"{path}.{key}")
    elif isinstance(found, list) and isinstance(expected, list):
        for place, pair in enumerate(zip_longest(found, expected, fillvalue=_NOTHING)):
            yield from differences(*pair, f"{path}[{place}]")
    elif not _same(found, expected):
        yield f"{path}: {found} for {expected}"


def _same(found: Any, expected: Any) -> bool:  # noqa: ANN401
    if isinstance(found, float) and isinstance(expected, float | int) and not isinstance(expected, bool):
        return math.isclose(found, expected, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return type(found) is type(expected) and bool(found == expected)
