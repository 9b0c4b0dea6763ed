"""Many things compared, in the words of a failed test."""

from collections.abc import Sequence

import pytest

from tests.support.alike import assert_same, assert_same_order

MANY = range(5000)


def test_what_is_the_same_passes() -> None:
    """In any order, or in the same; what is there twice is expected twice."""
    assert_same([*reversed(MANY), 7], [7, *MANY])
    assert_same_order(iter(MANY), list(MANY))
    assert_same([], [])
    assert_same_order([], [])


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (MANY[1:], "1 of 5000 are missing: 0"),
        (MANY[:-20], "20 of 5000 are missing: 4980, 4981, 4982, 4983, 4984, 4985, 4986, 4987, 4988, 4989, …"),
        ([*MANY, 3, 3], "2 are there beside 5000: 3"),
        (["x" * 1000, *MANY], f"1 are there beside 5000: '{'x' * 199}…"),
    ],
)
def test_what_differs_is_told_alone(found: Sequence[object], words: str) -> None:
    """Ten of what is missing, or too many."""
    with pytest.raises(AssertionError) as caught:
        assert_same(found, MANY)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([*MANY[:9], 8, *MANY[10:]], "at place 9: 8, expected 9"),
        (MANY[:-1], "at place 4999: nothing more, expected 4999"),
        ([*MANY, 0], "at place 5000: 0, expected nothing more"),
    ],
)
def test_the_first_that_is_out_of_place_is_told(found: Sequence[object], words: str) -> None:
    """Where it is, and what was expected there."""
    with pytest.raises(AssertionError) as caught:
        assert_same_order(found, MANY)
    assert str(caught.value) == words
