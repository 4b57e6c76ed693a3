"""Two variants' values and how far each may be off: what every interval and p-value is made of."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, final

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Sequence

DUST = 1e-13
"""Differences of constants below this share of them are rounding."""
_FARTHEST = 2.0**12
_HALVINGS = 48

Limits: TypeAlias = Callable[[float], tuple[tuple[float, float], tuple[float, float]]]
"""From a reach in standard errors to the limits of the treatment and of the control."""


class TwoValues(ABC):
    """Values of a treatment and a control, with what is known of their errors.

    Attributes that every difference has: `values` and `n` (units) of treatment and control,
    `freedom` (degrees of freedom of the errors), `reduction` (share of variance that covariates
    took away), `known` (whether the errors can be estimated at all).
    """

    values: tuple[float, float]
    n: tuple[int, int]
    freedom: float
    reduction: float
    known: bool

    @abstractmethod
    def contrast(self, treatment: float, control: float) -> tuple[float, float]:
        """Return `treatment * t + control * c` and its standard error."""

    @abstractmethod
    def span(self, treatment: float, control: float, reach: float) -> tuple[float, float]:
        """Return the interval of `treatment * t + control * c`.

        Args:
            treatment: Weight of the treatment.
            control: Weight of the control.
            reach: How far to each side, as a normal deviate: the interval leaves out as much
                as a normal distribution has beyond it.
        """

    @abstractmethod
    def spans(self, reach: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the intervals of `t - c` and of `(t - c) / |c|`.

        The latter is infinite where the control may be 0.
        """

    @abstractmethod
    def deviate(self) -> float:
        """Return the difference as a normal deviate: the reach at which its interval meets 0."""


@final
@dataclass(frozen=True, slots=True)
class Hybrid(TwoValues):
    """Two values with limits of their own, put together by recovering variances from them.

    With limits (l, u) of each value v, the contrast a t + b c reaches

        down  sqrt( (a t - low(a t))² + (b c - low(b c))² ),   up likewise,

    so that skewed, bounded or discrete limits stay so in the difference. With Wilson's limits it
    is Newcombe's interval of two proportions; with order statistics it is one for quantiles that
    also holds for tied data.

    Attributes:
        values: Treatment and control.
        n: Units of both.
        limits: The limits of both values, at any reach.
        errors: Standard errors of both values.
        known: Whether there is anything to judge by.

    References:
        Newcombe (1998), Statistics in Medicine 17, method 10; Zou and Donner (2008), Statistics
        in Medicine 27; Donner and Zou (2012), Statistical Methods in Medical Research 21
        (ratios).
    """

    values: tuple[float, float]
    n: tuple[int, int]
    limits: Limits
    errors: tuple[float, float]
    known: bool = True
    freedom: float = math.inf
    reduction: float = 0.0

    @override
    def contrast(self, treatment: float, control: float) -> tuple[float, float]:
        error = math.hypot(_times(treatment, self.errors[0]), _times(control, self.errors[1]))
        return settled(treatment * self.values[0], control * self.values[1], error), error

    @override
    def span(self, treatment: float, control: float, reach: float) -> tuple[float, float]:
        estimate, _ = self.contrast(treatment, control)
        down, up = self._sides(treatment, control, reach)
        return estimate - down, estimate + up

    def _sides(self, treatment: float, control: float, reach: float) -> tuple[float, float]:
        sides = []
        for weight, value, (low, high) in zip(
            (treatment, control), self.values, self.limits(reach), strict=True
        ):
            below, above = _times(weight, value - low), _times(weight, high - value)
            sides.append((below, above) if weight >= 0 else (above, below))
        return math.hypot(*(each[0] for each in sides)), math.hypot(*(each[1] for each in sides))

    @override
    def spans(self, reach: float) -> tuple[tuple[float, float], tuple[float, float]]:
        return self.span(1.0, -1.0, reach), self._relative_span(reach)

    def _relative_span(self, reach: float) -> tuple[float, float]:
        t, c = self.values
        if c < 0:  # (t - c) / |c| = (c' - t') / c' with both signs turned
            low, high = self._ratio(-t, -c, tuple(_turned(each) for each in self.limits(reach)))
            return 1.0 - high, 1.0 - low
        low, high = self._ratio(t, c, self.limits(reach))
        return low - 1.0, high - 1.0

    @staticmethod
    def _ratio(t: float, c: float, limits: Sequence[tuple[float, float]]) -> tuple[float, float]:
        """Return the ratios r whose contrast t - r c may be 0, for c above 0."""
        (t_low, t_high), (c_low, c_high) = limits
        if not c_low > 0:
            return -math.inf, math.inf

        def root(own: float, other: Callable[[float], float], side: float) -> float:
            if math.isinf(own):
                return side * math.inf
            ratio = math.nan
            for sign in (1.0, -1.0):  # the control's side depends on the sign of the ratio
                off = other(sign)
                if math.isinf(off):
                    continue
                lead = c * c - off * off
                inner = t * t * c * c - lead * (t * t - own * own)
                if lead <= 0:
                    continue
                ratio = (t * c + side * math.sqrt(max(inner, 0.0))) / lead
                if ratio * sign >= 0:
                    return ratio
            return side * math.inf if math.isnan(ratio) else 0.0

        low = root(t - t_low, lambda sign: c_high - c if sign > 0 else c - c_low, -1.0)
        high = root(t_high - t, lambda sign: c - c_low if sign > 0 else c_high - c, 1.0)
        return low, high

    @override
    def deviate(self) -> float:
        estimate, _ = self.contrast(1.0, -1.0)
        if estimate == 0 or not self._leaves_out(estimate, 0.0):
            return 0.0
        low, high = 0.0, 1.0
        while self._leaves_out(estimate, high):
            if high >= _FARTHEST:
                return math.copysign(high, estimate)
            low, high = high, 2 * high
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._leaves_out(estimate, middle) else (low, middle)
        return math.copysign(low, estimate)

    def _leaves_out(self, estimate: float, reach: float) -> bool:
        """Whether the interval of the difference at this reach does not hold 0."""
        down, up = self._sides(1.0, -1.0, reach)
        return estimate > down if estimate > 0 else -estimate > up


