"""The record's own parts as fields: what their bytes are taken for."""

from typing import Any

import pytest

from consumer.records.parts import Parts
from consumer.records.reader import Bad
from consumer.types import PlainEvent


def read(key: bytes | None, accepts: Any) -> Any:  # noqa: ANN401
    """Return what a key is taken for, or the code and words of its cause."""
    bad: Bad = {}
    (value,) = Parts({"@key": accepts}).columns([PlainEvent(b"", key=key)], bad)["@key"]
    return (bad[0].code, bad[0].message) if bad else value


@pytest.mark.parametrize(
    ("key", "accepts", "value"),
    [
        (b"12", float | None, 12.0),
        (b"-1.5e3", float | None, -1500.0),
        (b"12", int | None, 12),
        (b"true", bool | None, True),
        (b"null", str | None, "null"),
        (b"nan", float | str | None, "nan"),
        (b"null", str | int | float | None, "null"),
        (b"null", bytes | None, b"null"),
        (None, float | None, None),
        (None, str | None, None),
    ],
)
def test_a_part_is_read_as_its_feature_takes_it(key: bytes | None, accepts: Any, value: object) -> None:  # noqa: ANN401
    """A number from text; a text as it is, whatever word it is."""
    assert read(key, accepts) == value


@pytest.mark.parametrize("key", [b"nan", b"NaN", b"null", b"NULL", b"inf", b"-Infinity", b"", b" ", b"1_0", b"x"])
@pytest.mark.parametrize("accepts", [float | None, int | None, bool | None, list[float] | None])
def test_words_for_nothing_are_of_another_type_not_absent(key: bytes, accepts: Any) -> None:  # noqa: ANN401
    """What `missing` stands in for is a part that is not there."""
    code, _ = read(key, accepts)
    assert code == "WrongType"


def test_a_text_that_is_no_number_is_told() -> None:
    """With what it says."""
    assert read(b"nan", float | None) == ("WrongType", "Expected `float`, got 'nan'")
