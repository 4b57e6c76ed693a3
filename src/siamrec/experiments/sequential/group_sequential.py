"""Group-sequential tests: a few planned looks, with bounds that spend the error rate over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, final

import numpy as np
from typing_extensions import override

from siamrec._core import check, special
from siamrec._core.roots import root
from siamrec.errors import InvalidParameterError, MissingInputError
from siamrec.experiments.sequential._walk import (
    bounds_above,
    crossing,
    futility_bounds,
    symmetric_bounds,
)
from siamrec.experiments.sequential.confidence_sequences import Sequence as LookingRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.typing import FloatArray

Spending: TypeAlias = Literal["obrien-fleming", "pocock", "power", "hwang-shih-decani"]

_LEAST_ALPHA = 1e-14
_NEAR = 0.1
"""Share by which a look may miss its plan and still be that look."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Futility:
    """Giving up early, where a difference worth finding would have shown by now.

    The error of missing it, beta = 1 - `power`, is spent over the looks as alpha is: by the share
    t, the experiment may have been given up wrongly with probability b(t), were the difference
    the one that the design finds with that power. Its drift is the one for which the two bounds
    meet at the last look. Both bounds are in the direction in which the metric is better.

    Args:
        power: Probability with which the design finds its difference, above alpha / 2.
        spending: The spending function of beta.
        shape: Its parameter.
        binding: Whether the experiment must stop at the bound. If it must, the bound for having
            found something may be a little lower; if it is advice (as a rule), the error rate
            holds whether or not one follows it.

    Raises:
        InvalidParameterError: If a number is out of range.
        UnknownNameError: If the spending function is not known.

    References:
        Pampallona, Tsiatis, Kim (2001), Drug Information Journal 35; Jennison and Turnbull
        (2000), chapters 4 and 7.
    """

    power: float = 0.8
    spending: Spending = "hwang-shih-decani"
    shape: float = -2.0
    binding: bool = False

    def __post_init__(self) -> None:
        check.share("power", self.power, open_ends=True)
        _check_spending(self.spending, self.shape)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSequential(LookingRule):
    """Looks at planned shares of the units, with Lan and DeMets' spending of the error rate.

    By the share t of the planned units, each side has spent a(t) of its alpha' = alpha / 2:

        O'Brien-Fleming   2 - 2 Phi( z_(alpha' / 2) / sqrt t )
        Pocock            alpha' ln(1 + (e - 1) t)
        power             alpha' t^shape
        Hwang-Shih-DeCani alpha' (1 - e^(-shape t)) / (1 - e^(-shape))

    The bound at a look solves "probability of crossing here first = what may be spent here", by
    numerical integration over the paths inside the earlier bounds. A look at another share than
    planned uses the earlier looks (planned, or as `made`) and its own share; a look past the
    planned units spends what is left, which is nothing if one at or past them was made.
    Intervals are estimate ± bound s.e. (repeated confidence intervals), the p-value is the least
    alpha at which the estimate reaches the bound.

    With `futility` a report stops as inconclusive where the estimate falls below that bound. Where
    it is binding, p-values follow the lower bound that this allows; intervals do not, because
    they have to hold for every difference and not only for none.

    Args:
        planned: Units of both variants at the last look.
        looks: Shares of `planned` at which one looks, rising to 1.
        spending: The spending function.
        shape: Parameter of the last two spending functions; above 0 for `"power"`, any number
            but 0 for `"hwang-shih-decani"` (below 0, little is spent early).
        futility: When to give up, if ever.
        made: Units of both variants at the looks that were made before this one, rising. With
            them the error rate holds for whatever looks one makes; without them the planned
            looks before this one are taken as made, and one may decide at planned looks only.

    Raises:
        InvalidParameterError: If looks do not rise to 1, those made do not rise or a number is
            out of range.
        UnknownNameError: If the spending function is not known.

    References:
        Armitage, McPherson, Rowe (1969), JRSS A 132; Lan and DeMets (1983), Biometrika 70;
        Jennison and Turnbull (2000), Group Sequential Methods, chapters 7, 9 and 19.

    Examples:
        >>> rule = GroupSequential(planned=1000, looks=(0.2, 0.4, 0.6, 0.8, 1.0))
        >>> rule.bounds(0.05).round(3).tolist()
        [4.877, 3.357, 2.68, 2.29, 2.031]
    """

    planned: float
    looks: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    spending: Spending = "obrien-fleming"
    shape: float = 2.0
    futility: Futility | None = None
    made: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check.positive("planned", self.planned)
        _check_spending(self.spending, self.shape)
        for name in ("looks", "made"):
            for each in check.many(name, getattr(self, name), what="numbers"):
                check.real(name, each)
        if self.futility is not None:
            check.kind("futility", self.futility, Futility)
        rising = np.diff([0.0, *self.looks])
        if not self.looks or (rising <= 0).any() or abs(self.looks[-1] - 1) > 1e-9:
            raise InvalidParameterError("looks", self.looks, "rising shares that end in 1")
        if self.made and not np.diff([0.0, *self.made]).min() > 0:
            raise InvalidParameterError("made", self.made, "rising numbers of units above 0")

    @property
    @override
    def name(self) -> str:
        return f"group sequential ({self.spending})"

    @property
    @override
    def planned_units(self) -> float | None:
        return self.planned

    def is_planned(self, n: float) -> bool:
        """Whether one may decide at n units: at a planned look (within 10 %), or past the last.

        With `made` it may be anywhere.
        """
        share = n / self.planned
        near = (abs(share - look) <= _NEAR * look for look in self.looks)
        return bool(self.made) or share >= 1 or any(near)

    def bounds(self, alpha: float) -> FloatArray:
        """Return the bound, in standard errors, at each planned look."""
        return self._bounds(np.array(self.looks), alpha)

    def spent(self, share: float, alpha: float) -> float:
        """Return what each side has spent by a share of the planned units."""
        return _SPENDING[self.spending](min(share, 1.0), alpha / 2, self.shape)

    @override
    def multiplier(self, n: float, alpha: float) -> float:
        return float(self._bounds(np.array(self._times(n)), alpha)[-1])

    @override
    def log_p(self, z: float, n: float, alpha: float) -> float:
        times, size = np.array(self._times(n)), abs(z)
        bounds = self._bounds_below(times, alpha)

        def slack(log_alpha: float) -> float:
            return size - float(bounds(float(np.exp(log_alpha)))[-1])

        low, high = float(np.log(_LEAST_ALPHA)), float(np.log(0.999))
        if slack(high) <= 0:
            return 0.0
        if slack(low) >= 0:
            # Beyond the accuracy of the integration: no look can do better than one look.
            return float(min(low, np.log(2) + special.log_ndtr(-size)))
        return root(slack, low, high, xtol=1e-6)

    def power(self, drift: float, alpha: float) -> float:
        """Return the probability of crossing the bound on the side of the drift at some look.

        With futility it is that of crossing it before giving up.

        Args:
            drift: Expected estimate in standard errors at the planned units.
            alpha: The error rate.
        """
        times, high = np.array(self.looks), self.bounds(alpha)
        low = -high
        if self.futility is not None:
            low, high = self._with_futility(times, self.drift(alpha), alpha)[:2]
        return float(crossing(times, low, high, abs(drift)).sum())

    def drift(self, alpha: float) -> float:
        """Return the z at the planned units that the design with futility finds with its power.

        Raises:
            MissingInputError: If the rule has no futility.
            InvalidParameterError: If the power is not above alpha / 2.
        """
        if self.futility is None:
            raise MissingInputError("futility", "GroupSequential(..., futility=Futility())")
        if self.futility.power <= alpha / 2:
            raise InvalidParameterError("power", self.futility.power, f"above {alpha / 2:g}")
        times = np.array(self.looks)
        missed = lambda drift: self._with_futility(times, drift, alpha)[2]  # noqa: E731
        return root(missed, 0.0, 40.0, xtol=1e-10)

    def futility_bounds(self, alpha: float) -> FloatArray:
        """Return the z, in the better direction, below which to give up at each planned look.

        Raises:
            MissingInputError: If the rule has no futility.
        """
        return self._with_futility(np.array(self.looks), self.drift(alpha), alpha)[0]

    def is_futile(self, z: float, n: float, alpha: float) -> bool:
        """Whether to give up.

        Args:
            z: Improvement in standard errors, above 0 where the treatment is better.
            n: Units of both variants.
            alpha: The error rate of the design.
        """
        if self.futility is None:
            return False
        times = np.array(self._times(min(n, self.planned)))
        return bool(z < self._with_futility(times, self.drift(alpha), alpha)[0][-1])

    def _with_futility(
        self, times: FloatArray, drift: float, alpha: float
    ) -> tuple[FloatArray, FloatArray, float]:
        """Return futility and efficacy bounds and what is missed too much in the end."""
        rule = self.futility
        assert rule is not None
        spend, missed = _SPENDING[rule.spending], 1 - rule.power
        steps = np.diff([0.0, *(spend(min(time, 1.0), missed, rule.shape) for time in times)])
        return futility_bounds(
            times,
            steps,
            drift,
            high=None if rule.binding else self._bounds(times, alpha),
            alpha_steps=self._steps(times, alpha),
        )

    def _bounds_below(self, times: FloatArray, alpha: float) -> Callable[[float], FloatArray]:
        """Return the efficacy bounds as a function of the error rate; futility stays as it is."""
        if self.futility is None or not self.futility.binding:
            return lambda rate: self._bounds(times, rate)
        low = self._with_futility(times, self.drift(alpha), alpha)[0]
        return lambda rate: bounds_above(times, low, self._steps(times, rate))

    def _times(self, n: float) -> tuple[float, ...]:
        share = check.positive("n", n) / self.planned
        before = tuple(units / self.planned for units in self.made) or self.looks[:-1]
        return (*(look for look in before if look < share * (1 - 1e-9)), share)

    def _steps(self, times: FloatArray, alpha: float) -> FloatArray:
        return np.diff([0.0, *(self.spent(time, alpha) for time in times.tolist())])

    def _bounds(self, times: FloatArray, alpha: float) -> FloatArray:
        return symmetric_bounds(times, self._steps(times, alpha))


def _obrien_fleming(time: float, alpha: float, shape: float) -> float:  # noqa: ARG001
    return float(2 * special.ndtr(special.ndtri(alpha / 2) / np.sqrt(time)))


def _pocock(time: float, alpha: float, shape: float) -> float:  # noqa: ARG001
    return float(alpha * np.log1p((np.e - 1) * time))


def _power(time: float, alpha: float, shape: float) -> float:
    return float(alpha * time**shape)


def _hwang_shih_decani(time: float, alpha: float, shape: float) -> float:
    return float(alpha * np.expm1(-shape * time) / np.expm1(-shape))


def _check_spending(spending: str, shape: float) -> None:
    check.real("shape", shape)
    check.one_of("spending", spending, tuple(_SPENDING))
    if spending == "power":
        check.positive("shape", shape)
    if spending == "hwang-shih-decani" and (not np.isfinite(shape) or shape == 0):
        raise InvalidParameterError("shape", shape, "a finite number that is not 0")


_SPENDING = {
    "obrien-fleming": _obrien_fleming,
    "pocock": _pocock,
    "power": _power,
    "hwang-shih-decani": _hwang_shih_decani,
}
