"""Differences between two variants with their errors: delta method, covariates, Fieller."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, final

import numpy as np
from typing_extensions import override

from siamrec.errors import InvalidDataError
from siamrec.statistics.difference import Hybrid, TwoValues, averaged, settled
from siamrec.statistics.means import fieller, welch_freedom
from siamrec.statistics.tails import deviate_of_t, t_of_deviate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.data.moments import Moments
    from siamrec.experiments.metrics import Term
    from siamrec.typing import BoolArray, FloatArray

CANCELLED = 1e-13
"""Variances below this share of the terms that cancel in them are rounding."""
_NOISE = 100.0
ULPS = 1e-15
"""Spreads below this share of the values are their last digits."""


@final
@dataclass(frozen=True, slots=True)
class Pair(TwoValues):
    """Adjusted values of two variants and the covariance of their errors.

    Attributes:
        values: Treatment and control.
        spread: Variances of the errors: of the treatment's value, shared by both, of the
            control's.
        freedom: Degrees of freedom of the difference (Welch and Satterthwaite).
        n: Units of the treatment and of the control.
        reduction: Share of variance that covariates took away.
        known: Whether the errors can be estimated at all (two units or more in each).
        gap: The difference and its standard error.
    """

    values: tuple[float, float]
    spread: tuple[float, float, float]
    freedom: float
    n: tuple[int, int]
    reduction: float
    known: bool
    gap: tuple[float, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "gap", self._contrast(1.0, -1.0))

    @override
    def contrast(self, treatment: float, control: float) -> tuple[float, float]:
        whole = treatment == 1.0 and control == -1.0
        return self.gap if whole else self._contrast(treatment, control)

    def _contrast(self, treatment: float, control: float) -> tuple[float, float]:
        own, shared, other = self.spread
        parts = (
            treatment * treatment * own,
            2 * treatment * control * shared,
            control * control * other,
        )
        variance = sum(parts)
        error = math.sqrt(variance) if variance > CANCELLED * sum(map(abs, parts)) else 0.0
        return settled(treatment * self.values[0], control * self.values[1], error), error

    @override
    def span(self, treatment: float, control: float, reach: float) -> tuple[float, float]:
        estimate, error = self.contrast(treatment, control)
        if error == 0:
            return estimate, estimate
        reach = t_of_deviate(reach, self.freedom) * error
        return estimate - reach, estimate + reach

    @override
    def spans(self, reach: float) -> tuple[tuple[float, float], tuple[float, float]]:
        t = t_of_deviate(reach, self.freedom)
        estimate, error = self.gap
        off = t * error if error > 0 else 0.0
        return (estimate - off, estimate + off), fieller(self.values, self.spread, t)

    @override
    def deviate(self) -> float:
        estimate, error = self.contrast(1.0, -1.0)
        return deviate_of_t(estimate / error, self.freedom) if error > 0 else 0.0

    def moved(self, shift: float) -> Pair:
        """Return the pair with so much added to both values."""
        treatment, control = self.values
        return replace(self, values=(treatment + shift, control + shift)) if shift else self

    def with_spread(self) -> Pair:
        """Return the pair with an error where two different values show no spread at all.

        Were there no difference, the outcomes of both variants would be one sample of n units
        with the deviation |t - c| sqrt(n_t n_c / (n (n - 1))); the standard error of the
        difference is then |t - c| / sqrt(n - 1), and few units prove little.
        """
        estimate, error = self.contrast(1.0, -1.0)
        if error > 0 or estimate == 0 or not self.known:
            return self
        n = sum(self.n)
        share = estimate**2 / (n - 1) / n
        spread = (share * self.n[1], 0.0, share * self.n[0])
        return replace(self, spread=spread, freedom=float(n - 2))


def compare(
    treatment: Moments,
    control: Moments,
    terms: Sequence[Term],
    adjustment: Literal["lin", "pooled", "none"],
) -> Pair:
    """Return two variants' values of the first term, adjusted by the other terms.

    With outcome h and covariates z (each a mean or a ratio, linearised by the delta method) and
    shares p of the two variants,

        t* = h_t - theta_t p_c (z_t - z_c),   c* = h_c + theta_c p_t (z_t - z_c),

    where theta is the slope of h on z, in each variant (`lin`) or in both (`pooled`). Both values
    move to the covariates of the two variants together; treatment minus control is Lin's
    estimator. Where units have several rows, h is a total per unit, linearised: with n - 1 below
    the squares its variance is that of regressions with clustered errors (CR1).

    References:
        Deng, Xu, Kohavi, Walker (2013), WSDM; Lin (2013), Annals of Applied Statistics 7.
    """
    used = list(terms) if adjustment != "none" else list(terms[:1])
    t_values, t_spread = linearised(treatment, used)
    c_values, c_spread = linearised(control, used)
    n_t, n_c = treatment.n, control.n
    if len(used) == 1:
        part_t, part_c = float(t_spread[0, 0]) / n_t, float(c_spread[0, 0]) / n_c
        return Pair(
            values=(float(t_values[0]), float(c_values[0])),
            spread=(part_t, 0.0, part_c),
            freedom=welch_freedom(part_t, part_c, n_t - 1, n_c - 1),
            n=(n_t, n_c),
            reduction=0.0,
            known=min(n_t, n_c) > 1,
        )
    sides = (_Side(n_t, t_values, t_spread), _Side(n_c, c_values, c_spread))
    values, covariance, parts = (_pooled if adjustment == "pooled" else _lin)(*sides)
    difference = np.array([1.0, -1.0])
    after = float(difference @ covariance @ difference)
    plain = float(t_spread[0, 0]) / n_t + float(c_spread[0, 0]) / n_c
    k = len(used) - 1
    return Pair(
        values=values,
        spread=spread_of(covariance),
        freedom=welch_freedom(*parts, n_t - 1 - k, n_c - 1 - k),
        n=(n_t, n_c),
        reduction=1 - after / plain if plain > 0 else 0.0,
        known=min(n_t, n_c) > 1 + k,
    )


class _Side(NamedTuple):
    """A variant: its units, and the values and spread of the outcome and its covariates."""

    n: int
    values: FloatArray
    spread: FloatArray


def _pooled(t: _Side, c: _Side) -> tuple[tuple[float, float], FloatArray, tuple[float, float]]:
    """Adjust both by one slope; return values, covariance and each one's part in the error."""
    slope = slope_of(t.spread * max(t.n - 1, 0) + c.spread * max(c.n - 1, 0))
    share = t.n / (t.n + c.n)
    a, b = slope * (1 - share), slope * share
    gap = t.values[1:] - c.values[1:]
    # Rows: treatment's and control's value; columns: how each depends on (h, z) of a variant.
    on_t = np.stack([np.concatenate([[1.0], -a]), np.concatenate([[0.0], b])])
    on_c = np.stack([np.concatenate([[0.0], a]), np.concatenate([[1.0], -b])])
    covariance = on_t @ t.spread @ on_t.T / t.n + on_c @ c.spread @ on_c.T / c.n
    on = np.concatenate([[1.0], -slope])
    parts = float(on @ t.spread @ on) / t.n, float(on @ c.spread @ on) / c.n
    return (float(t.values[0] - a @ gap), float(c.values[0] + b @ gap)), covariance, parts


