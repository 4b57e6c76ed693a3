"""Rules that cannot hold together: what one asks for, and another keeps out."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec.errors import InvalidParameterError
from siamrec.expressions import Columns, Expression
from siamrec.lifecycle.rules import Boost, Bury, Include, Never, Pin, Quota, meet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from siamrec.data import Catalog
    from siamrec.lifecycle.rules import Rule
    from siamrec.typing import BoolArray


def check_conflicts(
    rules: Sequence[Rule], catalog: Catalog, k: int, *, known: Sequence[Rule] = ()
) -> None:
    """Pass when no rule asks for what another one keeps out of the list.

    Two rules are compared where they can be in force together. What an expression says of the
    items is told from the catalogue; where it asks for the person or the time, only the same
    expression on both sides is known to be the same. In conflict are a pin, or what must be
    included, with a `Never` or a `Quota` that leaves no room for it; a `Boost` with a `Never` or a
    `Bury` of the same items; and more that must be included than the list has places.

    Args:
        rules: The rules.
        catalog: The catalogue.
        k: Length of the list.
        known: Rules that the placement had before: the catalogue may have changed since.

    Raises:
        siamrec.errors.InvalidParameterError: If two are in conflict; both are named.
    """
    items = _Items(catalog)
    for one, other in combinations(rules, 2):
        if not meet(one, other) or (one in known and other in known):
            continue
        for asks, keeps in ((one, other), (other, one)):
            why = _conflict(asks.then, keeps.then, items)
            if why is not None:
                said = f"{asks.name!r} and {keeps.name!r}: {why}"
                raise InvalidParameterError("rules", said, "rules that can hold together")
    _check_room(rules, items, k, known)


def _conflict(asks: Any, keeps: Any, items: _Items) -> str | None:
    """Return why what one action asks for is kept out by another; None where it is not."""
    match asks, keeps:
        case Pin(item), Never(where):
            fixed = items.of(where)
            if fixed is not None and fixed[items.place(item)]:
                return f"the pinned item {item!r} is never shown"
        case Include(wanted, least), Never(where):
            if wanted == where:
                return "what must be included is never shown"
            both = items.of(wanted), items.of(where)
            if both[0] is not None and both[1] is not None:
                n, left = int(both[0].sum()), int((both[0] & ~both[1]).sum())
                if left < least <= n:
                    return f"of {n} items to be included at least {least}, {left} may be shown"
        case Include(wanted, least), Quota(column, most):
            room = items.room(wanted, column, most)
            if room is not None and room < least:
                return f"at least {least} must be included, and the quota has room for {room}"
        case Boost(wanted), (Never(where) | Bury(where)) if wanted == where:
            return "the same items are lifted and kept down"
    return None


def _check_room(rules: Sequence[Rule], items: _Items, k: int, known: Sequence[Rule]) -> None:
    """Pass when there is room for all that must be included, and quotas have room for pins."""
    for rule in rules:
        then = rule.then
        if not isinstance(then, Include | Quota) or rule in known:
            continue
        with_it = [each.then.item for each in rules if isinstance(each.then, Pin)
                   and meet(rule, each) and rule.when in {None, each.when}]  # fmt: skip
        if isinstance(then, Quota):
            for value, n in items.counts(then.column, with_it).items():
                if n > then.most:
                    said = f"{rule.name!r}: {n} pinned items have the {then.column} {value!r}"
                    raise InvalidParameterError("rules", said, f"at most {then.most} of one value")
            continue
        mask = items.of(then.where)
        within = 0 if mask is None else sum(bool(mask[items.place(item)]) for item in with_it)
        room = k - len(with_it)
        if then.least - within > room:
            said = f"{rule.name!r} includes at least {then.least}"
            raise InvalidParameterError("rules", said, f"within the {max(room, 0)} free places")


@final
class _Items:
    """What expressions say of the items of a catalogue, without a person or an instant."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._masks: dict[str, BoolArray | None] = {}

    def place(self, item: Any) -> int:
        """Return the row of an item; that of no item, which fulfils nothing, where it is not."""
        return int(self._catalog.items.encode([item], unknown="code")[0])

    def of(self, where: str) -> BoolArray | None:
        """Return which items fulfil an expression, one more row at the end; None for unknown."""
        if where not in self._masks:
            self._masks[where] = self._mask(Expression(where))
        return self._masks[where]

    def _mask(self, expression: Expression) -> BoolArray | None:
        if expression.timed or expression.scopes:
            return None
        names = set(expression.names)
        attributes: Mapping[str, Any] = self._catalog.attributes
        columns = Columns.of({name: attributes[name] for name in names & set(attributes)})
        if not columns.n:
            return None
        held = expression.mask(columns) & ~expression.lacking(columns)
        return np.append(held, False)

    def room(self, where: str, column: str, most: int) -> int | None:
        """Return how many items that fulfil an expression fit within a quota; None for unknown.

        One by one, since an item may have several values.
        """
        mask = self.of(where)
        if mask is None or not mask.any():
            return None
        values = [
            _listed(self._catalog.attributes[column][row]) for row in np.flatnonzero(mask).tolist()
        ]
        if not all(values) or any(len(each) > 1 for each in values):
            if len({*values}) == 1 and values[0]:
                return most
            shared = set.intersection(*map(set, values)) if all(values) else set()
            return most if shared else None
        return most * len({*values})

    def counts(self, column: str, items: Sequence[Any]) -> dict[Any, int]:
        """Return how many of some items have each value of a column."""
        found: dict[Any, int] = {}
        for item in items:
            for value in _listed(self._catalog.attributes[column][self.place(item)]):
                found[value] = found.get(value, 0) + 1
        return found


def _listed(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(dict.fromkeys(value)) if isinstance(value, tuple) else (value,)
