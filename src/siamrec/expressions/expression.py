"""An expression: a predicate written as text, on one row or on whole columns."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import UnknownNameError
from siamrec.expressions._kinds import ANY, Kinds
from siamrec.expressions._parse import Node, parse, plain, truth
from siamrec.expressions.columns import EXACT, Columns, Numbers, Values

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import numpy.typing as npt

    from siamrec.typing import BoolArray, Instant

_ARRAYS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}


@final
@dataclass(frozen=True, slots=True)
class Expression:
    """A predicate in a small part of Python's own grammar; nothing is ever executed.

    It knows texts, numbers, `True`, `False`, `None` and lists of them; names such as `stock`,
    and of a scope `user.country` or `current.genre` (`item.stock` is `stock`); `==`, `!=`, `<`,
    `<=`, `>`, `>=`, `in`, `not in`, `is None`; `and`, `or`, `not`; `+`, `-`, `*`, `/`; and the
    functions `now()`, `days(n)`, `hours(n)`, `minutes(n)`, `seconds(n)` (nanoseconds, as instants
    are), `exists(name)` and `contains(column, value)`.

    What is not known (a name without a value, None, NaN) or of another kind (a text beside a
    number) fulfils `!=` and `not in`, and nothing else; a sum with it is not known either.

    Args:
        text: The expression.

    Attributes:
        names: Names that it reads.

    Raises:
        InvalidParameterError: If it is not of the language.
        UnknownNameError: If it calls a function that is not there.

    Examples:
        >>> wanted = Expression("stock > 0 and 'kids' not in genres")
        >>> wanted({"stock": 3, "genres": ["noir"]}), wanted({"genres": []})
        (True, False)
        >>> wanted.mask({"stock": [3, 0, 1], "genres": [["noir"], [], ["kids"]]}).tolist()
        [True, False, False]
    """

    text: str
    names: tuple[str, ...] = field(init=False, compare=False, repr=False)
    _tree: Node = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        tree = parse(self.text)
        object.__setattr__(self, "_tree", tree)
        object.__setattr__(self, "names", tree.names)

    @override
    def __reduce__(self) -> tuple[type[Expression], tuple[str]]:
        """Travel as text, which is read again."""
        return type(self), (self.text,)

    @property
    def timed(self) -> bool:
        """Whether it asks for `now()`."""
        return self._tree.timed

    @property
    def scopes(self) -> frozenset[str]:
        """Scopes that it reads, such as `user`."""
        return frozenset(name.partition(".")[0] for name in self.names if "." in name)

    @property
    def conditions(self) -> tuple[Expression, ...]:
        """What `and` joins, in the order of the text; itself alone where it is something else.

        Examples:
            >>> both = Expression("stock > 0 and (new or 'kids' in tags)")
            >>> [each.text for each in both.conditions]
            ['stock > 0', "new or 'kids' in tags"]
        """
        tree = self._tree.source
        if not (isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And)):
            return (self,)
        return tuple(Expression(ast.unparse(part)) for part in tree.values)

    @classmethod
    def read(cls, name: str, value: object) -> Expression:
        """Return an expression that was given as itself or as text.

        Raises:
            InvalidParameterError: If it is neither.
        """
        return value if isinstance(value, cls) else cls(check.text(name, value))

    def __call__(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row holds, for an expression that asks for no time."""
        return self.holds(row)

    def holds(self, row: Mapping[str, Any], *, now: Instant | datetime | None = None) -> bool:
        """Return whether one row fulfils the expression.

        Args:
            row: Values by name; a scope such as `user` is a mapping of its own.
            now: What `now()` stands for: nanoseconds, or a `datetime` with a zone.

        Raises:
            InvalidParameterError: If `now` is something else.
            MissingInputError: If the expression asks for `now()` and it is not given.
        """
        return truth(self._tree.evaluate(lambda name: _found(row, name), _instant(now)))

    def mask(
        self,
        columns: Columns | Mapping[str, Iterable[Any]],
        *,
        scope: Mapping[str, Any] | None = None,
        now: Instant | datetime | None = None,
    ) -> BoolArray:
        """Return which rows of columns fulfil the expression, as `holds` would say of each.

        Comparisons of numbers are array operations; what compares one other column, or numbers
        that floats cannot tell apart, is worked out once for each of its distinct values.

        Args:
            columns: The columns; `Columns.of` works them out once for many expressions.
            scope: What is the same in every row, such as `{"user": {"country": "TH"}}`.
            now: What `now()` stands for: nanoseconds, or a `datetime` with a zone.

        Raises:
            InvalidParameterError: If `now` is something else.
            MissingInputError: If the expression asks for `now()` and it is not given.
        """
        read = columns if isinstance(columns, Columns) else Columns.of(columns)
        return _Masks(read, scope or {}, _instant(now)).of(self._tree)

    def lacking(self, columns: Columns | Mapping[str, Iterable[Any]]) -> BoolArray:
        """Return which rows have no value in a column that is read and not asked after.

        `exists(name)` and `name is None` ask after a column: then a row without a value is meant.

        Examples:
            >>> rows = {"stock": [3, None], "tags": [None, ["new"]]}
            >>> Expression("stock > 0 and (tags is None or 'new' in tags)").lacking(rows).tolist()
            [False, True]
        """
        read = columns if isinstance(columns, Columns) else Columns.of(columns)
        asked = _asked_after(self._tree)
        lacks = np.zeros(read.n, dtype=np.bool_)
        for name in self.names:
            if name in asked or "." in name:
                continue
            column = read.columns.get(name)
            lacks |= np.True_ if column is None else ~column.there
        return lacks

    def check(self, known: Mapping[str, str] | Iterable[str] | None = None) -> None:
        """Refuse names that are not there, and what can never hold or is no condition.

        Args:
            known: The names, or what each of them holds as `Columns.kinds` tells it. The names
                of scopes are written with a dot, such as `user.country`; `user.*` allows any.
                Any name may hold anything when absent.

        Raises:
            UnknownNameError: If a name is not known; the nearest are offered.
            InvalidParameterError: If it is no condition, a text is compared with a number, `in`
                looks into a number, a number is taken from an instant, or the like. The message
                names the part and what it is.

        Examples:
            >>> Expression("'kids' in stock").check({"stock": "number"})
            Traceback (most recent call last):
            siamrec.errors.InvalidParameterError: expression must be with a list or ...
        """
        kinds = dict(known) if isinstance(known, Mapping) else dict.fromkeys(known or (), ANY)
        for name in () if known is None else self.names:
            if name not in kinds and f"{name.partition('.')[0]}.*" not in kinds:
                alike = [each for each in kinds if ("." in each) == ("." in name)]
                raise UnknownNameError("column", name, alike)
        Kinds(kinds, self.text).require_condition(self._tree)


