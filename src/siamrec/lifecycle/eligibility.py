"""What may be shown: one gate for every list, before the draw and again at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.expressions import Columns, Expression
from siamrec.expressions.columns import Numbers
from siamrec.storage.catalog import HIDDEN, TIMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from siamrec.data import Catalog, Vocabulary
    from siamrec.expressions.columns import Values
    from siamrec.typing import BoolArray, Id, Instant

STOCK, OWNER = "stock", "owner"
"""Attributes that say how many there are of an item (none: it is not shown), and whose it is
(it is not shown to that person)."""
LONG_TAIL = "long_tail"
"""Column that every catalogue has: whether an item lies outside the best-known ones."""
_SCOPES = ("user", "current")
_BUILT_IN = Columns.of({LONG_TAIL: [True, False]}).kinds()
_MOST_MASKS = 500
_MOST_EXPRESSIONS = 200


@final
class Shelf:
    """Items that lists are made of and what the catalogue says of them; made once for a change.

    Masks of expressions that ask for nothing but the items are worked out once.

    Args:
        catalog: The catalogue.
        removed: Items that were taken out of it.
        items: Items that can be ranked; those that only the catalogue has come after them.
        tail: Which of those that can be ranked lie in the long tail, where it is known.

    Attributes:
        items: All of them.
        n_ranked: How many of them, the first, can be ranked.
        open: Which are neither hidden nor removed, and in stock if that is told.
        closed: How many of those that can be ranked are not, by reason.
    """

    def __init__(
        self,
        catalog: Catalog,
        removed: AbstractSet[Id],
        items: Vocabulary,
        tail: BoolArray | None = None,
    ) -> None:
        self.n_ranked = len(items)
        self._tail = tail
        self.items = items.extend(catalog.items.ids)
        self._catalog = catalog
        self._code = self.items.translate(catalog.items)
        self._columns: dict[str, Numbers | Values] = {}
        self._masks: dict[str, BoolArray] = {}
        self._read: dict[tuple[str, bool], tuple[Expression, ...]] = {}
        taken = np.zeros(len(self.items), dtype=np.bool_)
        if removed:
            codes = self.items.encode(list(removed), unknown="code")
            taken[codes[codes >= 0]] = True
        self.open: BoolArray = np.ones(len(self.items), dtype=np.bool_)
        self.closed: dict[str, int] = {}
        for reason, gone in (
            ("hidden", self._hidden()), ("removed", taken), ("out of stock", self._out_of_stock()),
        ):  # fmt: skip
            n = int(np.count_nonzero((self.open & gone)[: self.n_ranked]))
            self.closed |= {reason: n} if n else {}
            self.open &= ~gone
        self._times = [
            (name, column)
            for name in TIMES
            if isinstance(column := self.column(name, missing=None), Numbers)
        ]

    def column(self, name: str, *, missing: Any = UnknownNameError) -> Any:
        """Return a column of the catalogue over the items of the shelf.

        Raises:
            siamrec.errors.UnknownNameError: If there is none of that name.
        """
        if name not in self._columns:
            given = self._catalog.attributes.get(name)
            if given is not None:
                values = [*given, None]  # the last for what the catalogue does not have: code -1
                taken = [values[code] for code in self._code.tolist()]
            elif name == LONG_TAIL:
                n_new = len(self.items) - self.n_ranked  # what nobody has met yet is in the tail
                known = [None] * self.n_ranked if self._tail is None else self._tail.tolist()
                taken = [*known, *[None if self._tail is None else True] * n_new]
            elif missing is None:
                return None
            else:
                raise UnknownNameError("column", name, self._catalog.attributes)
            self._columns[name] = Columns.of({name: taken}).columns[name]
        return self._columns[name]

    def conditions(self, text: str | Expression) -> tuple[Expression, ...]:
        """Return what a filter joins by `and`.

        The text of an owner was checked when it was kept, and columns may have gone since; an
        expression of a request is checked against the columns of the catalogue.

        Raises:
            siamrec.errors.UnknownNameError: If a request reads a column that is not there.
            siamrec.errors.InvalidParameterError: If it is no expression, or can never hold.
        """
        asked = isinstance(text, Expression)
        key = (text.text if isinstance(text, Expression) else check.text("where", text), asked)
        if key not in self._read:
            whole = Expression.read("where", text)
            if asked:
                check_expression(whole, self._catalog)
            if len(self._read) >= _MOST_EXPRESSIONS:
                self._read.clear()
            self._read[key] = whole.conditions
        return self._read[key]

    def mask(
        self, condition: Expression, *, scope: Mapping[str, Any], now: Instant
    ) -> tuple[BoolArray, BoolArray]:
        """Return which items fulfil a condition, and which lack what it reads."""
        fixed = not condition.timed and not condition.scopes
        held = self._kept(condition.text, condition, scope, now, keep=fixed)
        key = f"lacking {condition.text}"
        lacks = self._masks.get(key)
        if lacks is None:
            lacks = self._remember(key, condition.lacking(self._columns_of(condition)))
        return held, lacks

    def holding(self, where: str, *, scope: Mapping[str, Any], now: Instant) -> BoolArray:
        """Return which items fulfil an expression of an owner, all of whose columns they have."""
        key = f"holding {where}"
        found = self._masks.get(key)
        if found is not None:
            return found
        conditions = self.conditions(where)
        found = np.ones(len(self.items), dtype=np.bool_)
        for each in conditions:
            held, lacks = self.mask(each, scope=scope, now=now)
            found &= held & ~lacks
        fixed = not any(each.timed or each.scopes for each in conditions)
        return self._remember(key, found) if fixed else found

    def _kept(
        self,
        key: str,
        condition: Expression,
        scope: Mapping[str, Any],
        now: Instant,
        *,
        keep: bool,
    ) -> BoolArray:
        found = self._masks.get(key) if keep else None
        if found is None:
            found = condition.mask(self._columns_of(condition), scope=scope, now=now)
            if keep:
                self._remember(key, found)
        return found

    def _remember(self, key: str, mask: BoolArray) -> BoolArray:
        if len(self._masks) >= _MOST_MASKS:
            self._masks.clear()
        self._masks[key] = mask
        return mask

    def _columns_of(self, condition: Expression) -> Columns:
        named = {name: self.column(name, missing=None) for name in condition.names}
        there = {name: column for name, column in named.items() if column is not None}
        return Columns(there, len(self.items))

    def row(self, item: Id) -> dict[str, Any]:
        """Return what the catalogue says of one item."""
        if item not in self._catalog.items:
            return {}
        (code,) = self._catalog.items.encode([item]).tolist()
        return {name: column[code] for name, column in self._catalog.attributes.items()}

    def out_of_time(self, now: Instant) -> BoolArray | None:
        """Return which items are not shown yet, or no longer; None where none has a time."""
        gone: BoolArray | None = None
        for name, column in self._times:
            early = name == TIMES[0]
            late = column.values > now if early else column.values <= now
            late = late & column.known
            gone = late if gone is None else gone | late
        return gone

    def own(self, user: Id) -> BoolArray | None:
        """Return which items are the person's own; None where no item has an owner."""
        column = self.column(OWNER, missing=None)
        if column is None:
            return None
        if isinstance(column, Numbers):
            return column.known & (column.values == user) if isinstance(user, int) else None
        same = np.array([value == user for value in column.distinct], dtype=np.bool_)
        mine: BoolArray = same[column.code]
        return mine

    def _hidden(self) -> BoolArray:
        column = self._catalog.attributes.get(HIDDEN, ())
        mask = np.array([*(bool(why) for why in column), False], dtype=np.bool_)
        if mask.size == 1:
            return np.zeros(len(self.items), dtype=np.bool_)
        hidden: BoolArray = mask[self._code]
        return hidden

    def _out_of_stock(self) -> BoolArray:
        column = self.column(STOCK, missing=None)
        if not isinstance(column, Numbers):
            return np.zeros(len(self.items), dtype=np.bool_)
        none: BoolArray = column.known & (column.values <= 0)
        return none


