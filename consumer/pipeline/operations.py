"""What the filter's expressions are made of.

None, which is absent and null, makes a comparison false and passes through the rest. An operation that does not go
with its operands raises TypeError.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final


def _comparison(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(left: Any, right: Any) -> bool:  # noqa: ANN401
        return left is not None and right is not None and compare(left, right)

    return compared


def _arithmetic(calculate: Callable[[Any, Any], Any], sign: str) -> Callable[[Any, Any], Any]:
    def calculated(left: Any, right: Any) -> Any:  # noqa: ANN401
        if left is None or right is None:
            return None
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            # A text times a number from an event would fill the memory.
            raise TypeError(f"{sign} is for numbers, not {_kind(left)} and {_kind(right)}")
        return calculate(left, right)

    return calculated


def _function(call: Callable[..., Any], name: str, kind: type | tuple[type, ...]) -> Callable[..., Any]:
    def called(*arguments: Any) -> Any:  # noqa: ANN401
        if None in arguments:
            return None
        for argument in arguments:
            if not isinstance(argument, kind):
                raise TypeError(f"{name} does not take {_kind(argument)}")
        return call(*arguments)

    return called


def _same(left: Any, right: Any) -> bool:  # noqa: ANN401
    """Whether two values are one in JSON: to Python true is 1, and a list no tuple, as which lists are compiled."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(value, right[name]) for name, value in left.items())
    return bool(left == right)


def _truth(value: Any) -> bool | None:  # noqa: ANN401
    if value is None or isinstance(value, bool):
        return value
    raise TypeError(f"{_kind(value)} is neither true nor false")


def _within(left: Any, right: Any) -> bool:  # noqa: ANN401
    if isinstance(right, list | tuple):
        return left in right if isinstance(left, str) else any(_same(left, item) for item in right)
    return left is not None and right is not None and left in right


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    names = {str: "a text", int: "a number", float: "a number", list: "a list", tuple: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


# Name -> what it does and how many arguments it takes.
FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], int]]] = {
    "present": (lambda value: value is not None, 1),
    "len": (_function(len, "len", (str, list, dict)), 1),
    "abs": (_function(abs, "abs", (int, float)), 1),
    "lower": (_function(str.lower, "lower", str), 1),
    "upper": (_function(str.upper, "upper", str), 1),
    "startswith": (_function(str.startswith, "startswith", str), 2),
    "endswith": (_function(str.endswith, "endswith", str), 2),
}
ARITHMETIC: Final[Mapping[type, str]] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide",
    ast.FloorDiv: "floor_divide", ast.Mod: "modulo",
}  # fmt: skip
COMPARISONS: Final[Mapping[type, str]] = {
    ast.Lt: "less", ast.LtE: "at_most", ast.Gt: "more", ast.GtE: "at_least", ast.In: "within", ast.Eq: "same",
}  # fmt: skip
OPERATIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "less": _comparison(operator.lt),
    "at_most": _comparison(operator.le),
    "more": _comparison(operator.gt),
    "at_least": _comparison(operator.ge),
    "truth": _truth,
    "within": _within,
    "same": _same,
    "add": _arithmetic(operator.add, "+"),
    "subtract": _arithmetic(operator.sub, "-"),
    "multiply": _arithmetic(operator.mul, "*"),
    "divide": _arithmetic(operator.truediv, "/"),
    "floor_divide": _arithmetic(operator.floordiv, "//"),
    "modulo": _arithmetic(operator.mod, "%"),
    "negative": _function(operator.neg, "-", (int, float)),
    **{name: function for name, (function, _) in FUNCTIONS.items()},
}
