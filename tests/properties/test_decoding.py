"""Fuzzing the reader: whatever bytes come in."""

import json

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.records.json_reader import JsonReader

READER = JsonReader({"a": float | None, "c": str | int | float | None, "t": str | None, "b": bool | None}, "delay")

names = st.sampled_from(["a", "b", "c", "t", "delay", "x", ""]) | st.text(max_size=4)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**30), 10**30)
    | st.floats()  # json.dumps writes NaN and Infinity, which are not JSON
    | st.text(max_size=5)
)
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
objects = st.dictionaries(names, trees, max_size=5)


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """Write an object as JSON, in one of the ways that JSON allows, and perhaps break it."""
    text = json.dumps(draw(objects), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    data = text.encode(errors="surrogatepass")
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(data)))
        piece = draw(st.sampled_from([b"", b"\xff", b'"', b"\\", b"}", b"[", b"\x00", b"1e400", b"NaN", b","]))
        data = data[:place] + piece + data[place + draw(st.integers(0, 1)) :]
    return data


values = st.none() | st.binary(max_size=30) | written()


def read_by_others(data: bytes) -> object:
    """Read JSON as a strict reader would, except for numbers that a double can't hold.

    These are valid JSON (RFC 8259, section 6, sets no limits), and the reader passes them on untouched where no
    feature reads them; orjson refuses them, since it would have to give back infinity.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "number is infinity" not in str(error):
            raise
        return json.loads(data)


@settings(max_examples=400)
@given(st.lists(values, max_size=6))
def test_whatever_comes_in_never_raises(batch: list[bytes | None]) -> None:
    """Each value is a row or has a cause, and what is accepted is JSON to others too."""
    rows, bad = READER.read(batch)
    assert len(rows) + len(bad) == len(batch)
    for place, value in enumerate(batch):
        if place not in bad:
            assert value is not None
            assert isinstance(read_by_others(value), dict)


@settings(max_examples=300)
@given(st.lists(values, max_size=6))
def test_a_batch_is_read_as_its_values_are(batch: list[bytes | None]) -> None:
    """The fast path of a whole batch and the way one by one agree, in rows and in causes."""
    rows, bad = READER.read(batch)
    alone = [READER.read([value]) for value in batch]
    assert rows == [row for found, _ in alone for row in found]
    assert bad == {place: causes[0] for place, (_, causes) in enumerate(alone) if causes}


@settings(max_examples=300)
@given(objects)
def test_what_is_accepted_says_what_was_written(tree: dict[str, object]) -> None:
    """A field that is accepted has the value that Python's reader finds, and absent is null; numbers are doubles."""
    data = json.dumps(tree).encode()
    rows, bad = READER.read([data])
    if not bad:
        number = tree.get("a")
        assert list(READER.columns(rows)["a"]) == [float(number) if isinstance(number, int) else number]
        for name in ("b", "c", "t"):
            assert list(READER.columns(rows)[name]) == [tree.get(name)]
