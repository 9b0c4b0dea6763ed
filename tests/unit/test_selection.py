"""Which dead letters filters mean."""

from datetime import UTC, datetime

import pytest

from consumer.deadletter.causes import Code
from consumer.deadletter.selection import Selection, Window, parse_moment, parse_offsets
from consumer.types import Cause, PlainEvent, Stage
from tests.support.letters import dead_letter, letter_of

LETTER = letter_of(
    dead_letter(
        PlainEvent(b"v", topic="t", headers=[("onelane.replays", b"2")]),
        cause=Cause(Stage.FEATURES, Code.MISSING, "absent"),
    )
)
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOON = 1_769_860_800_000


def of(*names: str) -> frozenset[str]:
    """Return a set of names."""
    return frozenset(names)


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(causes=of("Missing", "Malformed")), True),
        (Selection(causes=of("Malformed")), False),
        (Selection(stages=of("features")), True),
        (Selection(stages=of("decode")), False),
        (Selection(models=of("delay@1")), True),
        (Selection(models=of("delay")), True),
        (Selection(models=of("delay@2", "1")), False),
        (Selection(causes=of("Missing"), stages=of("decode")), False),
        (Selection(replays=3), True),
        (Selection(replays=2), False),
    ],
)
def test_a_selection_takes_what_matches_all_of_it(selection: Selection, *, taken: bool) -> None:
    """Values of one kind are alternatives, kinds are not."""
    assert selection.takes(LETTER) is taken


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        (Selection(), Selection(causes=of("Missing"), replays=3), True),
        (Selection(causes=of("Missing")), Selection(), False),
        (Selection(causes=of("Missing", "BadTime")), Selection(causes=of("Missing"), stages=of("features")), True),
        (Selection(causes=of("Missing")), Selection(causes=of("Missing", "BadTime")), False),
        (Selection(replays=3), Selection(replays=2), True),
        (Selection(replays=2), Selection(replays=3), False),
        (Selection(replays=2), Selection(), False),
    ],
)
def test_a_selection_covers_narrower_ones(wide: Selection, narrow: Selection, *, covers: bool) -> None:
    """Only where it takes all that the other takes."""
    assert wide.covers(narrow) is covers


@pytest.mark.parametrize(
    ("window", "spans"),
    [
        (Window(), {0: (5, 100), 1: (0, 50)}),
        (Window(partitions=frozenset([1, 7])), {1: (0, 50)}),
        (Window(first=60), {0: (60, 100), 1: (60, 60)}),
        (Window(last=9), {0: (5, 10), 1: (0, 10)}),
        (Window(first=0, last=3), {0: (5, 5), 1: (0, 4)}),
        (Window(since=1), {0: (70, 100), 1: (50, 50)}),
        (Window(until=1), {0: (5, 80), 1: (0, 20)}),
        (Window(since=1, until=1, first=75, last=76), {0: (75, 77), 1: (75, 75)}),
    ],
)
def test_a_window_is_spans_of_offsets(window: Window, spans: dict[int, tuple[int, int]]) -> None:
    """Within what the partition holds; an empty span rather than one that goes backwards."""
    began, ended = {0: 70, 1: 50}, {0: 80, 1: 20}
    found = window.spans({0: (5, 100), 1: (0, 50)}, began if window.since else {}, ended if window.until else {})
    assert found == spans


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-01-31T12:00Z", NOON),
        ("2026-01-31T12:00:00.5", NOON + 500),
        ("2026-01-31 13:00+01:00", NOON),
        ("2026-01-31", NOON - 12 * 3_600_000),
        ("90s", NOON - 90_000),
        ("1.5 h", NOON - 5_400_000),
        ("20m", NOON - 1_200_000),
        ("7d", NOON - 7 * 86_400_000),
    ],
)
def test_moments_are_times_or_so_long_ago(text: str, milliseconds: int) -> None:
    """A time without a zone is UTC."""
    assert parse_moment(text, NOW) == milliseconds


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "yesterday", "2026-13-01", "2w"])
def test_what_is_no_moment_is_refused_with_examples(text: str) -> None:
    """In words that say what would be right."""
    with pytest.raises(ValueError, match=r"is no time: expected one such as .* 2h"):
        parse_moment(text, NOW)


@pytest.mark.parametrize(
    ("text", "offsets"), [("3..7", (3, 7)), ("3..", (3, None)), ("..7", (None, 7)), ("7..7", (7, 7))]
)
def test_offsets_have_both_ends_in_them(text: str, offsets: tuple[int | None, int | None]) -> None:
    """Or one that is open."""
    assert parse_offsets(text) == offsets


@pytest.mark.parametrize("text", ["", "..", "3", "3.7", "a..b", "7..3", "-1..3"])
def test_what_are_no_offsets_is_refused(text: str) -> None:
    """With what is wrong with them."""
    with pytest.raises(ValueError, match=r"no offsets: expected|above the last"):
        parse_offsets(text)