def averaged(parts: Sequence[Hybrid], weights: Sequence[float]) -> Hybrid:
    """Return the average of independent hybrids: their distances to the limits add in squares."""

    def limits(reach: float) -> tuple[tuple[float, float], tuple[float, float]]:
        found = [part.limits(reach) for part in parts]
        both = []
        for side in (0, 1):
            downs, ups = [], []
            for weight, part, each in zip(weights, parts, found, strict=True):
                downs.append(weight * (part.values[side] - each[side][0]))
                ups.append(weight * (each[side][1] - part.values[side]))
            both.append((values[side] - math.hypot(*downs), values[side] + math.hypot(*ups)))
        return both[0], both[1]

    pairs = list(zip(weights, parts, strict=True))
    values = (
        sum(weight * part.values[0] for weight, part in pairs),
        sum(weight * part.values[1] for weight, part in pairs),
    )
    return Hybrid(
        values=values,
        n=(sum(part.n[0] for part in parts), sum(part.n[1] for part in parts)),
        limits=limits,
        errors=(
            math.hypot(*(weight * part.errors[0] for weight, part in pairs)),
            math.hypot(*(weight * part.errors[1] for weight, part in pairs)),
        ),
        known=all(part.known for part in parts),
    )


def settled(left: float, right: float, error: float) -> float:
    """Return the sum of two terms; of constants, 0 where they differ by rounding alone."""
    total = left + right
    return total if error > 0 or abs(total) > DUST * max(abs(left), abs(right)) else 0.0


def _times(weight: float, size: float) -> float:
    """Return `|weight| * size`, 0 for a weight of 0 even where the size is infinite."""
    return abs(weight) * size if weight else 0.0


def _turned(limits: tuple[float, float]) -> tuple[float, float]:
    return -limits[1], -limits[0]
