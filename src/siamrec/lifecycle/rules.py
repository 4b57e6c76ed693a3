"""Rules of the owner: what is pinned, boosted, buried, limited, included or never shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np

from siamrec._core import check
from siamrec._core.clock import isoformat
from siamrec.errors import InvalidParameterError, MissingInputError, UnknownNameError
from siamrec.expressions import Expression
from siamrec.lifecycle.eligibility import LONG_TAIL, check_expression

if TYPE_CHECKING:
    from siamrec.data import Catalog
    from siamrec.typing import Id, Instant

_ALWAYS, _NEVER = -(2**62), 2**62


@final
@dataclass(frozen=True, slots=True)
class Pin:
    """One item at one place, from 1; it has the source `"rule"` and rewards no arm."""

    item: Id
    place: int

    def __post_init__(self) -> None:
        if isinstance(self.item, np.integer):
            object.__setattr__(self, "item", self.item.item())
        if isinstance(self.item, bool) or not isinstance(self.item, str | int):
            raise InvalidParameterError("item", self.item, "an id, a text or a whole number")
        check.count("place", self.place)


@final
@dataclass(frozen=True, slots=True)
class Boost:
    """Items that fulfil an expression gain `by`, where the scores of an arm go from 0 to 1."""

    where: str
    by: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", float(check.positive("by", self.by)))
        Expression.read("where", self.where)


@final
@dataclass(frozen=True, slots=True)
class Bury:
    """Items that fulfil an expression lose `by`, where the scores of an arm go from 0 to 1."""

    where: str
    by: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", float(check.positive("by", self.by)))
        Expression.read("where", self.where)


@final
@dataclass(frozen=True, slots=True)
class Quota:
    """At most so many items of a list that share a value of a column; each value of a list counts.

    Pinned items count too. A list that cannot be filled within its quotas lets go of the one
    whose rule is last, then of the one before.
    """

    column: str
    most: int

    def __post_init__(self) -> None:
        check.text("column", self.column)
        check.count("most", self.most)


@final
@dataclass(frozen=True, slots=True)
class Include:
    """At least so many items that fulfil an expression, as long as there are any.

    They take the lowest places that are not pinned, have the source `"rule"` and reward no arm.
    Items that no arm knows yet may come in this way.
    """

    where: str
    least: int = 1

    def __post_init__(self) -> None:
        Expression.read("where", self.where)
        check.count("least", self.least)


@final
@dataclass(frozen=True, slots=True)
class Never:
    """No item that fulfils an expression; one that lacks what is asked for does not fulfil it."""

    where: str

    def __post_init__(self) -> None:
        Expression.read("where", self.where)


Action: TypeAlias = Pin | Boost | Bury | Quota | Include | Never
_ACTIONS: Mapping[str, type[Any]] = {
    each.__name__.lower(): each for each in (Pin, Boost, Bury, Quota, Include, Never)
}


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """What the owner of a list wants of it, under a condition and for a time.

    Rules of a placement are applied in their order: `Never` before the arms are drawn, `Boost`
    and `Bury` on the candidates of each arm, then pins, quotas, and last what must be included.

    Args:
        name: Name of the rule, which lists tell.
        when: Expression on the request, such as `"user.country == 'TH'"`; always when absent.
        then: What happens.
        since: From when on: an instant, or a day or time as ISO text; a day begins at midnight
            UTC.
        until: Until when, exclusive.
        owner: Whose rule it is.

    Raises:
        siamrec.errors.InvalidParameterError: If a part is of another kind, a time has no zone, or
            `until` is not after `since`.

    Examples:
        >>> rule = Rule("summer", when="user.country == 'TH'", then=Pin("i17", 1),
        ...             until="2027-03-01", owner="marketing")
        >>> Rule.from_config(rule.to_config()) == rule, rule.holds({"user": {"country": "TH"}}, 0)
        (True, True)
    """

    name: str
    when: str | None = None
    then: Action | None = None
    since: Any = None
    until: Any = None
    owner: str | None = None
    _asks: Expression | None = field(init=False, compare=False, repr=False, default=None)

    def __post_init__(self) -> None:
        check.text("the name of a rule", self.name, longest=64)
        if self.when is not None:
            object.__setattr__(self, "_asks", Expression.read("when", self.when))
        if self.then is None:
            raise MissingInputError(f"then of the rule {self.name}", "then=Pin('i17', 1)")
        if not isinstance(self.then, tuple(_ACTIONS.values())):
            names = ", ".join(each.__name__ for each in _ACTIONS.values())
            raise InvalidParameterError("then", self.then, f"one of {names}")
        for name in ("since", "until"):
            given = getattr(self, name)
            object.__setattr__(self, name, None if given is None else _instant(name, given))
        if self.starts >= self.ends:
            ends, starts = isoformat(self.ends), isoformat(self.starts)
            raise InvalidParameterError("until", ends, f"after since, {starts}")
        if self.owner is not None:
            check.text("owner", self.owner)

    @property
    def starts(self) -> Instant:
        """The instant from which on it holds."""
        return _ALWAYS if self.since is None else int(self.since)

    @property
    def ends(self) -> Instant:
        """The instant from which on it holds no longer."""
        return _NEVER if self.until is None else int(self.until)

    def holds(self, scope: Mapping[str, Any], now: Instant) -> bool:
        """Whether it is in force for a request.

        Args:
            scope: What is known of the person (`user`) and of the item on the screen (`current`).
            now: The instant of the request.
        """
        if not self.starts <= now < self.ends:
            return False
        return self._asks is None or self._asks.holds(scope, now=now)

    def to_config(self) -> dict[str, Any]:
        """Return the rule as JSON values."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        then = {each.name: getattr(self.then, each.name) for each in fields(self.then)}  # type: ignore[arg-type]
        return {**own, "then": {"name": type(self.then).__name__.lower(), **then}}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Rule:
        """Return the rule that `to_config` wrote.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such action, or no such setting.
        """
        given = dict(check.kind("rule", config, Mapping))
        then = given.get("then")
        if isinstance(then, Mapping):
            settings = dict(then)
            action = _ACTIONS[check.one_of("action of a rule", settings.pop("name", ""), _ACTIONS)]
            given["then"] = _made("action of a rule", action, settings)
        made: Rule = _made("rule", cls, given)
        return made


