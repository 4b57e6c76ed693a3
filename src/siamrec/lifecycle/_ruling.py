"""Rules at work on one list: which are in force, and what they move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from siamrec.lifecycle._draft import Pool, scaled
from siamrec.lifecycle.rules import Boost, Bury, Include, Never, Pin, Quota

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siamrec.lifecycle.eligibility import Gate, Shelf
    from siamrec.lifecycle.rules import Rule
    from siamrec.typing import BoolArray, FloatArray, Instant


class _Lift(NamedTuple):
    """What a rule adds to the scores of some items."""

    rule: str
    where: BoolArray
    by: float


class Wanted(NamedTuple):
    """Items of which a rule wants so many."""

    rule: str
    where: BoolArray
    least: int


@final
class Quotas:
    """Counts what a list has of each value, and says what it may not take any more of.

    Args:
        shelf: The items.
        quotas: Names of rules, columns and greatest numbers, in the order of the rules.
    """

    def __init__(self, shelf: Shelf, quotas: Sequence[tuple[str, str, int]]) -> None:
        self._columns = {column: shelf.column(column, missing=None) for _, column, _ in quotas}
        self._quotas = list(quotas)
        self._counts: dict[tuple[str, Any], int] = {}
        self.refused: dict[str, dict[int, None]] = {}

    def __len__(self) -> int:
        return len(self._quotas)

    def take(self, item: int) -> bool:
        """Count an item in; False where a quota is full, and nothing is counted then."""
        counted: list[tuple[str, Any]] = []
        for name, column, most in self._quotas:
            for value in self._values(column, item):
                if self._counts.get((name, value), 0) >= most:
                    self.refused.setdefault(name, {})[item] = None
                    return False
                counted.append((name, value))
        for key in counted:
            self._counts[key] = self._counts.get(key, 0) + 1
        return True

    def count(self, item: int) -> None:
        """Count an item in, whether it is one too many or not."""
        for name, column, _ in self._quotas:
            for value in self._values(column, item):
                self._counts[name, value] = self._counts.get((name, value), 0) + 1

    def drop(self, item: int) -> None:
        """Count an item out again."""
        for name, column, _ in self._quotas:
            for value in self._values(column, item):
                self._counts[name, value] -= 1

    def swap(self, old: int, new: int) -> bool:
        """Count one item out and another in; False where a quota is full even so."""
        self.drop(old)
        if not self.take(new):
            self.count(old)
            return False
        for refused in self.refused.values():
            refused.pop(new, None)
        return True

    def relax(self) -> str | None:
        """Let go of the last quota and return its rule; None where none is left."""
        return self._quotas.pop()[0] if self._quotas else None

    def _values(self, column: str, item: int) -> tuple[Any, ...]:
        value = self._columns[column]
        found = None if value is None else value.at(item)
        if found is None:
            return ()
        return tuple(dict.fromkeys(found)) if isinstance(found, tuple) else (found,)


@final
class Ruling:
    """The rules of a placement that are in force for one list.

    Args:
        rules: All of them, in their order.
        shelf: The items.
        scope: What is known of the person, and of the item on the screen.
        now: The instant.

    Attributes:
        pins: Codes of pinned items and names of their rules, by place.
        moved: Codes of the items that each rule in force has moved.
    """

    def __init__(
        self, rules: Iterable[Rule], shelf: Shelf, *, scope: Mapping[str, Any], now: Instant
    ) -> None:
        self._shelf, self._scope, self._now = shelf, scope, now
        self.pins: dict[int, tuple[int, str]] = {}
        self.moved: dict[str, dict[int, None]] = {}
        self._lifts: list[_Lift] = []
        self._never: list[BoolArray] = []
        self._quotas: list[tuple[str, str, int]] = []
        self.includes: list[Wanted] = []
        for rule in rules:
            if rule.holds(scope, now):
                self._take(rule)

    def _take(self, rule: Rule) -> None:
        self.moved[rule.name] = {}
        match rule.then:
            case Pin(item, place):
                taken = {code for code, _ in self.pins.values()}
                (code,) = self._shelf.items.encode([item], unknown="code").tolist()
                if code >= 0 and code not in taken:  # of two the first counts
                    self.pins.setdefault(place, (code, rule.name))
            case Boost(where, by):
                self._lifts.append(_Lift(rule.name, self._mask(where), by))
            case Bury(where, by):
                self._lifts.append(_Lift(rule.name, self._mask(where), -by))
            case Quota(column, most):
                self._quotas.append((rule.name, column, most))
            case Include(where, least):
                self.includes.append(Wanted(rule.name, self._mask(where), least))
            case Never(where):
                self._never.append(self._mask(where))

    def _mask(self, where: str) -> BoolArray:
        return self._shelf.holding(where, scope=self._scope, now=self._now)

    @property
    def wide(self) -> bool:
        """Whether more candidates are needed than a list is long."""
        return bool(self._lifts or self._quotas)

    def shut(self, gate: Gate) -> None:
        """Keep back what is never shown."""
        for never in self._never:
            gate.shut("never", never)

    def admit(self, gate: Gate, k: int) -> None:
        """Let pins go that are beyond the list, or that may not be shown."""
        self.pins = {
            place: pin
            for place, pin in sorted(self.pins.items())
            if place <= k and gate.left[pin[0]]
        }

    def unpinned(self, left: BoolArray) -> BoolArray:
        """Return the items that may be shown and are not pinned."""
        if not self.pins:
            return left
        free = left.copy()
        free[[code for code, _ in self.pins.values()]] = False
        return free

    def lifted(self, pool: Pool, weights: FloatArray | None) -> Pool:
        """Return candidates in their new order, with scores from 0 to 1 and what rules add.

        Args:
            pool: Candidates, best first.
            weights: How far each item of the shelf has recovered from being shown; None where
                none has to.
        """
        if not pool.item.size or (not self._lifts and weights is None):
            return pool
        score = scaled(pool.score)
        if weights is not None:
            score = score * weights[pool.item]
        for lift in self._lifts:
            score = score + lift.by * lift.where[pool.item]
        order = np.argsort(-score, kind="stable")
        stays = order == np.arange(order.size)
        moved = pool.item[order[~stays]]
        for lift in self._lifts:
            touched = moved[lift.where[moved]].tolist()
            self.moved[lift.rule] |= dict.fromkeys(touched)
        return Pool(pool.item[order], score[order])

    def quotas(self) -> Quotas:
        """Return an empty count of what a list has."""
        return Quotas(self._shelf, self._quotas)

    def told(
        self, shown: Sequence[int], refused: Mapping[str, Iterable[int]]
    ) -> dict[str, tuple[str | int, ...]]:
        """Return the items that each rule in force has moved.

        Of what was boosted, buried or put in that is what is shown; of what a quota kept out,
        what is not. What is never shown is counted by the gate alone.

        Args:
            shown: Codes of the list.
            refused: What quotas have refused, by rule.
        """
        listed = set(shown)
        out = {name for name, *_ in self._quotas}
        for name, items in refused.items():
            self.moved[name] |= dict.fromkeys(items)
        return {
            name: tuple(
                self._shelf.items[code] for code in moved if (code in listed) != (name in out)
            )
            for name, moved in self.moved.items()
        }
