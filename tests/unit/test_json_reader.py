"""The rules of decoding (DESIGN.md): strict where leniency would be silent."""

import sys
from typing import Any

import pytest

from consumer.deadletter.causes import Code
from consumer.records.json_reader import NESTING, JsonReader, depth
from consumer.types import Cause, Stage

Key = str | int | float | None


def reader(forbidden: str | None = None, **fields: Any) -> JsonReader:  # noqa: ANN401 - types are values here
    """Make a reader of the given fields; `a` is a number and `key` a category where none are given."""
    return JsonReader(fields or {"a": float | None, "key": Key}, forbidden)


def value_of(data: bytes, field: str = "a", made: JsonReader | None = None) -> object:
    """Return the one field of an event that is accepted."""
    found = made or reader()
    rows, bad = found.read([data])
    assert bad == {}
    return found.columns(rows)[field][0]


def cause_of(data: bytes | None, made: JsonReader | None = None) -> Cause:
    """Return why an event is not accepted."""
    rows, bad = (made or reader()).read([data])
    assert (rows, list(bad)) == ([], [0])
    assert bad[0].stage is Stage.DECODE
    return bad[0]


@pytest.mark.parametrize("data", [b"{}", b'{"a":null}', b'{"b":1}', b' \n{"a" : null}\t'])
def test_absent_and_null_are_the_same(data: bytes) -> None:
    """Both are None, which `missing` stands in for."""
    assert value_of(data) is None


@pytest.mark.parametrize("wrong", [b'"1"', b"true", b"{}", b"[1]", b'""'])
def test_a_wrong_type_is_never_the_default(wrong: bytes) -> None:
    """A value of another type is a dead letter that names the field."""
    cause = cause_of(b'{"a":' + wrong + b"}")
    assert (cause.code, cause.field) == (Code.WRONG_TYPE, "a")


def test_of_duplicate_keys_the_last_wins() -> None:
    """As in most JSON readers."""
    assert value_of(b'{"a":1,"a":2}') == 2.0
    assert value_of(b'{"a":1,"a":null}') is None


@pytest.mark.parametrize("data", [b'{"a":"x","a":2}', b'{"a":2,"a":"x"}'])
def test_a_wrong_type_in_any_duplicate_is_a_dead_letter(data: bytes) -> None:
    """A wrong type that a later duplicate hides is still a wrong type."""
    assert cause_of(data).code is Code.WRONG_TYPE


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"nan"])
@pytest.mark.parametrize("field", [b"a", b"undeclared"])
def test_nan_and_infinity_are_not_json(number: bytes, field: bytes) -> None:
    """They are malformed, in declared fields and in others."""
    assert cause_of(b'{"' + field + b'":' + number + b"}").code is Code.MALFORMED


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"9" * 400])
def test_a_number_beyond_a_double_is_out_of_range(number: bytes) -> None:
    """It never becomes infinity."""
    cause = cause_of(b'{"a":' + number + b"}")
    assert (cause.code, cause.field) == (Code.OUT_OF_RANGE, "a")


def test_integers_of_a_category_keep_all_digits() -> None:
    """Identifiers past 2^63 and of 21 digits are not rounded; past what Python reads they are out of range."""
    assert value_of(b'{"key":9223372036854775808}', "key") == 2**63
    assert value_of(b'{"key":100000000000000000001}', "key") == 10**20 + 1
    assert cause_of(b'{"key":' + b"9" * 5000 + b"}").code is Code.OUT_OF_RANGE


def test_integers_become_floats_in_a_number() -> None:
    """2^63 as a number is a double."""
    assert value_of(b'{"a":9223372036854775808}') == float(2**63)


def test_undeclared_invalid_utf8_is_refused() -> None:
    """A merged record passes it on, and would poison its readers."""
    cause = cause_of(b'{"a":1,"x":"\xff"}')
    assert (cause.code, cause.message) == (Code.NOT_UTF8, "byte 12 is not UTF-8")


@pytest.mark.parametrize("data", [b'{"x":"\xed\xa0\x80"}', b'{"x":"\xc0\xaf"}', b'{"x":"\xf4\x90\x80\x80"}'])
def test_surrogates_and_overlong_forms_are_not_utf8(data: bytes) -> None:
    """What only lenient decoders take is refused."""
    assert cause_of(data).code is Code.NOT_UTF8


def test_valid_utf8_is_accepted() -> None:
    """Text beyond ASCII is fine where nothing is wrong with it."""
    assert value_of('{"x":"Zürich 🛫","a":1}'.encode()) == 1.0


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbf{}", b"{", b"{}}", b'{"a":1,}', b"{'a':1}", b'{"a":01}', b" ", b"nul"]
)
def test_what_is_not_json_is_malformed(data: bytes) -> None:
    """A byte-order mark, rubbish after the object, and everything that lenient readers take."""
    assert cause_of(data).code is Code.MALFORMED


@pytest.mark.parametrize("data", [b'{"x":"\\ud800"}', b'{"\\udc00":1}', b'{"x":"\x01"}', b'{"x":"\\q"}'])
def test_bad_strings_of_undeclared_fields_are_malformed(data: bytes) -> None:
    """Lone surrogates, control characters and unknown escapes are found in fields that nobody reads."""
    assert cause_of(data).code is Code.MALFORMED


@pytest.mark.parametrize("data", [b"[]", b"[{}]", b"1", b'"a"', b"null", b"true"])
def test_an_event_is_an_object(data: bytes) -> None:
    """Arrays and scalars are no events, and no field is to blame."""
    cause = cause_of(data)
    assert (cause.code, cause.field) == (Code.WRONG_TYPE, None)


