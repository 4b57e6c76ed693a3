"""From text to functions of one row, over a short whitelist of Python's own grammar."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np

from siamrec._core import check
from siamrec._core.clock import DAY, HOUR, MINUTE, SECOND
from siamrec.errors import InvalidParameterError, MissingInputError, UnknownNameError

if TYPE_CHECKING:
    from siamrec.typing import Instant

LONGEST = 4_000
_DEEPEST = 50

Row: TypeAlias = Callable[[str], Any]
"""Finds the value of a name; None where there is none."""
Evaluate: TypeAlias = Callable[[Row, "Instant | None"], Any]


@final
@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression.

    Attributes:
        source: The part as Python's tree.
        names: Names that it reads.
        parts: What it is made of: the sides of a comparison, what `and` joins.
        evaluate: Its value in one row.
        timed: Whether it asks for `now()`.
    """

    source: ast.expr
    names: tuple[str, ...]
    parts: tuple[Node, ...]
    evaluate: Evaluate
    timed: bool


def parse(text: str) -> Node:
    """Return the tree of an expression.

    Raises:
        InvalidParameterError: If it is not of the language.
        UnknownNameError: If it calls a function that is not there.
    """
    check.text("expression", text, longest=LONGEST)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(text, f"an expression ({error})") from None
    return _node(tree, text, 0)


def _node(tree: ast.expr, text: str, depth: int) -> Node:
    if depth > _DEEPEST:
        raise _refused(text, f"nested at most {_DEEPEST} deep")
    reader = _READERS.get(type(tree))
    if reader is None:
        raise _refused(
            text,
            "made of names, texts, numbers, lists, comparisons, in, and, or, not, sums and "
            f"{', '.join(sorted(_FUNCTIONS))}; {type(tree).__name__} is not part of it",
        )
    inner, join = reader(tree, text)
    parts = tuple(_node(each, text, depth + 1) for each in inner)
    own = [_name(tree, text)] if isinstance(tree, ast.Name | ast.Attribute) else []
    names = dict.fromkeys([*own, *(name for part in parts for name in part.names)])
    asks = isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "now"
    timed = asks or any(part.timed for part in parts)
    return Node(tree, tuple(names), parts, join(parts), timed)


Join: TypeAlias = "Callable[[tuple[Node, ...]], Evaluate]"
Read: TypeAlias = "tuple[list[ast.expr], Join]"
"""The parts of a tree, and how its value follows from theirs."""


def truth(value: object) -> bool:
    """Return whether a value counts as true: true, or a number other than 0."""
    return isinstance(value, bool | int | float) and bool(value)


def _read_joint(tree: ast.BoolOp, _text: str) -> Read:
    fold = all if isinstance(tree.op, ast.And) else any

    def join(parts: tuple[Node, ...]) -> Evaluate:
        return lambda row, now: fold(truth(part.evaluate(row, now)) for part in parts)

    return tree.values, join


def _read_unary(tree: ast.UnaryOp, text: str) -> Read:
    if isinstance(tree.op, ast.Not):
        return [
            tree.operand
        ], lambda parts: lambda row, now: not truth(parts[0].evaluate(row, now))
    if isinstance(tree.op, ast.USub):
        return [tree.operand], _summed(operator.neg)
    raise _refused(text, "made of not and -, of the signs before a value")


def _read_constant(tree: ast.Constant, text: str) -> Read:
    constant = tree.value
    if constant is not None and not isinstance(constant, str | bool | int | float):
        raise _refused(text, "made of texts, numbers, True, False and None")
    return [], lambda _parts: lambda _row, _now: constant


def _read_name(tree: ast.expr, text: str) -> Read:
    name = _name(tree, text)
    return [], lambda _parts: lambda row, _now: row(name)


def _name(tree: ast.expr, text: str) -> str:
    if isinstance(tree, ast.Name):
        return tree.id
    if isinstance(tree, ast.Attribute) and isinstance(tree.value, ast.Name):
        whole = f"{tree.value.id}.{tree.attr}"
        return tree.attr if tree.value.id == "item" else whole
    raise _refused(text, "made of names such as country or user.country")


def _read_several(tree: ast.List | ast.Tuple | ast.Set, _text: str) -> Read:
    def join(parts: tuple[Node, ...]) -> Evaluate:
        return lambda row, now: tuple(part.evaluate(row, now) for part in parts)

    return tree.elts, join


def _read_comparison(tree: ast.Compare, text: str) -> Read:
    unknown = [type(op).__name__ for op in tree.ops if type(op) not in _COMPARES]
    if unknown:
        raise _refused(text, f"made of comparisons; {unknown[0]} is not part of it")
    sides = [tree.left, *tree.comparators]
    for op, *pair in zip(tree.ops, sides, sides[1:], strict=False):
        nothing = any(isinstance(each, ast.Constant) and each.value is None for each in pair)
        if isinstance(op, ast.Is | ast.IsNot) and not nothing:
            raise _refused(text, "made of comparisons; `is` goes with None alone")
    compares = [_COMPARES[type(op)] for op in tree.ops]

    def join(parts: tuple[Node, ...]) -> Evaluate:
        def holds(row: Row, now: Instant | None) -> bool:
            found = [part.evaluate(row, now) for part in parts]
            return all(map(_compared, compares, found, found[1:]))

        return holds

    return sides, join


