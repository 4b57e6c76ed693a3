"""What each part of an expression is, and which parts go together."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, final

from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from siamrec.expressions._parse import Node

ANY, NONE, TEXT, CONDITION = "mixed", "None", "text", "condition"
NUMBER, PLAIN, INSTANT, DURATION = "number", "plain number", "instant", "duration"
LIST, TEXTS, NUMBERS = "list", "list of texts", "list of numbers"
_LISTS = (LIST, TEXTS, NUMBERS)
_NUMERIC = (NUMBER, PLAIN, CONDITION, INSTANT, DURATION)
_SAID: Final[Mapping[str, str]] = {
    NONE: "None", TEXT: "a text", CONDITION: "a condition", NUMBER: "a number",
    PLAIN: "a number", INSTANT: "an instant", DURATION: "a duration", LIST: "a list",
    TEXTS: "a list of texts", NUMBERS: "a list of numbers",
}  # fmt: skip
_DURATIONS = "days(n), hours(n), minutes(n) or seconds(n)"
_EARLIEST = 10**15
"""Numbers from here on may be instants: nanoseconds since 1970, of its second week and later."""


@final
class Kinds:
    """Works out what the parts of an expression are, and refuses what can never hold.

    A number of a column may be an instant or a duration, since both are kept as nanoseconds; a
    number that is written in the text is neither, unless it is 0 or as large as an instant.

    Args:
        known: What each name holds, as `Columns.kinds` tells it.
        text: The whole expression, for messages.
    """

    def __init__(self, known: Mapping[str, str], text: str) -> None:
        self._known, self._text = known, text
        self._readers: Mapping[type[ast.expr], Callable[[Node], str]] = {
            **dict.fromkeys((ast.Name, ast.Attribute), self._name),
            **dict.fromkeys((ast.List, ast.Tuple, ast.Set), self._list),
            ast.BinOp: self._sum,
            ast.BoolOp: self._joint,
            ast.Call: self._called,
            ast.Compare: self._comparison,
            ast.Constant: _constant,
            ast.UnaryOp: self._sign,
        }

    def require_condition(self, node: Node) -> str:
        """Pass when a part is true or false, or a number that counts as such.

        Raises:
            InvalidParameterError: If it is something else.
        """
        found = self.of(node)
        if found not in {ANY, CONDITION, NUMBER}:
            raise self._refused("a condition", node, found)
        return CONDITION

    def of(self, node: Node) -> str:
        """Return what a part is.

        Raises:
            InvalidParameterError: If its own parts do not go together.
        """
        return self._readers[type(node.source)](node)

    def _name(self, node: Node) -> str:
        kind = self._known.get(node.names[0], ANY)
        return ANY if kind == "nothing" else kind

    def _list(self, node: Node) -> str:
        return _of_list([self.of(part) for part in node.parts])

    def _joint(self, node: Node) -> str:
        for part in node.parts:
            self.require_condition(part)
        return CONDITION

    def _sign(self, node: Node) -> str:
        assert isinstance(node.source, ast.UnaryOp)
        if isinstance(node.source.op, ast.Not):
            return self._joint(node)
        (part,) = node.parts
        found = self.of(part)
        if found not in {ANY, NUMBER, PLAIN, DURATION}:
            raise self._refused("with a number after -", part, found)
        return found

    def _comparison(self, node: Node) -> str:
        assert isinstance(node.source, ast.Compare)
        for op, left, right in zip(node.source.ops, node.parts, node.parts[1:], strict=False):
            self._compared(op, left, right)
        return CONDITION

    def _called(self, node: Node) -> str:
        assert isinstance(node.source, ast.Call)
        name = ast.unparse(node.source.func)
        if name == "now":
            return INSTANT
        if name == "contains":
            self._compared(ast.In(), node.parts[1], node.parts[0])
        elif name != "exists":
            (given,) = node.parts
            found = self.of(given)
            if found not in {ANY, NUMBER, PLAIN}:
                raise self._refused(f"with a number in {name}(n)", given, found)
            return DURATION
        return CONDITION

    def _sum(self, node: Node) -> str:
        assert isinstance(node.source, ast.BinOp)
        sign = _SIGNS[type(node.source.op)]
        left, right = (self._number(part, sign) for part in node.parts)
        if ANY in {left, right}:
            return ANY
        found = _SUMS.get((left, sign, right))
        if found is None:
            sides = f"{_SAID[left]} {sign} {_SAID[right]}"
            raise InvalidParameterError(
                "expression", self._text,
                f"of sums that have a meaning; {ast.unparse(node.source)!r} is {sides}, and "
                f"lengths of time are {_DURATIONS}",
            )  # fmt: skip
        return found

    def _number(self, part: Node, sign: str) -> str:
        found = self.of(part)
        if found not in {ANY, *_NUMERIC}:
            raise self._refused(f"with numbers around {sign}", part, found)
        return PLAIN if found == CONDITION else found

    def _compared(self, op: ast.cmpop, left: Node, right: Node) -> None:
        one, other = self.of(left), self.of(right)
        if isinstance(op, ast.Is | ast.IsNot):
            return
        for node, found in ((left, one), (right, other)):
            if found == NONE:
                raise self._refused("with `is None` or `is not None`", node, found)
        if isinstance(op, ast.In | ast.NotIn):
            self._within(left, one, right, other)
        elif ANY not in {one, other} and not _fits(op, one, other):
            said = ast.unparse(ast.Compare(left.source, [op], [right.source]))
            raise InvalidParameterError(
                "expression", self._text,
                f"one kind on both sides of {said!r}, not {_SAID[one]} and {_SAID[other]}"
                f"{_remedy({one, other})}",
            )  # fmt: skip

    def _within(self, left: Node, one: str, right: Node, other: str) -> None:
        if other not in {ANY, TEXT, *_LISTS}:
            raise self._refused("with a list or a text after in", right, other)
        wanted = {TEXT: (TEXT,), TEXTS: (TEXT,), NUMBERS: _NUMERIC, LIST: (TEXT, *_NUMERIC)}
        if other in wanted and one not in {ANY, *wanted[other]}:
            said = ast.unparse(left.source)
            inside = ast.unparse(right.source)
            raise InvalidParameterError(
                "expression", self._text,
                f"with what can be in {inside!r}, which is {_SAID[other]}; {said!r} is "
                f"{_SAID[one]}",
            )  # fmt: skip

    def _refused(self, expected: str, node: Node, found: str) -> InvalidParameterError:
        said = ast.unparse(node.source)
        return InvalidParameterError(
            "expression", self._text, f"{expected}; {said!r} is {_SAID[found]}"
        )


def _constant(node: Node) -> str:
    assert isinstance(node.source, ast.Constant)
    value = node.source.value
    if value is None:
        return NONE
    if isinstance(value, str):
        return TEXT
    if isinstance(value, bool):
        return CONDITION
    assert isinstance(value, int | float)
    return NUMBER if value == 0 or abs(value) >= _EARLIEST else PLAIN


def _of_list(found: list[str]) -> str:
    if found and all(kind == TEXT for kind in found):
        return TEXTS
    return NUMBERS if found and all(kind in _NUMERIC for kind in found) else LIST


def _fits(op: ast.cmpop, one: str, other: str) -> bool:
    """Whether two values can be equal, or one before the other."""
    if one in _LISTS or other in _LISTS:
        equals = isinstance(op, ast.Eq | ast.NotEq)
        return equals and one in _LISTS and other in _LISTS
    if TEXT in {one, other}:
        return one == other
    unlike = {one, other} - {NUMBER}
    return len(unlike) < 2 or unlike == {PLAIN, CONDITION}


def _remedy(kinds: set[str]) -> str:
    if kinds & set(_LISTS):
        return "; `in` looks into a list"
    return f"; lengths of time are {_DURATIONS}" if DURATION in kinds else ""


_SIGNS: Final[Mapping[type[ast.operator], str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"
}  # fmt: skip
_BOTH_WAYS: Final = {
    (NUMBER, "+", NUMBER): NUMBER, (NUMBER, "+", PLAIN): NUMBER, (PLAIN, "+", PLAIN): PLAIN,
    (INSTANT, "+", DURATION): INSTANT, (INSTANT, "+", NUMBER): NUMBER,
    (DURATION, "+", DURATION): DURATION, (DURATION, "+", NUMBER): NUMBER,
    (NUMBER, "*", NUMBER): NUMBER, (NUMBER, "*", PLAIN): NUMBER, (PLAIN, "*", PLAIN): PLAIN,
    (DURATION, "*", PLAIN): DURATION, (DURATION, "*", NUMBER): DURATION,
}  # fmt: skip
_SUMS: Final[Mapping[tuple[str, str, str], str]] = {
    **_BOTH_WAYS,
    **{(right, sign, left): found for (left, sign, right), found in _BOTH_WAYS.items()},
    **{(one, sign, other): NUMBER for one in (NUMBER, PLAIN) for other in (NUMBER, PLAIN)
       for sign in "-/"},
    (PLAIN, "-", PLAIN): PLAIN, (PLAIN, "/", PLAIN): PLAIN,
    (INSTANT, "-", INSTANT): DURATION, (INSTANT, "-", DURATION): INSTANT,
    (INSTANT, "-", NUMBER): NUMBER, (NUMBER, "-", INSTANT): NUMBER,
    (DURATION, "-", DURATION): DURATION, (DURATION, "-", NUMBER): NUMBER,
    (NUMBER, "-", DURATION): NUMBER, (DURATION, "/", DURATION): PLAIN,
    (DURATION, "/", PLAIN): DURATION, (DURATION, "/", NUMBER): NUMBER,
    (NUMBER, "/", DURATION): NUMBER,
}  # fmt: skip
"""What sums of two kinds are; a number may be an instant or a duration."""
