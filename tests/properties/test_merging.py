"""Merging by bytes gives what merging by meaning would."""

import json

import orjson
from hypothesis import assume, given
from hypothesis import strategies as st

from consumer.records.layouts import Merge, Nest, Replace
from tests.properties.test_decoding import READER, names, trees

spaces = st.sampled_from(["", " ", "\n", "\r\n\t "])
PREDICTION = b'{"minutes":9.31,"model":"m"}'


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """Write an object with white space wherever it may be, and duplicates."""
    members = draw(st.lists(st.tuples(names, trees), max_size=5))
    space = draw(spaces)
    ascii_only = draw(st.booleans())
    body = (space + "," + space).join(
        json.dumps(name, ensure_ascii=ascii_only) + space + ":" + json.dumps(value, ensure_ascii=ascii_only)
        for name, value in members
    )
    return (draw(spaces) + "{" + space + body + space + "}" + draw(spaces)).encode(errors="surrogatepass")


@given(events())
def test_merged_means_the_event_and_one_field(value: bytes) -> None:
    """Of each event that the reader accepts, the merged record is that object with the field added."""
    assume(not READER.read([value])[1])
    merged = Merge("delay").write([value], [PREDICTION])[0]
    assert json.loads(merged) == json.loads(value) | {"delay": json.loads(PREDICTION)}
    assert merged.startswith(value.rstrip()[:-1].rstrip())


@given(events())
def test_replaced_means_the_event_with_the_field_set(value: bytes) -> None:
    """Whether or not the event has the field, and it is at the end."""
    accepting = orjson_reads(value)
    assume(accepting is not None)
    replaced = Replace("delay").write([value], [PREDICTION])[0]
    assert json.loads(replaced) == json.loads(value) | {"delay": json.loads(PREDICTION)}
    assert list(json.loads(replaced))[-1] == "delay"
    assert json.loads(replaced, object_pairs_hook=list)[-1][0] == "delay"


@given(events())
def test_nested_means_both_side_by_side(value: bytes) -> None:
    """Each event that the reader accepts stands under `event`."""
    assume(not READER.read([value])[1])
    nested = Nest("delay").write([value], [PREDICTION])[0]
    assert json.loads(nested) == {"event": json.loads(value), "delay": json.loads(PREDICTION)}


def orjson_reads(value: bytes) -> object:
    """Return what is written, None if it is not JSON: NaN and lone surrogates are drawn too."""
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