def _lin(t: _Side, c: _Side) -> tuple[tuple[float, float], FloatArray, tuple[float, float]]:
    """Adjust each variant by its own slope to the covariates' mean over both.

    The variance of each is that of its own regression at that point, s² (1/n + d' P^-1 d) with
    n - 1 - k below the residuals and P the centred products of its covariates, so that slopes
    fitted in small samples are paid for; the mean over both varies as well.
    """
    share = t.n / (t.n + c.n)
    centre = share * t.values[1:] + (1 - share) * c.values[1:]
    products = [side.spread[1:, 1:] * max(side.n - 1, 0) for side in (t, c)]
    apart = np.outer(*[t.values[1:] - c.values[1:]] * 2) * (t.n * c.n / (t.n + c.n))
    spread = (products[0] + products[1] + apart) / max(t.n + c.n - 1, 1)
    slopes, values, own = [], [], []
    for side, product in zip((t, c), products, strict=True):
        slope, away = slope_of(side.spread), centre - side.values[1:]
        whole = float(side.spread[0, 0])
        left = whole - float(slope @ side.spread[1:, 0])
        left = left * (side.n - 1) if left > CANCELLED * whole else 0.0
        scale = np.sqrt(np.maximum(np.diag(product), 0.0))
        scale = np.where(scale > 0, scale, 1.0)
        inner = np.linalg.pinv(product / np.outer(scale, scale), rcond=1e-10)
        leverage = 1 / side.n + float(away / scale @ inner @ (away / scale))
        slopes.append(slope)
        values.append(float(side.values[0] + slope @ away))
        own.append(left / max(side.n - 1 - slope.size, 1) * leverage)
    both = np.stack(slopes)
    shared = both @ spread @ both.T / (t.n + c.n)
    return (values[0], values[1]), np.diag(own) + shared, (own[0], own[1])


def combined(pairs: Sequence[TwoValues]) -> TwoValues:
    """Return the average of differences from independent strata, weighed by their units."""
    if len(pairs) == 1:
        return pairs[0]
    size = np.array([sum(pair.n) for pair in pairs], dtype=np.float64)
    weight = (size / size.sum()).tolist()
    hybrids = [pair for pair in pairs if isinstance(pair, Hybrid)]
    plain = [pair for pair in pairs if isinstance(pair, Pair)]
    return averaged(hybrids, weight) if hybrids else _averaged_pairs(plain, weight)


