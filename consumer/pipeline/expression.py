"""A small expression language for the filter: Python's syntax for comparisons, arithmetic and a few functions.

What is written is parsed, looked through node by node, rebuilt of calls to operations, and compiled once
(docs/decisions/0009-the-filter-is-compiled.md). Nothing but the fields' values, constants and operations can be
reached.
"""

import ast
import io
import keyword
import re
import tokenize
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from consumer.pipeline.findings import nearest
from consumer.pipeline.operations import ARITHMETIC, COMPARISONS, FUNCTIONS, OPERATIONS
from consumer.pipeline.paths import is_part, known_part, parse

_LONGEST: Final = 10_000
# Stands for @, of the same length, where a record's part is meant: a letter that begins no word of Latin script.
_AT: Final = "\u01c3"
_OPERATORS: Final = frozenset({"and", "or", "not", "in", "is", "True", "False", "None"})
_WORDS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None}


class ExpressionError(ValueError):
    """What is written is no expression of this language.

    Attributes:
        column: where, from 1.
        hint: how to mend it, if that is known.
    """

    def __init__(self, message: str, column: int, hint: str = "") -> None:
        super().__init__(message)
        self.column = column
        self.hint = hint


class Expression(msgspec.Struct, frozen=True):
    """A compiled expression.

    Attributes:
        fields: the event's fields that it reads, as paths, in the order of its arguments.
        evaluate: takes their values, None for absent and null; raises TypeError where an operation does not go with
            its operands, and ArithmeticError where a number has no such result.
    """

    fields: tuple[str, ...]
    evaluate: Callable[..., Any]


_LINES: Final = re.compile(r"\s*[\r\n]\s*")


def compile_expression(text: str) -> Expression:
    """Parse and compile an expression.

    Raises:
        ExpressionError: it is none; says where and why.
    """
    if len(text) > _LONGEST:
        raise ExpressionError(f"longer than {_LONGEST} characters", _LONGEST)
    marked = _marked(_LINES.sub(" ", text.strip()))  # white space inside quotes stays
    try:
        tree = ast.parse(marked, mode="eval")
    except SyntaxError as error:
        # Python says 0 where the text ends too early.
        place = error.offset or len(marked) + 1
        raise ExpressionError(f"can't be read here: {error.msg}", place, _hint(marked)) from None
    except (RecursionError, MemoryError, ValueError):
        raise ExpressionError("can't be read: nested too deep, or with odd characters in it", 1) from None
    builder = _Builder(marked)
    try:
        body = builder.condition(tree.body)
        arguments = [ast.arg(f"f{number}") for number in range(len(builder.fields))]
        function = ast.Lambda(ast.arguments([], arguments, None, [], [], None, []), body)
        code = compile(ast.fix_missing_locations(ast.Expression(function)), "<when>", "eval")
    except (RecursionError, MemoryError):
        raise ExpressionError("nested too deep", 1) from None
    # Only names of this module's making are left in the tree.
    return Expression(tuple(builder.fields), eval(code, {"__builtins__": {}, **OPERATIONS}))  # noqa: S307


def _hint(text: str) -> str:
    for word in re.findall(r"\w+", text):
        if keyword.iskeyword(word) and word not in _OPERATORS:
            return f'`{word}` is a word of the syntax: write event["{word}"], or ["{word}"] after a field'
    return ""


def _marked(text: str) -> str:
    """Write @name so that Python reads a name; an @ in a string stays one."""
    marked = list(text)
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.exact_type == tokenize.AT and token.start[0] == 1:
                marked[token.start[1]] = _AT
    except (tokenize.TokenError, SyntaxError):
        return text  # the parser says what is wrong
    return "".join(marked)