def _compared(compare: Callable[[object, object], bool], left: object, right: object) -> bool:
    return compare(left, right)


def _read_sum(tree: ast.BinOp, text: str) -> Read:
    if type(tree.op) not in _SUMS:
        raise _refused(text, f"made of +, -, * and /; {type(tree.op).__name__} is not part of it")
    return [tree.left, tree.right], _summed(_SUMS[type(tree.op)])


def _summed(apply: Callable[..., Any]) -> Join:
    def join(parts: tuple[Node, ...]) -> Evaluate:
        def evaluate(row: Row, now: Instant | None) -> Any:
            found = [part.evaluate(row, now) for part in parts]
            if not all(isinstance(value, int | float) for value in found):
                return None
            try:
                return apply(*found)
            except (ZeroDivisionError, OverflowError):
                return None

        return evaluate

    return join


def _read_call(tree: ast.Call, text: str) -> Read:
    name = tree.func.id if isinstance(tree.func, ast.Name) else ast.unparse(tree.func)
    if name not in _FUNCTIONS:
        raise UnknownNameError("function of expressions", name, _FUNCTIONS)
    n_arguments, apply = _FUNCTIONS[name]
    if tree.keywords or len(tree.args) != n_arguments:
        raise _refused(text, f"{name} with {n_arguments} arguments")

    def join(parts: tuple[Node, ...]) -> Evaluate:
        return lambda row, now: apply(now, *(part.evaluate(row, now) for part in parts))

    return tree.args, join


_READERS: dict[type[ast.expr], Callable[[Any, str], Read]] = {
    ast.Attribute: _read_name,
    ast.BinOp: _read_sum,
    ast.BoolOp: _read_joint,
    ast.Call: _read_call,
    ast.Compare: _read_comparison,
    ast.Constant: _read_constant,
    ast.List: _read_several,
    ast.Name: _read_name,
    ast.Set: _read_several,
    ast.Tuple: _read_several,
    ast.UnaryOp: _read_unary,
}


def _present(now: Instant | None) -> Instant:
    if now is None:
        raise MissingInputError("now", "now=clock.now(), the instant that now() stands for")
    return now


def _duration(length: int) -> Callable[[object, object], int | None]:
    def duration(_now: object, n: object) -> int | None:
        if not isinstance(n, int | float):
            return None
        try:
            return round(n * length)
        except (OverflowError, ValueError):  # without end, or no number
            return None

    return duration


def _equal(left: object, right: object) -> bool:
    return _known(left, right) and bool(left == right)


def _within(left: object, right: object) -> bool:
    if not _known(left, right):
        return False
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    return isinstance(right, tuple | frozenset) and left in right


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
    def holds(left: object, right: object) -> bool:
        both_numbers = isinstance(left, int | float) and isinstance(right, int | float)
        both_texts = isinstance(left, str) and isinstance(right, str)
        return (both_numbers or both_texts) and bool(compare(left, right))

    return holds


def _known(*values: object) -> bool:
    return all(value is not None for value in values)


_COMPARES: dict[type[ast.cmpop], Callable[[object, object], bool]] = {
    ast.Eq: _equal,
    ast.NotEq: lambda left, right: not _equal(left, right),
    ast.In: _within,
    ast.NotIn: lambda left, right: not _within(left, right),
    ast.Is: lambda left, right: left is right,
    ast.IsNot: lambda left, right: left is not right,
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
}
_SUMS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_FUNCTIONS: Mapping[str, tuple[int, Callable[..., Any]]] = {
    "now": (0, _present),
    "days": (1, _duration(DAY)),
    "hours": (1, _duration(HOUR)),
    "minutes": (1, _duration(MINUTE)),
    "seconds": (1, _duration(SECOND)),
    "exists": (1, lambda _now, value: value is not None),
    "contains": (2, lambda _now, whole, part: _within(part, whole)),
}


def plain(value: Any) -> Any:
    """Return a value as expressions see it: instants as nanoseconds, lists as tuples.

    What they cannot see (a mapping, NaN, an object) is None.

    Raises:
        InvalidParameterError: If it is a time without a zone.

    Examples:
        >>> plain(["th", 1.5, float("nan")]), plain(date(1970, 1, 2))
        (('th', 1.5, None), 86400000000000)
    """
    if isinstance(value, np.generic) and value.dtype.kind != "M":
        value = value.item()
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(
            value.year, value.month, value.day, tzinfo=UTC
        )  # a day begins at midnight
    if isinstance(value, datetime | np.datetime64):
        return None if isinstance(value, np.datetime64) and np.isnat(value) else _instant(value)
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return tuple(plain(each) for each in value)
    there = isinstance(value, str | bool | int | float) and value == value  # noqa: PLR0124  NaN
    return value if there else None


def _instant(value: object) -> Instant:
    return check.instant("time", value)


def _refused(text: str, expected: str) -> InvalidParameterError:
    return InvalidParameterError("expression", text, expected)
