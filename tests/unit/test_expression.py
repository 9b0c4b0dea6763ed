"""The filter's language: what it refuses, where, and with what hint; docs/filter.md has what it takes."""

import pytest

from consumer.pipeline.expression import ExpressionError, compile_expression


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("distance >", 11, "can't be read here"),
        ("a > 1 and foo(2)", 11, "no such function: foo"),
        ("é == 1 and foo(2)", 12, "no such function: foo"),
        ("lowr(a) == 'x'", 1, "no such function: lowr"),
        ("len(a, b) > 1", 1, "len takes 1"),
        ("len(x=a) > 1", 1, "len takes 1"),
        ("a.upper() == 'A'", 1, "only functions can be called"),
        ("a ** 9 > 1", 1, "no such operation"),
        ("~a > 1", 1, "no such operation"),
        ("(lambda: 1)", 2, "Lambda is not part of the language"),
        ("[x for x in y]", 1, "ListComp is not part of the language"),
        ("f'{a}' == 'x'", 1, "JoinedStr is not part of the language"),
        ("(a := 1)", 2, "NamedExpr is not part of the language"),
        ("a if b else c", 1, "IfExp is not part of the language"),
        ("a == b'x'", 6, "a constant of type bytes"),
        ("a[b] == 1", 1, "no field of an event"),
        ("a[-1] == 1", 1, "no field of an event"),
        ("a[1:2] == 1", 1, "no field of an event"),
        ("@nope == 'x'", 1, "no such part of a record: @nope"),
        ("import os", 1, "can't be read here"),
        ("__import__('os').system('x')", 1, "only functions can be called"),
        ("(" * 300 + "a" + ")" * 300, 201, "can't be read"),
        ("not " * 2000 + "a", 1, "nested too deep"),
        ("- " * 1000 + "a > 1", 1, "nested too deep"),
        ("not " * 9000 + "a", 10000, "longer than 10000 characters"),
    ],
)
def test_what_is_no_expression_is_refused_with_its_place(text: str, column: int, message: str) -> None:
    """Nothing is compiled that was not looked through."""
    with pytest.raises(ExpressionError, match=message) as caught:
        compile_expression(text)
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("b and a is null", 7, "`is` is not part of the language", "write ==, for null too"),
        ("a is not null", 1, "`is not` is not part of the language", "write !=, for null too"),
        ("a == None", 6, "None is not part of the language", "write null"),
        ("a in [1, True]", 10, "True is not part of the language", "write true"),
        ("a != False", 6, "False is not part of the language", "write false"),
    ],
)
def test_what_python_alone_has_is_refused_with_what_to_say_instead(
    text: str, column: int, message: str, hint: str
) -> None:
    """An identity of values from JSON means nothing."""
    with pytest.raises(ExpressionError, match=message) as caught:
        compile_expression(text)
    assert (caught.value.column, caught.value.hint) == (column, hint)


@pytest.mark.parametrize("text", ["{}", "not {}", "{} and true", "false or {}", "present(a) and not {}"])
@pytest.mark.parametrize("value", ["false", "", 0, 1, 1.5, [], ["a"], {}])
def test_what_is_neither_true_nor_false_is_an_error(text: str, value: object) -> None:
    """To Python the text "false" is true, and an event would be enriched that nobody meant."""
    with pytest.raises(TypeError, match="is neither true nor false"):
        compile_expression(text.format("a")).evaluate(value)
    assert compile_expression(text.format("a")).evaluate(None) in (True, False, None)


@pytest.mark.parametrize(
    ("text", "value", "truth"),
    [
        ("a == true", True, True),
        ("a == true", 1, False),
        ("a == false", 0, False),
        ("a == 1", True, False),
        ("a != true", 1, True),
        ("a == 1", 1.0, True),
        ("a in [0, 1]", True, False),
        ("a in [true]", 1, False),
        ("a in ['x', 'y']", "y", True),
        ("a == [1, 'x']", [1, "x"], True),
        ("a == [1]", [True], False),
        ("a == [1]", [1, 2], False),
        ("[1, [2]] in a", [[1, [2]]], True),
        ("a in ['x', null]", None, True),
        ("a in ['x']", None, False),
        ("null in a", [1, None], True),
        ("1 in a", None, False),
        ("null == a", None, True),
        ("a == null", False, False),
    ],
)
def test_true_is_equal_to_true_alone(text: str, value: object, truth: bool) -> None:  # noqa: FBT001
    """As in JSON; and a list is equal to one with the same items."""
    assert compile_expression(text).evaluate(value) is truth


def test_objects_are_compared_as_json_is() -> None:
    """Name by name."""
    equal = compile_expression("a == b").evaluate
    assert equal({"x": 1, "y": [1]}, {"y": [1.0], "x": 1})
    assert not equal({"x": 1}, {"x": True})
    assert not equal({"x": 1}, {"x": 1, "y": 1})


def test_a_wrong_name_comes_with_the_nearest_right_one() -> None:
    """For a person who mistyped it."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression("lowr(a) == 'x'")
    assert caught.value.hint == "did you mean `lower`?"


def test_a_field_whose_name_is_a_word_of_the_syntax_is_told_how_to_be_written() -> None:
    """As in the brackets that any name can stand in."""
    for text in ("from == 'x'", "@headers.from == 'x'"):
        with pytest.raises(ExpressionError) as caught:
            compile_expression(text)
        assert caught.value.hint == '`from` is a word of the syntax: write event["from"], or ["from"] after a field'


def test_names_of_python_are_fields_like_any() -> None:
    """No attribute of an object is ever read."""
    expression = compile_expression("__class__.__mro__[1] == 'x' and eval == 1")
    assert expression.fields == ("__class__.__mro__[1]", "eval")
    assert expression.evaluate("x", 1) is True


@pytest.mark.parametrize("text", ["tag * 1000000000 == 'x'", "tag + tag == 'x'", "tag % 3 == 1", "-tag > 1"])
def test_texts_are_not_calculated_with(text: str) -> None:
    """A text times a number would fill the memory."""
    with pytest.raises(TypeError, match="a text"):
        compile_expression(text).evaluate("x" * 1000)


def test_fields_parts_and_lines() -> None:
    """A field that is named twice is read once; an @ in a text is one; YAML may fold a long expression."""
    expression = compile_expression("\n @key == 'a@b'\n and @headers['x-y'] == @key and\n user.id > 1\n")
    assert expression.fields == ("@key", "@headers.x-y", "user.id")
    assert expression.evaluate("a@b", "a@b", 2) is True


def test_white_space_inside_quotes_stays() -> None:
    """Around lines it does not matter."""
    expression = compile_expression("s ==\n  'a  b'")
    assert (expression.evaluate("a  b"), expression.evaluate("a b")) == (True, False)


def test_a_name_that_would_be_read_as_another_is_refused() -> None:
    """Python takes the micro sign of keyboards for a Greek letter; in quotes it is itself."""
    for text in ("\u00b5 > 3", "a.\u00b5 > 3"):
        with pytest.raises(ExpressionError, match="another form"):
            compile_expression(text)
    assert compile_expression('event["\u00b5"] > 3').fields == ('["\u00b5"]',)