@final
class _Masks:
    """Works out an expression over columns."""

    def __init__(self, columns: Columns, scope: Mapping[str, Any], now: Instant | None) -> None:
        self._columns, self._scope, self._now = columns, scope, now

    def of(self, node: Node) -> BoolArray:
        """Return where a part holds."""
        tree = node.source
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not):
            return ~self.of(node.parts[0])
        if isinstance(tree, ast.BoolOp):
            fold = np.logical_and if isinstance(tree.op, ast.And) else np.logical_or
            joined: BoolArray = fold.reduce([self.of(part) for part in node.parts])
            return joined
        own = [name for name in node.names if name in self._columns.columns]
        if not own:
            return np.full(self._columns.n, truth(self._row(node, {})))
        compared = _lone_comparison(node, self._columns)
        if compared is not None:
            return self._numbers(node, *compared)
        if len(own) == 1:
            return self._distinct(node, own[0])
        rows = zip(*(_rows(self._columns[name]) for name in own), strict=True)
        found = (truth(self._row(node, dict(zip(own, row, strict=True)))) for row in rows)
        return np.fromiter(found, dtype=np.bool_, count=self._columns.n)

    def _row(self, node: Node, row: Mapping[str, Any]) -> Any:
        def look(name: str) -> Any:
            return row[name] if name in row else _found(self._scope, name)

        return node.evaluate(look, self._now)

    def _distinct(self, node: Node, name: str) -> BoolArray:
        column = self._columns[name]
        if isinstance(column, Numbers):
            distinct, code = np.unique(column.values, return_inverse=True)
            held = [truth(self._row(node, {name: value})) for value in distinct.tolist()]
            unknown = truth(self._row(node, {name: None}))
            return np.where(column.known, np.array(held, dtype=np.bool_)[code], unknown)
        held = [truth(self._row(node, {name: value})) for value in column.distinct]
        answer: BoolArray = np.array(held, dtype=np.bool_)[column.code]
        return answer

    def _numbers(self, node: Node, name: str, op: type[ast.cmpop], other: Node) -> BoolArray:
        column = self._columns[name]
        bound = other.evaluate(lambda name: _found(self._scope, name), self._now)
        assert isinstance(column, Numbers)
        if not isinstance(bound, int | float):
            return np.full(self._columns.n, op is ast.NotEq)
        whole = isinstance(bound, int) and column.values.dtype == np.int64
        if not abs(bound) < (2**63 if whole else EXACT):  # an array would compare rounded numbers
            return self._distinct(node, name)
        held: BoolArray = _ARRAYS[op](column.values, bound)
        return held | ~column.known if op is ast.NotEq else held & column.known


def _asked_after(node: Node) -> set[str]:
    """Return the names of which a part asks whether there is a value."""
    tree = node.source
    exists = isinstance(tree, ast.Call) and ast.unparse(tree.func) == "exists"
    if exists or (
        isinstance(tree, ast.Compare)
        and any(isinstance(op, ast.Is | ast.IsNot) for op in tree.ops)
    ):
        return set(node.names)
    return {name for part in node.parts for name in _asked_after(part)}


def _instant(now: object) -> Instant | None:
    return None if now is None else check.instant("now", now)


def _lone_comparison(node: Node, columns: Columns) -> tuple[str, type[ast.cmpop], Node] | None:
    """Return column, comparison and bound of `column < bound`, if a part is of this form."""
    tree = node.source
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or type(tree.ops[0]) not in _ARRAYS:
        return None
    left, right = node.parts
    for side, other, turned in ((left, right, False), (right, left, True)):
        lone = isinstance(side.source, ast.Name | ast.Attribute)
        if not lone or not isinstance(columns.columns.get(side.names[0]), Numbers):
            continue
        if not any(name in columns.columns for name in other.names):
            op = type(tree.ops[0])
            return side.names[0], _TURNED.get(op, op) if turned else op, other
    return None


_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}


def _rows(column: Numbers | Values) -> list[Any]:
    if isinstance(column, Values):
        return [column.distinct[code] for code in column.code.tolist()]
    values: npt.NDArray[Any] = column.values
    return [
        value if there else None
        for value, there in zip(values.tolist(), column.known.tolist(), strict=True)
    ]


def _found(row: Mapping[str, Any], name: str) -> Any:
    scope, dot, rest = name.partition(".")
    if not dot:
        return plain(row.get(name))
    inner = row.get(scope)
    return plain(inner.get(rest)) if isinstance(inner, Mapping) else None
