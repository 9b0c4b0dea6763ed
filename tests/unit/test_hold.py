"""The note beside a held partition's offset."""

import pytest

from consumer.deadletter.causes import Code
from consumer.hold import Hold, HoldKind, Note, read_note, write_note


def test_a_note_comes_back_as_it_was() -> None:
    """With what served, why, the cause and since when."""
    hold = Hold(HoldKind.GUARD, "500 dead letters in a row", Code.MALFORMED)
    written = write_note(hold, "delay@1 flights@2", "2026-01-02T03:04:05+00:00")
    assert read_note(written) == Note("delay@1 flights@2", hold.why, "Malformed", "2026-01-02T03:04:05+00:00")


def test_a_note_fits_into_an_offsets_metadata() -> None:
    """The broker takes 4,096 bytes; names are at most 249 characters."""
    hold = Hold(HoldKind.GUARD, "1000000 dead letters among the last 1000000 events", Code.UNKNOWN_CATEGORY)
    assert len(write_note(hold, "x" * 600, "2026-01-02T03:04:05+00:00")) < 1000


@pytest.mark.parametrize("text", ["", "by hand", "{}", '{"onelane":"other"}', '{"onelane":"hold"}', "[1]", "\x00"])
def test_what_others_wrote_is_no_note(text: str) -> None:
    """Tools may keep their own words there."""
    assert read_note(text) is None