class _Builder:
    """Rebuilds a tree of what is allowed, and notes the fields in it."""

    def __init__(self, text: str) -> None:
        self._bytes = text.encode()
        self.fields: list[str] = []

    def build(self, node: ast.expr) -> ast.expr:  # noqa: PLR0911 - one a kind of node
        """Return the tree to compile."""
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.BoolOp():
                return ast.BoolOp(node.op, list(map(self.condition, node.values)))
            case ast.UnaryOp():
                return self._unary(node)
            case ast.BinOp():
                return self._binary(node)
            case ast.Compare():
                return self._compare(node)
            case ast.Call():
                return self._call(node)
            case ast.List() | ast.Tuple():
                return ast.Tuple(list(map(self.build, node.elts)), ast.Load())
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self._field(node)
        raise self._refused(node, f"{type(node).__name__} is not part of the language")

    def condition(self, node: ast.expr) -> ast.expr:
        """Return the tree of what has to be true or false: to Python, the text "false" is true."""
        built = self.build(node)
        logical = isinstance(node, ast.BoolOp | ast.Compare) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        )
        return built if logical else _called("truth", built)

    def _constant(self, node: ast.Constant) -> ast.expr:
        if node.value is None or isinstance(node.value, bool):  # as Python writes it; true is a name to its parser
            said = next(word for word, value in _WORDS.items() if value is node.value)
            raise self._refused(node, f"{node.value} is not part of the language", f"write {said}")
        if isinstance(node.value, str | int | float):
            return node
        raise self._refused(node, f"a constant of type {type(node.value).__name__} can't be in an event")

    def _unary(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.Not):
            return ast.UnaryOp(node.op, self.condition(node.operand))
        if isinstance(node.op, ast.USub):
            return _called("negative", self.build(node.operand))
        raise self._refused(node, "no such operation")

    def _binary(self, node: ast.BinOp) -> ast.expr:
        name = ARITHMETIC.get(type(node.op))
        if name is None:
            raise self._refused(node, "no such operation", "there are + - * / // %")
        return _called(name, self.build(node.left), self.build(node.right))

    def _compare(self, node: ast.Compare) -> ast.expr:
        sides = [node.left, *node.comparators]
        pairs = [
            self._one_comparison(node, op, self.build(left), self.build(right))
            for left, op, right in zip(sides, node.ops, sides[1:], strict=False)
        ]
        return pairs[0] if len(pairs) == 1 else ast.BoolOp(ast.And(), pairs)

    def _one_comparison(self, node: ast.expr, op: ast.cmpop, left: ast.expr, right: ast.expr) -> ast.expr:
        if isinstance(op, ast.Is):
            raise self._refused(node, "`is` is not part of the language", "write ==, for null too")
        if isinstance(op, ast.IsNot):
            raise self._refused(node, "`is not` is not part of the language", "write !=, for null too")
        if isinstance(op, ast.Eq | ast.NotEq) and (_is_text(left) or _is_text(right)):
            return ast.Compare(left, [op], [right])  # Python's own does, in a third of the time
        if isinstance(op, ast.In | ast.NotIn) and isinstance(right, ast.Tuple) and all(map(_is_text, right.elts)):
            return ast.Compare(left, [op], [right])
        name = COMPARISONS.get(type(op))
        if name is not None:
            return _called(name, left, right)
        opposite = "same" if isinstance(op, ast.NotEq) else "within"
        return ast.UnaryOp(ast.Not(), _called(opposite, left, right))

    def _call(self, node: ast.Call) -> ast.expr:
        if not isinstance(node.func, ast.Name):
            raise self._refused(node, "only functions can be called", f"there are {', '.join(FUNCTIONS)}")
        found = FUNCTIONS.get(node.func.id)
        if found is None:
            raise self._refused(node, f"no such function: {node.func.id}", nearest(node.func.id, FUNCTIONS))
        if node.keywords or len(node.args) != found[1]:
            raise self._refused(node, f"{node.func.id} takes {found[1]}", "in brackets, with commas between")
        return _called(node.func.id, *map(self.build, node.args))

    def _field(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Name) and node.id in _WORDS:
            return ast.Constant(_WORDS[node.id])
        path = self._path(node)
        if is_part(path) and not known_part(path):
            raise self._refused(
                node, f"no such part of a record: {path}", "there are @value, @key, @timestamp, @headers.NAME"
            )
        if not is_part(path):
            try:
                parse(path)
            except ValueError as error:
                raise self._refused(node, str(error)) from None
        if path not in self.fields:
            self.fields.append(path)
        return ast.Name(f"f{self.fields.index(path)}", ast.Load())

    def _refuse_changed(self, node: ast.expr, name: str) -> None:
        """Refuse a name that Python's parser reads as another one (it takes the micro sign for a Greek letter)."""
        if name.encode() not in self._bytes:
            raise self._refused(node, "a name with characters that have another form", 'write it as event["…"]')

    def _path(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                self._refuse_changed(node, name)
                return name.replace(_AT, "@")
            case ast.Attribute(value=inner, attr=name):
                self._refuse_changed(node, name)
                return f"{self._path(inner)}.{name}"
            case ast.Subscript(value=ast.Name(id="event"), slice=ast.Constant(value=str(step))):
                return f'["{step}"]'
            case ast.Subscript(value=inner, slice=ast.Constant(value=str(step))):
                before = self._path(inner)
                return f"{before}.{step}" if before == "@headers" else f'{before}["{step}"]'
            case ast.Subscript(value=inner, slice=ast.Constant(value=int(step))) if type(step) is int:
                return f"{self._path(inner)}[{step}]"
        raise self._refused(node, "no field of an event", 'such as user.country, items[0].price or event["a name"]')

    def _refused(self, node: ast.expr, message: str, hint: str = "") -> ExpressionError:
        column = len(self._bytes[: node.col_offset].decode()) + 1
        return ExpressionError(message, column, hint)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _called(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])
