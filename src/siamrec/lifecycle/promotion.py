"""When what was trained takes the place of what serves: a value, and the judgement by it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record

if TYPE_CHECKING:
    from collections.abc import Mapping


@final
@dataclass(frozen=True, slots=True, repr=False)
class Guardrail(Record):
    """A metric of the lists that a promotion must not spoil.

    Args:
        metric: The metric, such as `"coverage@10"` or `"long_tail_share@10"`.
        drop: Largest relative loss that is put up with, in [0, 1].

    Raises:
        siamrec.errors.InvalidParameterError: If the loss is out of range.

    Examples:
        >>> Guardrail("coverage@10", drop=0.1)
        <Guardrail coverage@10: may lose 10%>
    """

    metric: str
    drop: float

    def __post_init__(self) -> None:
        check.text("metric", self.metric)
        check.share("drop", self.drop)

    @override
    def title(self) -> str:
        return f"Guardrail {self.metric}: may lose {self.drop:.0%}"


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Promotion(Record):
    """When what was trained takes the place of what serves.

    A changed recipe must gain: the relative difference is at least `gain` and, with `confident`,
    its interval lies above 0. The same recipe on newer data must not lose: the interval of the
    relative difference lies above `-margin`. Where nothing serves yet, it must not be clearly
    worse than popularity.

    Args:
        metric: What decides, on the held-out users.
        gain: Least relative gain of a changed recipe, at least 0.
        confident: Whether the whole 95 % interval has to lie above 0.
        margin: Largest relative loss of a recipe that is fitted anew, in [0, 1].
        guardrails: What must not be spoilt, whatever is gained.
        min_users: Held-out users below which nothing is replaced.
        approval: Whether a person activates what was found good.

    Raises:
        siamrec.errors.InvalidParameterError: If a number is out of range.

    Examples:
        >>> Promotion(gain=0.05).min_users
        20
    """

    metric: str = "ndcg@10"
    gain: float = 0.0
    confident: bool = True
    margin: float = 0.05
    guardrails: tuple[Guardrail, ...] = ()
    min_users: int = 20
    approval: bool = False

    def __post_init__(self) -> None:
        check.text("metric", self.metric)
        check.not_negative("gain", self.gain)
        check.share("margin", self.margin)
        listed = check.many("guardrails", self.guardrails, what="guardrails")
        for each in listed:
            check.kind("guardrail", each, Guardrail)
        object.__setattr__(self, "guardrails", tuple(listed))
        check.count("min_users", self.min_users)

    @override
    def title(self) -> str:
        return f"Promotion by {self.metric}: a gain of {self.gain:.0%}"


def judge(
    compared: Mapping[str, Any],
    promotion: Promotion,
    *,
    serves: bool,
    same_recipe: bool,
    guarded: Mapping[str, tuple[float, float]] | None = None,
) -> tuple[bool, tuple[str, ...]]:
    """Return whether a candidate takes the place of what serves, and why; see `Promotion`.

    Args:
        compared: Paired difference with its interval, as `before`, `after`, `difference`, `low`,
            `high` and `users`, and whether it is 0 for every user, as `same`; without a
            difference nothing could be measured.
        promotion: The rule.
        serves: Whether something serves already; else the comparison is with popularity.
        same_recipe: Whether the candidate is what serves, fitted to newer data.
        guarded: For metrics of guardrails, what serves and the candidate.

    Examples:
        >>> from siamrec.lifecycle import Promotion
        >>> numbers = {"before": 0.2, "after": 0.3, "difference": 0.1, "low": 0.05, "high": 0.15}
        >>> judge({**numbers, "users": 90}, Promotion(), serves=True, same_recipe=False)[0]
        True
    """
    users = int(compared.get("users") or 0)
    whom = "what serves" if serves else "popularity"
    if compared["difference"] is None or users < promotion.min_users:
        few = f"{users} users can be compared, fewer than the {promotion.min_users} that it takes"
        if serves:
            return False, (f"Kept: {few}.",)
        return True, (f"First release, although {few}.",)
    base, low = float(compared["before"]), _bound(compared["low"], -math.inf)
    high = _bound(compared["high"], math.inf)
    difference = float(compared["difference"])
    told = (
        f"{promotion.metric} {base:.4f} of {whom} to {compared['after']:.4f}, "
        f"{difference:+.4f} [{low:+.4f}, {high:+.4f}], {users} users"
    )
    if compared.get("same", False):
        told = f"{promotion.metric} {base:.4f}, that of {whom} for each of {users} users"
    if not serves:
        good = high >= 0
        return good, (f"{'First release' if good else 'Clearly worse than popularity'}: {told}.",)
    if same_recipe:
        least = -promotion.margin * base
        # Lists that are as good for every single user have no spread to make an interval of.
        certain = compared.get("same", False) or not promotion.confident
        good = (difference if certain else low) >= least
        rule = f"the same recipe on newer data may lose {promotion.margin:.0%} at most"
    else:
        least = promotion.gain * base
        clear = low > 0 if promotion.confident else True
        good = difference >= least and difference > 0 and clear
        sure = " with its whole interval above 0" if promotion.confident else ""
        rule = f"a changed recipe must gain {promotion.gain:.0%}{sure}"
    broken = _broken(promotion, guarded or {})
    good = good and not broken
    return good, (f"{'Promoted' if good else 'Kept'}: {told}; {rule}.", *broken)


def _broken(promotion: Promotion, guarded: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """Return why a guardrail does not let a candidate pass."""
    found = []
    for rail in promotion.guardrails:
        before, after = guarded.get(rail.metric, (math.nan, math.nan))
        if not after >= (1 - rail.drop) * before:  # what cannot be compared does not pass
            found.append(f"{rail.metric} {before:.4f} to {after:.4f}: may lose {rail.drop:.0%}.")
    return tuple(found)


def _bound(value: float | None, none: float) -> float:
    return none if value is None else float(value)