@pytest.mark.parametrize(("data", "message"), [(None, "a tombstone"), (b"", "an empty value")])
def test_tombstones_and_empty_values_have_nothing_to_predict_from(data: bytes | None, message: str) -> None:
    """They are dead letters, not events of missing fields."""
    cause = cause_of(data)
    assert (cause.code, cause.message) == (Code.NO_VALUE, message)


def nested(levels: int) -> bytes:
    """Make an event that is ``levels`` deep, arrays and objects by turns, with itself as the first level."""
    inner = b"0"
    for level in range(levels - 1):
        inner = b"[" + inner + b"]" if level % 2 else b'{"x":' + inner + b"}"
    return b'{"x":' + inner + b"}"


def test_the_nesting_limit_is_exact() -> None:
    """256 levels are taken and 257 are not, alone or in a batch."""
    assert NESTING == 256
    deepest, deeper = nested(NESTING), nested(NESTING + 1)
    rows, bad = reader().read([deepest, deeper, deepest])
    assert (len(rows), {place: cause.code for place, cause in bad.items()}) == (2, {1: Code.TOO_DEEP})
    assert cause_of(deeper).code is Code.TOO_DEEP


def test_the_nesting_limit_does_not_depend_on_the_stack() -> None:
    """The answer is the same at the bottom of a stack that has 400 frames left."""

    def sink(frames: int) -> object:
        return sink(frames - 1) if frames else value_of(nested(NESTING), "a")

    frame, used = sys._getframe(), 0
    while frame.f_back is not None:
        frame, used = frame.f_back, used + 1
    assert sink(sys.getrecursionlimit() - used - 400) is None


def test_many_shallow_brackets_are_not_deep() -> None:
    """Brackets that close again, or stand in strings, do not count."""
    assert value_of(b'{"x":[' + b",".join([b"[]"] * 1000) + b'],"a":1}') == 1.0
    assert value_of(b'{"x":"' + b"[{" * 1000 + b'\\"[[\\\\","a":1}') == 1.0


def test_very_deep_events_are_refused_without_recursion() -> None:
    """A million brackets end in a dead letter, not in a crash."""
    assert cause_of(b'{"x":' + b"[" * 1_000_000).code is Code.TOO_DEEP


def test_depth_counts_open_brackets() -> None:
    """The deepest place counts, whatever closes before and after it."""
    assert depth(b'{"a":[1,[2]],"b":{"c":[[[]]]}}') == 5
    assert depth(b'"[[["') == 0
    assert depth(b'["\\"[[",[]]') == 2  # an escaped quote does not end a string
    assert depth(b'["\\\\",[[]]]') == 3  # a quote after an escaped backslash does


@pytest.mark.parametrize("name", [b'"delay"', b'"\\u0064elay"', b'"d\\u0065l\\u0061y"'])
def test_an_existing_field_is_found_however_it_is_spelled(name: bytes) -> None:
    """Escapes do not hide the output field, and null counts as there."""
    for value in (b"1", b"null", b'{"minutes":3}'):
        cause = cause_of(b'{"a":1,' + name + b":" + value + b"}", reader("delay", a=float | None))
        assert (cause.code, cause.field) == (Code.FIELD_EXISTS, "delay")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"delay":1,"a":"x"}', Code.WRONG_TYPE),
        (b'{"delay":1,"b":["x"]}', Code.WRONG_TYPE),
        (b'{"delay":1,"a":2', Code.MALFORMED),
        (b'{"delay":x}', Code.MALFORMED),
        (b'{"delay":1,"a":2}', Code.FIELD_EXISTS),
    ],
)
def test_what_else_is_wrong_is_told_before_an_existing_field(data: bytes, code: Code) -> None:
    """Wherever the two stand, also in what is decoded late."""
    made = JsonReader({"a": float | None, "b[0]": float | None}, "delay")
    assert cause_of(data, made).code == code
    assert made.read([b"{}", data, b"{}"])[1].keys() == {1}


def test_a_nested_field_of_that_name_is_not_in_the_way() -> None:
    """Only the top level is merged into."""
    assert value_of(b'{"a":1,"x":{"delay":2}}', made=reader("delay", a=float | None)) == 1.0


def test_a_field_is_not_both_read_and_forbidden() -> None:
    """A pipeline that asks for it has a mistake in it."""
    with pytest.raises(ValueError, match="'a' is both read and forbidden"):
        reader("a", a=float | None)


def test_names_that_are_no_identifiers_are_read() -> None:
    """A field may have any name that JSON allows."""
    made = JsonReader({"user id": float | None, "class": float | None, '["ü.x[0]"]': float | None})
    rows, bad = made.read(['{"user id":1,"class":2,"ü.x[0]":3}'.encode()])
    assert bad == {}
    assert [list(made.columns(rows)[name]) for name in ("user id", "class", '["ü.x[0]"]')] == [[1.0], [2.0], [3.0]]


def test_a_bad_event_leaves_its_batch_alone() -> None:
    """Causes stand at their places, and the others are read as if alone, in order."""
    rows, bad = reader().read([b'{"a":1}', None, b'{"a":"x"}', b'{"a":2}', b"x", b'{"a":3}'])
    assert list(reader().columns([])["a"]) == []
    assert [row.f0 for row in rows] == [1.0, 2.0, 3.0]  # type: ignore[attr-defined]  # made at run time
    assert {place: cause.code for place, cause in bad.items()} == {
        1: Code.NO_VALUE,
        2: Code.WRONG_TYPE,
        4: Code.MALFORMED,
    }


def test_messages_are_clipped() -> None:
    """A cause is a header, however long the name to blame."""
    name = "n" * 2000
    cause = cause_of(f'{{"{name}":"x"}}'.encode(), JsonReader({name: float | None}))
    assert (cause.code, cause.field) == (Code.WRONG_TYPE, name)
    assert len(cause.message) <= 500
