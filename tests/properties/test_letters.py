"""Whatever falls out, its headers can be written, are bounded, and give it back."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.deadletter.causes import Code, clipped
from consumer.deadletter.headers import PREFIX, REPLAYS, ROOM, encode, own_headers, replays
from consumer.deadletter.letter import parse, revive
from consumer.deadletter.replay import Fate, Judge, Memory
from consumer.deadletter.selection import Selection
from consumer.types import Cause, DeadLetter, PlainEvent, Stage
from tests.properties.test_decoding import READER, values
from tests.support.letters import dead_letter

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


@given(
    st.builds(
        PlainEvent,
        st.none() | st.binary(max_size=8),
        offset=st.integers(0, 2**63 - 1),
        partition=st.integers(0, 2**31 - 1),
        topic=st.from_regex(r"[a-zA-Z0-9._-]{1,20}", fullmatch=True),
        key=st.none() | st.binary(max_size=4),
        timestamp=st.tuples(st.sampled_from([1, 2]), st.integers(0, 2**53)) | st.just((0, -1)),
        headers=some_headers,
    ),
    st.builds(Cause, st.sampled_from(Stage), st.sampled_from(Code), any_text.map(clipped), st.none() | any_text),
    any_text,
    any_text,
)
def test_what_is_encoded_is_read_back(event: PlainEvent, cause: Cause, model: str, pipeline: str) -> None:
    """Everything that a dead letter's headers say, and the event itself, bar the count of replays that it gains."""
    headers = encode(DeadLetter(event, cause), model, pipeline)
    letter = parse(PlainEvent(event.value(), key=event.key(), headers=headers))
    assert letter is not None
    assert (letter.topic, letter.partition, letter.offset) == (event.topic(), event.partition(), event.offset())
    assert letter.timestamp == event.timestamp()
    assert (letter.stage, letter.cause, letter.field, letter.message) == (
        cause.stage,
        cause.code,
        cause.field,
        cause.message,
    )
    assert (letter.model, letter.pipeline) == (model, pipeline)
    back = revive(letter)
    assert (back.key(), back.value(), back.timestamp()) == (event.key(), event.value(), event.timestamp())
    assert list(back.headers() or ())[:-1] == own_headers(event.headers())
    assert replays(back.headers()) == letter.replays + 1


codes = st.sampled_from([Code.MISSING, Code.BAD_TIME, Code.MALFORMED])
selections = st.builds(
    Selection,
    causes=st.frozensets(codes.map(str), max_size=2),
    stages=st.just(frozenset()),
    replays=st.integers(1, 3),
)
passes = st.tuples(selections, st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))


@given(st.lists(st.tuples(codes, st.integers(0, 3)), min_size=12, max_size=12), st.lists(passes, max_size=8))
def test_no_order_of_filters_replays_a_letter_twice(
    letters: list[tuple[Code, int]], runs: list[tuple[Selection, int, int, int]]
) -> None:
    """Passes with any filters over any spans, broken off anywhere, replay each letter that they reached once."""
    records = [
        dead_letter(
            PlainEvent(b"", topic="t", headers=[(REPLAYS, str(count).encode())]),
            cause=Cause(Stage.FEATURES, code, "m"),
            at=(0, offset),
        )
        for offset, (code, count) in enumerate(letters)
    ]
    replayed: list[int] = []
    reached: set[int] = set()
    text: str | None = None
    for selection, start, stop, broken_off in runs:
        memory = Memory(text)
        end = min(stop, broken_off)
        for record in records[start:end]:
            fate, letter = Judge("flight-delays", "t", selection).judge(record, memory)
            assert letter is not None
            if selection.takes(letter):
                reached.add(record.offset())
            if fate is Fate.REPLAY:
                replayed.append(record.offset())
        memory.note(selection, (start, end), 0)
        text = memory.text()
    assert sorted(replayed) == sorted(reached)