def meet(one: Rule, other: Rule) -> bool:
    """Whether two rules can be in force together, as far as can be told.

    They have a time in common, and no conditions that differ.
    """
    apart = one.when is not None and other.when is not None and one.when != other.when
    return max(one.starts, other.starts) < min(one.ends, other.ends) and not apart


def check_rules(rules: Sequence[Rule], k: int) -> None:
    """Pass when rules can hold together.

    Two pins can not where they may meet: on one place or of one item, at one time, and with no
    condition that tells them apart. Of two pins with conditions that differ, the first counts.

    Args:
        rules: The rules, in their order.
        k: Length of the list.

    Raises:
        siamrec.errors.InvalidParameterError: If they can not, two have one name, or a pin is
            beyond the list.
    """
    for rule in rules:
        if isinstance(rule.then, Pin) and rule.then.place > k:
            raise InvalidParameterError(
                f"place of the rule {rule.name!r}", rule.then.place, f"within the {k} of the list"
            )
    for one, other in combinations(rules, 2):
        if one.name == other.name:
            raise InvalidParameterError("rules", one.name, "rules with different names")
        pins = isinstance(one.then, Pin) and isinstance(other.then, Pin)
        if not pins or not meet(one, other):
            continue
        for what in ("place", "item"):
            if getattr(one.then, what) == getattr(other.then, what):
                said = f"{one.name!r} and {other.name!r} pin one {what} at one time"
                raise InvalidParameterError("rules", said, "rules that can hold together")


def check_against(
    rules: Sequence[Rule], catalog: Catalog, *, known: Sequence[Rule], now: Instant
) -> None:
    """Pass when the columns and items that rules name are there, and no new one has ended.

    Args:
        rules: The rules.
        catalog: The catalogue.
        known: Rules that the placement had before; they may have ended meanwhile.
        now: The instant.

    Raises:
        siamrec.errors.UnknownNameError: If a column or an item is not there.
        siamrec.errors.InvalidParameterError: If a rule has ended already.
    """
    for rule in rules:
        if rule.ends <= now and rule not in known:
            raise InvalidParameterError(
                f"until of the rule {rule.name!r}", isoformat(rule.ends), "in the future"
            )
        if rule.when is not None:
            check_expression(Expression(rule.when), catalog, items=False)
        then = rule.then
        if isinstance(then, Pin):
            if then.item not in catalog.items:
                raise UnknownNameError("pinned item", then.item, catalog.items.ids)
        elif isinstance(then, Quota):
            check.one_of("column", then.column, {*catalog.attributes, LONG_TAIL})
        elif then is not None:
            check_expression(Expression(then.where), catalog)


def _made(whose: str, kind: type[Any], given: Mapping[str, Any]) -> Any:
    for name in given:
        check.one_of(f"setting of the {whose}", name, [e.name for e in fields(kind) if e.init])
    try:
        return kind(**given)
    except TypeError as error:
        raise MissingInputError(f"a setting of the {whose}", str(error)) from error


def _instant(name: str, value: object) -> Instant:
    """Return an instant that may be written as ISO text; a day is its midnight in UTC."""
    read: object = value
    if isinstance(value, str):
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidParameterError(name, value, "an ISO day or time with a zone") from None
        if "T" not in value and " " not in value:
            read = datetime.fromisoformat(value).replace(tzinfo=UTC)
    elif isinstance(value, date) and not isinstance(value, datetime):
        read = datetime(value.year, value.month, value.day, tzinfo=UTC)
    return check.instant(name, read)
