"""Means with their intervals and tests: of one sample, of pairs, of what was left out in turn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, number, span
from siamrec.errors import InvalidDataError
from siamrec.statistics.proportions import score_limits
from siamrec.statistics.tails import normal_reach, reach_of_t, two_sided_t, two_sided_z

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.typing import FloatArray

Range: TypeAlias = tuple[float, float]
"""The least and the greatest value that a quantity can have, infinite where there is none."""

UNBOUNDED: Range = (-math.inf, math.inf)
"""The range of a quantity of which nothing is known."""

_ENOUGH = 30
_EVEN = 1e-9
"""Skewness that moves no end of an interval."""
_DUST = 4e-15
"""Deviations of values below this share of their mean are rounding: they are all the same."""


def mean_interval(
    mean: float,
    error: float,
    n: float,
    *,
    confidence: float,
    within: Range = UNBOUNDED,
    freedom: float | None = None,
    skewness: float = 0.0,
) -> tuple[float, float]:
    """Return the interval of a mean; it never leaves the range of the quantity.

    - Student's interval `mean ± t error`, cut to the range, is taken where the sample shows its
      spread: from 30 values on, or if it does not reach out of the range. Of a mean whose
      skewness G is given, each end t becomes the root u of Hall's

          u + G u² / 3 + G² u³ / 27 + G / 6 = t,   mean - u error,

      so that the mean of a few great values among many small ones reaches further up than down.
    - A sample of fewer values whose interval reaches out is too near a bound for the normal law,
      and one without any spread says nothing about it. Here the interval holds, besides, Wilson's
      score interval of the mean as a share of the range: its variance, `share (1 - share)`, is
      the greatest that values in the range can have.
    - Without spread and without a range, or with fewer than two values, there is no bound but
      those of the range.

    Args:
        mean: The mean; NaN gives the whole range.
        error: Its standard error; infinite where it is not known.
        n: Number of independent values behind it.
        confidence: Level, in (0, 1).
        within: The least and the greatest value that the quantity can have.
        freedom: Degrees of freedom of the error; n - 1 when absent.
        skewness: That of the mean, `skewness_of_mean`.

    References:
        Student (1908), Biometrika 6(1); Hall (1992), JRSS B 54(1); Wilson (1927), JASA 22(158);
        that the variance of values in [0, 1] is at most that of a coin: Bhatia and Davis (2000),
        American Mathematical Monthly 107.

    Examples:
        >>> mean_interval(0.0, 0.0, 50, confidence=0.95, within=(0.0, 1.0))[1] < 0.08
        True
        >>> mean_interval(0.0, 0.0, 50, confidence=0.95)
        (-inf, inf)
    """
    low, high = within
    df = n - 1 if freedom is None else freedom
    if math.isnan(mean) or n < 2 or df < 1 or not math.isfinite(error):
        return low, high
    first, last = low, high
    if has_spread(mean, error, n):
        reach = reach_of_t(df, 1 - confidence)
        start, end = (mean - error * _unskewed(t, skewness) for t in (reach, -reach))
        first, last = min(max(start, low), high), max(min(end, high), low)
        inside = start >= low and end <= high
        if first < last and (inside or n >= _ENOUGH or math.isinf(high - low)):
            return first, last
    if math.isinf(high - low):
        return low, high
    width = high - low
    least, most = score_limits((mean - low) / width, n, normal_reach(1 - confidence))
    least, most = low + width * least, low + width * most
    if has_spread(mean, error, n):
        return min(first, least), max(last, most)
    return least, most


def _unskewed(t: float, skewness: float) -> float:
    """Return the root u of `u + G u² / 3 + G² u³ / 27 + G / 6 = t`."""
    if abs(skewness) < _EVEN:
        return t
    return 3 / skewness * (math.cbrt(1 + skewness * (t - skewness / 6)) - 1)


def skewness_of_mean(away: FloatArray) -> float:
    """Return the skewness of a mean from the distances of its n values to it; 0 without spread.

        sum away³ / (sum away²)^(3/2)

    References:
        Hall (1992), "On the removal of skewness by transformation", JRSS B 54(1).

    Examples:
        >>> skewness_of_mean(np.array([-1.0, 0.0, 1.0])), round(
        ...     skewness_of_mean(np.array([-1.0, -1.0, 2.0])), 3)
        (0.0, 0.408)
    """
    most = float(np.abs(away).max(initial=0.0))
    if most == 0:
        return 0.0
    scaled = away / most
    second, third = float(scaled @ scaled), float((scaled**3).sum())
    return third / math.sqrt(second) ** 3


def has_spread(mean: float, error: float, n: float = 1.0) -> bool:
    """Whether the standard error of a mean of n is more than the rounding of equal values."""
    return error * math.sqrt(n) > _DUST * abs(mean)


def mean_test(
    mean: float, error: float, n: float, *, within: Range = UNBOUNDED
) -> tuple[float, float]:
    """Return the two-sided p-value of "the mean is 0" and its logarithm; p is never 0.

    Student's test; where the values have no spread, the score test with the greatest variance
    that values of the range can have at a mean of 0, and p is 1 where the range is not known.

    Args:
        mean: The mean.
        error: Its standard error.
        n: Number of independent values behind it.
        within: The least and the greatest value that the quantity can have.
    """
    if n < 2 or mean == 0 or math.isnan(mean) or not math.isfinite(error):
        return 1.0, 0.0
    if has_spread(mean, error, n):
        return two_sided_t(mean / error, n - 1)
    variance = -within[0] * within[1]
    if not 0 < variance < math.inf:
        return 1.0, 0.0
    return two_sided_z(mean / math.sqrt(variance / n))


def error_of_mean(values: FloatArray) -> float:
    """Return the standard error of a mean; infinite for fewer than two values."""
    n = values.size
    if n < 2:
        return math.inf
    away = values - values.mean()
    return math.sqrt(float(away @ away) / (n - 1) / n)


def welch_freedom(first: float, second: float, free: int, other: int) -> float:
    """Return the degrees of freedom of the sum of two independent errors; 1 where one has none.

        (v + w)² / (v² / free + w² / other)

    Args:
        first: Variance v of the first mean.
        second: Variance w of the second.
        free: Degrees of freedom of the first.
        other: Degrees of freedom of the second.

    References:
        Welch (1947), Biometrika 34; Satterthwaite (1946), Biometrics Bulletin 2.

    Examples:
        >>> welch_freedom(1.0, 1.0, 9, 9), welch_freedom(1.0, 0.0, 9, 9)
        (18.0, 9.0)
    """
    if min(free, other) < 1:
        return 1.0
    total = first + second
    if total <= 0:
        return float(free + other)
    share = first / total
    return 1 / (share**2 / free + (1 - share) ** 2 / other)


def fieller(
    values: tuple[float, float], spread: tuple[float, float, float], reach: float
) -> tuple[float, float]:
    """Return the interval of the relative difference `(t - c) / |c|` of two values.

    The ratios r with `|t - r c| <= reach s.e.(t - r c)` are those between the roots of

        (c² - q² v_c) r² - 2 (t c - q² v_tc) r + (t² - q² v_t) = 0,

    unless the control's own interval covers 0: then the data do not bound the ratio, and the
    interval is infinite.

    Args:
        values: Treatment t and control c.
        spread: Variance of the treatment, covariance of both, variance of the control.
        reach: Standard errors q to each side.

    References:
        Fieller (1954), JRSS B 16.

    Examples:
        >>> [round(end, 4) for end in fieller((1.2, 1.0), (0.0, 0.0, 0.01), 1.96)]
        [0.0033, 0.4925]
    """
    if not math.isfinite(reach):
        return UNBOUNDED
    t, c = values
    square = reach**2
    v_t, v_tc, v_c = spread
    lead = c * c - square * v_c
    if lead <= 0:
        return UNBOUNDED
    middle = t * c - square * v_tc
    root = math.sqrt(max(middle * middle - lead * (t * t - square * v_t), 0.0))
    low, high = (middle - root) / lead - 1.0, (middle + root) / lead - 1.0
    return (low, high) if c > 0 else (-high, -low)


def jackknife_error(left_out: FloatArray) -> float:
    """Return the standard error of a number from its values without each of g groups in turn.

        sqrt( (g - 1) / g · sum (left out - mean)² ),  infinite for fewer than two groups.

    References:
        Kott (2001), "The delete-a-group jackknife", Journal of Official Statistics 17(4).

    Examples:
        >>> jackknife_error(np.array([2.0, 3.0]))
        0.5
    """
    size = left_out.size
    if size < 2:
        return math.inf
    return math.sqrt((size - 1) / size * float(((left_out - left_out.mean()) ** 2).sum()))


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PairedDifference(Record):
    """A mean difference over users, with its interval and the p-value of "no difference".

    Args:
        mean: Mean of treatment less control.
        low: Lower bound of the interval.
        high: Upper bound of the interval.
        p: Two-sided p-value, above 0; 1 where fewer than two users (or no difference at all)
            say anything.
        log_p: Natural logarithm of `p`, right also where `p` is too small for a float.
        n: Number of users for whom both values are defined.
    """

    mean: float
    low: float
    high: float
    p: float
    log_p: float
    n: int

    @override
    def title(self) -> str:
        interval = span(self.low, self.high)
        return f"Difference {number(self.mean)} {interval}, p {number(self.p)}, {self.n:,} pairs"

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def paired_difference(
    treatment: npt.ArrayLike,
    control: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    within: Range = UNBOUNDED,
) -> PairedDifference:
    """Return the mean of `treatment - control` with its interval and Student's test.

    Args:
        treatment: One value for each user, NaN where undefined, shape `(n_users,)`.
        control: Values of the same users in the same order, shape `(n_users,)`.
        confidence: Level of the interval, in (0, 1).
        within: The least and the greatest difference that a user can have, such as (-1, 1) for
            shares; see `mean_interval` for what it does.

    Raises:
        siamrec.errors.InvalidDataError: If the shapes differ, or no user has both values.
        siamrec.errors.InvalidParameterError: If `confidence` is out of range.

    References:
        Student (1908), Biometrika 6(1).

    Examples:
        >>> found = paired_difference([0.5, 0.75, 1.0], [0.25, 0.5, 0.5])
        >>> round(found.mean, 3), found.n, round(found.p, 3)
        (0.333, 3, 0.057)
    """
    check.share("confidence", confidence, open_ends=True)
    first, second = np.asarray(treatment, np.float64), np.asarray(control, np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise InvalidDataError(
            f"treatment and control must be of one length, got {first.shape} and {second.shape}."
        )
    difference = first - second
    difference = difference[~np.isnan(difference)]
    n = difference.size
    if not n:
        raise InvalidDataError("treatment and control must both be defined for some user.")
    mean, error = float(difference.mean()), error_of_mean(difference)
    low, high = mean_interval(mean, error, n, confidence=confidence, within=within)
    p, log_p = mean_test(mean, error, n, within=within)
    return PairedDifference(mean=mean, low=low, high=high, p=p, log_p=log_p, n=n)
