"""The shapes of an enriched record: what the event said is kept byte for byte."""

import pytest

from consumer.records.layouts import Merge, Nest, Only, Replace, make_layout

P = b'{"minutes":9.31}'


def merged(value: bytes, field: str = "delay") -> bytes:
    """Merge one event."""
    return Merge(field).write([value], [P])[0]


def replaced(value: bytes, field: str = "delay") -> bytes:
    """Merge one event that may have the field."""
    return Replace(field).write([value], [P])[0]


@pytest.mark.parametrize(
    "members",
    [
        b'"id":7,"dep_delay":14.0',
        b'"n":12345678901234567890,"x":1.0,"y":1E5,"z":-0.0',
        b'"b":1,"a":2,"a":3',
        '"ort":"Zürich","\\u00fc":"\\u00fc"'.encode(),
        b'"x": {"y": [1, 2]} , "s":"}"',
    ],
)
def test_merge_keeps_bytes(members: bytes) -> None:
    """Numbers keep their digits, keys their order and spelling, and white space stays."""
    assert merged(b"{" + members + b"}") == b"{" + members + b',"delay":' + P + b"}"


@pytest.mark.parametrize("value", [b"{}", b"{ }", b"{\n\t}", b"{}\n", b"{ } \r\n"])
def test_an_empty_object_gets_no_comma(value: bytes) -> None:
    """The field is its only member, whatever white space there was."""
    assert merged(value) == b'{"delay":' + P + b"}"


def test_white_space_around_the_last_brace_goes() -> None:
    """Everything before it stays, also at the front."""
    assert merged(b' {\n  "a": 1\n}\r\n') == b' {\n  "a": 1,"delay":' + P + b"}"
    assert merged(b'{"a":1} ') == b'{"a":1,"delay":' + P + b"}"


def test_merge_escapes_the_field() -> None:
    """Any name is written as JSON."""
    assert merged(b"{}", "ü x") == '{"ü x":'.encode() + P + b"}"


def test_replace_leaves_other_events_untouched() -> None:
    """An event without the field is merged as it is."""
    assert replaced(b'{"a": 1.0, "a": 2}') == b'{"a": 1.0, "a": 2,"delay":' + P + b"}"


@pytest.mark.parametrize("name", [b'"delay"', b'"\\u0064elay"'])
def test_replace_takes_the_old_value_out(name: bytes) -> None:
    """However its key is spelled; values of others keep their bytes."""
    value = b'{"x":1.0, ' + name + b':{"minutes":1} ,"n":12345678901234567890}'
    assert replaced(value) == b'{"x":1.0,"n":12345678901234567890,"delay":' + P + b"}"


def test_replace_takes_all_duplicates_out() -> None:
    """In any mix of spellings, at any place."""
    assert replaced(b'{"delay":1,"a":2,"\\u0064elay":3,"delay":4}') == b'{"a":2,"delay":' + P + b"}"


def test_replace_of_the_only_member_leaves_no_comma() -> None:
    """The event is then as good as empty."""
    assert replaced(b'{"delay":1}') == b'{"delay":' + P + b"}"


@pytest.mark.parametrize("value", [b'{"s":"\\"delay\\"","\\n":1}', b'{"x":{"delay":1}}', b'{"x":"delay"}'])
def test_replace_is_not_fooled_by_look_alikes(value: bytes) -> None:
    """The name in a string or deeper down is not the field."""
    assert replaced(value) == value[:-1] + b',"delay":' + P + b"}"


def test_nest_puts_the_event_beside_the_predictions() -> None:
    """The event's bytes stay, white space around it goes."""
    assert Nest("delay").write([b' {"a": 1.0}\n'], [P]) == [b'{"event":{"a": 1.0},"delay":' + P + b"}"]


def test_only_leaves_the_event_out() -> None:
    """The predictions are the record."""
    assert Only("delay").write([b'{"a":1}', b"{}"], [P]) == [b'{"delay":' + P + b"}"] * 2


def test_the_pipeline_file_names_the_layout() -> None:
    """`existing` counts for merge alone."""
    kinds = [make_layout(k, "f", e) for k in ("merge", "nest", "only") for e in ("dead_letter", "replace")]
    assert [type(kind) for kind in kinds] == [Merge, Replace, Nest, Nest, Only, Only]
