"""Paths into nested events and arrays."""

from typing import Any

import pytest

from consumer.deadletter.causes import Code
from consumer.pipeline.paths import parse
from consumer.records.json_reader import JsonReader
from tests.support.pipelines import changed, refused


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("a", ("a",)),
        ("user.country", ("user", "country")),
        ("items[0].price", ("items", 0, "price")),
        ('["a.b"]', ("a.b",)),
        ('x["a.b"].c[12][3]', ("x", "a.b", "c", 12, 3)),
        ("user id.na-me", ("user id", "na-me")),
        ('["@id"]', ("@id",)),
    ],
)
def test_a_path_is_its_steps(path: str, steps: tuple[str | int, ...]) -> None:
    """Names after dots, places in brackets, odd names in brackets and quotes."""
    assert parse(path) == steps


@pytest.mark.parametrize("path", ["a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "[0]", 'a["b', "a]b", "a[0]b", ""])
def test_what_is_no_path_is_refused(path: str) -> None:
    """It is never guessed at."""
    with pytest.raises(ValueError, match="path"):
        parse(path)


def test_a_bad_path_is_named_with_its_place(tmp_path: Any) -> None:  # noqa: ANN401 - pytest's
    """As is a part that no record has."""
    (found,) = refused(tmp_path, changed("field: n,", 'field: "a[x]",'))
    assert found.startswith("9:10: model.inputs.x[0].field: no path from '[x]' on; such as user.country")
    (found,) = refused(tmp_path, changed("field: n,", 'field: "@size",'))
    assert found.startswith("9:10: model.inputs.x[0].field: the record has no part @size; known: @value, @key")


def read(field: str, value: bytes, accepts: Any = float | None) -> object:  # noqa: ANN401
    """Return a field's value, or code and field of the cause."""
    reader = JsonReader({field: accepts})
    rows, bad = reader.read([value])
    if bad:
        return bad[0].code, bad[0].field
    assert len(rows) == 1
    return reader.columns(rows)[field][0]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b'{"u":{"c":1,"d":"x"}}', 1.0),
        (b'{"u":{"d":1}}', None),
        (b'{"u":null}', None),
        (b'{"c":1}', None),
        (b'{"u":{"c":null}}', None),
        (b'{"u":{"c":"1"}}', (Code.WRONG_TYPE, "u.c")),
        (b'{"u":5}', (Code.WRONG_TYPE, "u")),
        (b'{"u":[]}', (Code.WRONG_TYPE, "u")),
    ],
)
def test_a_field_inside_an_object(value: bytes, found: object) -> None:
    """What is not there is absent, on whatever step; what is of another type never is."""
    assert read("u.c", value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b'{"i":[{"p":1},{"p":"x"},5]}', 1.0),
        (b'{"i":[]}', None),
        (b'{"i":null}', None),
        (b"{}", None),
        (b'{"i":[null]}', None),
        (b'{"i":[{"p":null}]}', None),
        (b'{"i":[{"p":"x"}]}', (Code.WRONG_TYPE, "i[0].p")),
        (b'{"i":[5]}', (Code.WRONG_TYPE, "i[0].p")),
        (b'{"i":{"p":1}}', (Code.WRONG_TYPE, "i[0].p")),
        (b'{"i":[{"p":1e999}]}', (Code.OUT_OF_RANGE, "i[0].p")),
    ],
)
def test_a_field_inside_an_item(value: bytes, found: object) -> None:
    """Only the item that is read is held to a type."""
    assert read("i[0].p", value) == found


def test_a_field_may_be_read_whole_and_in_parts() -> None:
    """By two features; and one array by several paths."""
    reader = JsonReader({"a": Any, "a.b": float | None, "a.c[1]": str | None, "a.c[0]": str | None})
    rows, bad = reader.read([b'{"a":{"b":1,"c":["x","y"]}}', b"{}", b'{"a":null}', b'{"a":{"c":["z"]}}'])
    assert bad == {}
    assert list(reader.columns(rows)["a.b"]) == [1.0, None, None, None]
    assert reader.columns(rows)["a.c[1]"] == ["y", None, None, None]
    assert reader.columns(rows)["a.c[0]"] == ["x", None, None, "z"]
    assert list(reader.columns(rows)["a"]) == [{"b": 1, "c": ["x", "y"]}, None, None, {"c": ["z"]}]


def test_a_bad_item_leaves_its_neighbours_alone() -> None:
    """Also where it is found after the row was decoded."""
    reader = JsonReader({"i[0]": float | None, "n": float | None})
    rows, bad = reader.read([b'{"i":[1],"n":1}', b'{"i":["x"],"n":2}', b'{"i":[3],"n":3}'])
    assert list(bad) == [1]
    assert (reader.columns(rows)["i[0]"], list(reader.columns(rows)["n"])) == ([1.0, 3.0], [1.0, 3.0])
