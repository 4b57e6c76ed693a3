"""Group-sequential tests: a few planned looks, with bounds that spend the error rate over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, final

import numpy as np
from scipy import optimize, special
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidParameterError
from siamrec.experiments.sequential import Sequence as LookingRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.typing import FloatArray

Spending: TypeAlias = Literal["obrien-fleming", "pocock", "power", "hwang-shih-decani"]

_NODE, _WEIGHT = np.polynomial.legendre.leggauss(96)
_FARTHEST = 37.0
"""A bound nobody reaches: the normal tail beyond it is below 1e-299."""
_LEAST_ALPHA = 1e-14


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
    planned uses the earlier planned looks and its own share; a look past the planned units
    spends what is left. Intervals are estimate ± bound s.e. (repeated confidence intervals), the
    p-value is the least alpha at which the estimate reaches the bound.

    Args:
        planned: Units of both variants at the last look.
        looks: Shares of `planned` at which one looks, rising to 1.
        spending: The spending function.
        shape: Parameter of the last two spending functions.

    Raises:
        InvalidParameterError: If looks do not rise to 1 or a number is out of range.
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

    def __post_init__(self) -> None:
        check.positive("planned", self.planned)
        check.one_of("spending", self.spending, tuple(_SPENDING))
        check.positive("shape", self.shape)
        rising = np.diff([0.0, *self.looks])
        if not self.looks or (rising <= 0).any() or abs(self.looks[-1] - 1) > 1e-9:  # noqa: PLR2004
            raise InvalidParameterError("looks", self.looks, "rising shares that end in 1")

    @property
    @override
    def name(self) -> str:
        return f"group sequential ({self.spending})"

    @property
    @override
    def planned_units(self) -> float | None:
        return self.planned

    def bounds(self, alpha: float) -> FloatArray:
        """Return the bound, in standard errors, at each planned look."""
        return self._bounds(self.looks, alpha)

    def spent(self, share: float, alpha: float) -> float:
        """Return what each side has spent by a share of the planned units."""
        return _SPENDING[self.spending](min(share, 1.0), alpha / 2, self.shape)

    @override
    def multiplier(self, n: float, alpha: float) -> float:
        return float(self._bounds(self._times(n), alpha)[-1])

    @override
    def log_p(self, z: float, n: float, alpha: float) -> float:
        times, size = self._times(n), abs(z)

        def slack(log_alpha: float) -> float:
            return size - float(self._bounds(times, float(np.exp(log_alpha)))[-1])

        low, high = float(np.log(_LEAST_ALPHA)), float(np.log(0.999))
        if slack(high) <= 0:
            return 0.0
        if slack(low) >= 0:
            # Beyond the accuracy of the integration: no look can do better than one look.
            return float(min(low, np.log(2) + special.log_ndtr(-size)))
        return float(optimize.brentq(slack, low, high, xtol=1e-6))

    def power(self, drift: float, alpha: float) -> float:
        """Return the probability of crossing the bound on the side of the drift at some look.

        Args:
            drift: Expected estimate in standard errors at the planned units.
            alpha: The error rate.
        """
        return float(_crossing(np.array(self.looks), self.bounds(alpha), abs(drift)).sum())

    def _times(self, n: float) -> tuple[float, ...]:
        share = n / self.planned
        earlier = tuple(look for look in self.looks[:-1] if look < share * (1 - 1e-9))
        return (*earlier, share)

    def _bounds(self, times: Sequence[float], alpha: float) -> FloatArray:
        steps = np.diff([0.0, *(self.spent(time, alpha) for time in times)])
        return _solve(np.array(times), steps)


def _solve(times: FloatArray, steps: FloatArray) -> FloatArray:
    """Return the symmetric bounds that spend `steps` on each side at `times`."""
    bounds = np.empty(times.size)
    node, mass = np.zeros(1), np.ones(1)
    before = 0.0
    for look, (time, step) in enumerate(zip(times, steps, strict=True)):
        deviation = np.sqrt(time - before)
        bounds[look] = _bound(node, mass, deviation, np.sqrt(time), step)
        edge = bounds[look] * np.sqrt(time)
        node, mass = _advance(node, mass, deviation, edge)
        before = time
    return bounds


def _bound(
    node: FloatArray, mass: FloatArray, deviation: float, root: float, step: float
) -> float:
    """Return the z at which the upper tail of the walk holds `step`."""

    def excess(z: float) -> float:
        return float(mass @ special.ndtr((node - z * root) / deviation)) - step

    if step < 1e-290 or excess(_FARTHEST) >= 0:  # noqa: PLR2004
        return _FARTHEST
    return float(optimize.brentq(excess, 0.0, _FARTHEST, xtol=1e-12)) if excess(0.0) > 0 else 0.0


def _advance(
    node: FloatArray, mass: FloatArray, deviation: float, edge: float
) -> tuple[FloatArray, FloatArray]:
    """Return nodes and masses of the walk after a look, for paths that stay inside `edge`."""
    reach = min(edge, float(np.abs(node).max()) + 9.0 * deviation)
    after = reach * _NODE
    z = (after[:, None] - node) / deviation
    density = np.exp(-0.5 * z * z) @ mass / (deviation * np.sqrt(2 * np.pi))
    return after, density * _WEIGHT * reach


def _crossing(times: FloatArray, bounds: FloatArray, drift: float) -> FloatArray:
    """Return the probability of crossing the upper bound first at each look.

    Args:
        times: Information at each look, as a share of the plan.
        bounds: Bounds in standard errors.
        drift: Expected z at share 1.
    """
    crossed = np.empty(times.size)
    node, mass = np.zeros(1), np.ones(1)
    before = 0.0
    for look, (time, bound) in enumerate(zip(times, bounds, strict=True)):
        deviation = float(np.sqrt(time - before))
        edge = float(bound * np.sqrt(time))
        moved = node + drift * (time - before)
        crossed[look] = float(mass @ special.ndtr((moved - edge) / deviation))
        low, high = (
            max(-edge, float(moved.min()) - 9 * deviation),
            min(edge, float(moved.max()) + 9 * deviation),
        )
        if high <= low:
            crossed[look + 1 :] = 0.0
            break
        after = (high + low) / 2 + (high - low) / 2 * _NODE
        z = (after[:, None] - moved) / deviation
        density = np.exp(-0.5 * z * z) @ mass / (deviation * np.sqrt(2 * np.pi))
        node, mass, before = after, density * _WEIGHT * (high - low) / 2, float(time)
    return crossed


def _obrien_fleming(time: float, alpha: float, shape: float) -> float:  # noqa: ARG001
    return float(2 * special.ndtr(special.ndtri(alpha / 2) / np.sqrt(time)))


def _pocock(time: float, alpha: float, shape: float) -> float:  # noqa: ARG001
    return float(alpha * np.log1p((np.e - 1) * time))


def _power(time: float, alpha: float, shape: float) -> float:
    return float(alpha * time**shape)


def _hwang_shih_decani(time: float, alpha: float, shape: float) -> float:
    return float(alpha * np.expm1(-shape * time) / np.expm1(-shape))


_SPENDING = {
    "obrien-fleming": _obrien_fleming,
    "pocock": _pocock,
    "power": _power,
    "hwang-shih-decani": _hwang_shih_decani,
}