def _averaged_pairs(pairs: Sequence[Pair], weights: Sequence[float]) -> Pair:
    parts = [w * w * pair.gap[1] ** 2 for w, pair in zip(weights, pairs, strict=True)]
    total = sum(parts)
    freedom = (
        1
        / sum((part / total) ** 2 / pair.freedom for part, pair in zip(parts, pairs, strict=True))
        if total > 0
        else float(sum(sum(pair.n) for pair in pairs))
    )
    own, shared, other = (
        sum(w * w * pair.spread[place] for w, pair in zip(weights, pairs, strict=True))
        for place in (0, 1, 2)
    )
    t, c = (
        float(sum(w * pair.values[side] for w, pair in zip(weights, pairs, strict=True)))
        for side in (0, 1)
    )
    return Pair(
        values=(t, c),
        spread=(own, shared, other),
        freedom=float(freedom),
        n=(sum(pair.n[0] for pair in pairs), sum(pair.n[1] for pair in pairs)),
        reduction=float(sum(w * pair.reduction for w, pair in zip(weights, pairs, strict=True))),
        known=all(pair.known for pair in pairs),
    )


def spread_of(covariance: FloatArray) -> tuple[float, float, float]:
    """Return the three different entries of a covariance of two values."""
    (own, shared), (_, other) = covariance.tolist()
    return own, shared, other


def linearised(moments: Moments, terms: Sequence[Term]) -> tuple[FloatArray, FloatArray]:
    """Return the values of terms and the covariance of their linearised outcomes per unit.

    A ratio R = x / y of means has the gradient (1 / y, -R / y).

    Raises:
        InvalidDataError: If a denominator is 0, or there is no unit.
    """
    if moments.n == 0:
        raise InvalidDataError("A variant must have at least one unit with the metric.")
    if len(terms) == 1 and terms[0].denominator is None:  # the usual case, without the algebra
        at = moments.names.index(terms[0].numerator)
        mean, spread = moments.mean[at : at + 1], moments.product[at, at] / max(moments.n - 1, 1)
        return mean, np.array([[spread if spread > (ULPS * mean[0]) ** 2 else 0.0]])
    values, gradient = gradient_of(moments, terms)
    return values, spread_by(gradient, moments)


def spread_by(gradient: FloatArray, moments: Moments) -> FloatArray:
    """Return the covariance of linear terms; exactly 0 where only rounding is left of one."""
    covariance = moments.covariance()
    covariance = np.where(_rounding(covariance, moments.mean), 0.0, covariance)
    found: FloatArray = gradient @ covariance @ gradient.T
    size = np.abs(gradient)
    summed = np.einsum("ij,jk,ik->i", size, np.abs(covariance), size)
    none = np.diag(found) <= CANCELLED * summed
    found[none] = 0.0
    found[:, none] = 0.0
    return found


def is_rounding(estimate: float, moments: Moments, term: Term) -> bool:
    """Whether a difference of values without spread is no more than what cancelled in the spread.

    The total of great values over another varies by the last digits of both: nothing is known of
    it then, not that it is constant.
    """
    _, gradient = gradient_of(moments, [term])
    size = np.abs(gradient[0])
    summed = float(size @ np.abs(moments.covariance()) @ size)
    return estimate * estimate <= _NOISE * CANCELLED * summed / max(moments.n, 1)


def _rounding(covariance: FloatArray, mean: FloatArray) -> BoolArray:
    """Return which entries are of a column that varies by the last digits of its values."""
    still = np.diag(covariance) <= (ULPS * mean) ** 2
    return still[:, None] | still


def gradient_of(moments: Moments, terms: Sequence[Term]) -> tuple[FloatArray, FloatArray]:
    """Return the values of terms and how each depends on the means of the columns.

    Raises:
        InvalidDataError: If a denominator is 0.
    """
    place = {name: column for column, name in enumerate(moments.names)}
    values = np.empty(len(terms))
    gradient = np.zeros((len(terms), len(moments.names)))
    for row, term in enumerate(terms):
        top = moments.mean[place[term.numerator]]
        if term.denominator is None:
            values[row] = top
            gradient[row, place[term.numerator]] = 1.0
            continue
        below = moments.mean[place[term.denominator]]
        if below == 0:
            raise InvalidDataError(f"{term.denominator} must not sum to 0 in a variant.")
        values[row] = top / below
        gradient[row, place[term.numerator]] += 1.0 / below
        gradient[row, place[term.denominator]] -= values[row] / below
    return values, gradient


def slope_of(spread: FloatArray) -> FloatArray:
    """Least squares of the outcome on the covariates; constant covariates get no slope."""
    if len(spread) == 1:
        return np.zeros(0)
    scale = np.sqrt(np.maximum(np.diag(spread)[1:], 0.0))
    scale = np.where(scale > 0, scale, 1.0)
    scaled = spread[1:, 1:] / np.outer(scale, scale)
    found: FloatArray = np.linalg.pinv(scaled, rcond=1e-10) @ (spread[1:, 0] / scale) / scale
    return found


def relative(pair: TwoValues) -> float:
    """Return `(t - c) / |c|`; infinite for a control of 0 unless both are 0."""
    t, c = pair.values
    if c == 0:
        return 0.0 if t == 0 else float(np.copysign(np.inf, t))
    return (t - c) / abs(c)
