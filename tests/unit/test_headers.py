"""A dead letter's headers give the event back (invariant 4)."""

import pytest

from consumer.deadletter.causes import MEANINGS, MESSAGE_LIMIT, Code, clipped
from consumer.deadletter.headers import FIELDS, PREFIX, ROOM, encode
from consumer.types import Cause, DeadLetter, Headers, PlainEvent, Stage

CAUSE = Cause(Stage.FEATURES, Code.MISSING, "absent or null", "dep_delay")


def ours(event: PlainEvent, cause: Cause = CAUSE) -> dict[str, bytes | None]:
    """Return our headers without their prefix."""
    headers = encode(DeadLetter(event, cause), "delay@3f2a91c0", "flight-delays@1234abcd")
    return {name.removeprefix(PREFIX): value for name, value in headers if name.startswith(PREFIX)}


def test_invariant_4_everything_is_recoverable() -> None:
    """Topic, partition, offset, timestamp and its type, stage, cause, field and provenance, in a fixed order."""
    event = PlainEvent(b"{", offset=2**40, partition=7, topic="flights", timestamp=(1, 1_700_000_000_123))
    assert ours(event) == {
        "topic": b"flights",
        "partition": b"7",
        "offset": b"1099511627776",
        "timestamp": b"1700000000123",
        "timestamp_type": b"create_time",
        "stage": b"features",
        "cause": b"Missing",
        "field": b"dep_delay",
        "message": b"absent or null",
        "model": b"delay@3f2a91c0",
        "pipeline": b"flight-delays@1234abcd",
    }
    assert [*ours(event), "replays"] == list(FIELDS)  # which only an event that was replayed has


def test_log_append_time_is_told_from_create_time() -> None:
    """Since a replay can set only one of them."""
    assert ours(PlainEvent(b"{", timestamp=(2, 5)))["timestamp_type"] == b"log_append_time"


def test_what_there_is_not_has_no_header() -> None:
    """No timestamp and no field: no header, rather than an empty one."""
    found = ours(PlainEvent(b"{", timestamp=(0, -1)), Cause(Stage.DECODE, Code.MALFORMED, "bad"))
    assert not {"timestamp", "timestamp_type", "field"} & found.keys()


def test_the_events_headers_come_first_and_untouched() -> None:
    """Duplicates, null values and their order too."""
    headers: Headers = [("trace", b"1"), ("none", None), ("trace", b"\xff"), ("onelaneX", b"theirs")]
    found = encode(DeadLetter(PlainEvent(b"{", headers=headers), CAUSE), "m", "p")
    assert found[:4] == list(headers)
    assert all(name.startswith(PREFIX) for name, _ in found[4:])


def test_headers_of_an_earlier_life_give_way() -> None:
    """A replayed event that falls out again carries one set of our headers, the new one."""
    first = encode(DeadLetter(PlainEvent(b"{", topic="a", headers=[("trace", b"1")]), CAUSE), "m", "p")
    again = Cause(Stage.DECODE, Code.MALFORMED, "bad")
    second = encode(DeadLetter(PlainEvent(b"{", topic="b", headers=first), again), "m", "p")
    assert second[0] == ("trace", b"1")
    names = [name for name, _ in second]
    assert len(names) == len(set(names))
    assert dict(second)[PREFIX + "topic"] == b"b"
    assert PREFIX + "field" not in names


@pytest.mark.parametrize("length", [0, MESSAGE_LIMIT - 1, MESSAGE_LIMIT])
def test_a_message_within_the_limit_is_whole(length: int) -> None:
    """Up to 500 characters."""
    assert clipped("x" * length) == "x" * length


def test_a_longer_message_is_clipped() -> None:
    """To 500 characters with an ellipsis, which shows that there was more."""
    assert clipped("x" * (MESSAGE_LIMIT + 1)) == "x" * (MESSAGE_LIMIT - 1) + "…"


def test_every_cause_has_a_meaning() -> None:
    """The docs are made from these."""
    assert MEANINGS.keys() == set(Code)


def test_our_headers_fit_into_their_room() -> None:
    """With the longest of everything, as measured in the most bytes that a character takes."""
    event = PlainEvent(b"{", offset=2**63 - 1, partition=2**31 - 1, topic="t" * 249, timestamp=(1, 2**63 - 1))
    cause = Cause(Stage.FEATURES, Code.UNKNOWN_CATEGORY, clipped("🛫" * 1000), "f" * 1000)
    found = encode(DeadLetter(event, cause), "m" * 255, "p" * 210)
    assert sum(len(name) + len(value or b"") for name, value in found) < ROOM