class Wish(NamedTuple):
    """What one request adds to the gate."""

    exclude: Sequence[Id] = ()
    among: Sequence[Id] | None = None
    blocked: Sequence[Id] = ()
    seen: Sequence[Id] = ()
    shown: Sequence[Id] = ()
    """On the pages before this one, and on the rows above it."""


@final
class Gate:
    """Which items may be shown in one list, and how many may not, by the first reason.

    Args:
        shelf: The items.

    Attributes:
        left: Items that may be shown, shape `(n_items,)`.
        counts: Number of items that can be ranked and may not be shown, by reason.
        relaxed: Conditions that were let go of.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.left: BoolArray = shelf.open.copy()
        self.counts: dict[str, int] = dict(shelf.closed)
        self.relaxed: tuple[str, ...] = ()

    @property
    def n_left(self) -> int:
        """Number of items that can be ranked and may be shown."""
        return int(np.count_nonzero(self.left[: self.shelf.n_ranked]))

    def shut(self, reason: str, gone: BoolArray | None) -> None:
        """Keep items back for a reason."""
        if gone is None:
            return
        before = self.n_left
        self.left &= ~gone
        after = self.n_left
        if after < before:
            self.counts[reason] = self.counts.get(reason, 0) + before - after

    def shut_items(self, reason: str, items: Iterable[Id]) -> None:
        """Keep items back by their ids; one that is not on the shelf is none that could come."""
        codes = self.shelf.items.encode(items, unknown="code")
        gone = np.zeros_like(self.left)
        gone[codes[codes >= 0]] = True
        self.shut(reason, gone)

    def apply(self, wish: Wish, *, users: Sequence[Id], now: Instant) -> None:
        """Keep back what is out of its time, one's own, blocked, seen or not wished for.

        Args:
            wish: What the request adds.
            users: All ids of the person; none for nobody.
            now: The instant.

        Raises:
            siamrec.errors.UnknownNameError: If `among` has an item that nobody knows.
        """
        self.shut("unavailable", self.shelf.out_of_time(now))
        for user in users:
            self.shut("own", self.shelf.own(user))
        for reason, items in (
            ("blocked", wish.blocked), ("shown", wish.shown), ("seen", wish.seen),
            ("excluded", wish.exclude),
        ):  # fmt: skip
            if items:
                self.shut_items(reason, items)
        if wish.among is not None:
            known = self.shelf.items
            for item in wish.among:
                if item not in known:
                    raise UnknownNameError("item of among", item, known.ids)
            outside = np.ones_like(self.left)
            outside[known.encode(wish.among)] = False
            self.shut("not among", outside)

    def filter(
        self,
        firm: Sequence[Expression],
        soft: Sequence[Expression],
        *,
        least: int,
        scope: Mapping[str, Any],
        now: Instant,
    ) -> None:
        """Keep back what does not fulfil conditions; an item that lacks what they read does not.

        Args:
            firm: Conditions that hold.
            soft: Conditions of which the last are let go of, one after the other, until as many
                items as are wanted are left.
            least: How many items are wanted.
            scope: What is known beside the items: the person, the item on the screen.
            now: What `now()` stands for.
        """
        every = [*firm, *soft]
        masks = [self.shelf.mask(each, scope=scope, now=now) for each in every]
        kept = len(every)
        if soft:
            left = [self.left]
            for held, lacks in masks:
                left.append(left[-1] & held & ~lacks)
            ranked = self.shelf.n_ranked
            enough = [int(np.count_nonzero(each[:ranked])) >= least for each in left]
            while kept > len(firm) and not enough[kept]:
                kept -= 1
        for held, lacks in masks[:kept]:
            self.shut("unknown", lacks)
            self.shut("where", ~held)
        self.relaxed = tuple(each.text for each in every[kept:])


def check_expression(expression: Expression, catalog: Catalog, *, items: bool = True) -> None:
    """Pass when an expression reads what there is.

    Args:
        expression: The expression.
        catalog: The catalogue, whose columns it may read.
        items: Whether it is about items; else about a request alone.

    Raises:
        siamrec.errors.UnknownNameError: If it reads a column that is not there.
        siamrec.errors.InvalidParameterError: If it is no condition or can never hold, or reads
            columns of items where there is none.
    """
    bare = [name for name in expression.names if "." not in name]
    if bare and not items:
        raise InvalidParameterError(
            "when", expression.text, f"about user.…, current.… and now(), not {bare[0]!r}"
        )
    wanted = {name.partition(".")[2] for name in expression.names if name.startswith("current.")}
    read = {*bare, *wanted} & set(catalog.attributes)
    kinds = Columns.of({name: catalog.attributes[name] for name in read}).kinds()
    known = _BUILT_IN | dict.fromkeys(catalog.attributes, "mixed") | kinds
    scoped = {f"current.{name}": kind for name, kind in known.items()}
    for name in expression.names:
        scope, dot, _ = name.partition(".")
        if dot and scope not in _SCOPES:
            raise UnknownNameError("scope", scope, _SCOPES)
    expression.check({**known, **scoped, "user.*": "mixed"})
