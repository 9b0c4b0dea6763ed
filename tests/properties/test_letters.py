"""Whatever falls out, its headers can be written and are bounded."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.deadletter.causes import Code, clipped
from consumer.deadletter.headers import PREFIX, ROOM, encode
from consumer.types import Cause, DeadLetter, PlainEvent, Stage
from tests.properties.test_decoding import READER, values

names = st.sampled_from(["trace", PREFIX + "cause", PREFIX + "x", "onelane"]) | st.text(max_size=8)
some_headers = st.none() | st.lists(st.tuples(names, st.none() | st.binary(max_size=8)), max_size=4)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=2000)


@given(any_text, st.sampled_from(Code), some_headers, st.integers(0, 2**63 - 1))
def test_our_headers_are_bounded(
    message: str, code: Code, headers: list[tuple[str, bytes | None]] | None, offset: int
) -> None:
    """Whatever the message, they take less than their room; the event's own are kept, but for ours of old."""
    event = PlainEvent(b"", headers=headers, offset=offset)
    found = encode(DeadLetter(event, Cause(Stage.DECODE, code, clipped(message), "f")), "m", "p")
    kept = [header for header in headers or [] if not header[0].startswith(PREFIX)]
    assert found[: len(kept)] == kept
    assert sum(len(name.encode()) + len(value or b"") for name, value in found[len(kept) :]) < ROOM
    assert dict(found)[PREFIX + "offset"] == str(offset).encode()


@given(values)
def test_every_cause_that_decoding_finds_can_be_written(value: bytes | None) -> None:
    """No value makes a message that is no UTF-8 or is longer than a header should be."""
    _, bad = READER.read([value])
    for cause in bad.values():
        found = dict(encode(DeadLetter(PlainEvent(value), cause), "m", "p"))
        assert len((found[PREFIX + "message"] or b"").decode()) <= 500
