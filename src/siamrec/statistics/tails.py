"""Tails and quantiles of the normal, Student's and the chi-square distribution, in logarithms.

A p-value is never 0: where it is too small for a float it is the least float above 0, and its
logarithm is still exact. Of a statistic that is NaN, both are NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from siamrec._core import special
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.typing import FloatArray

TWO_SIDED_95 = 1.959963984540054
"""The normal deviate beyond which 5 % lie, half on each side."""

_LEAST_P = float(np.nextafter(0, 1))
_LEAST_LOG = math.log(_LEAST_P)
_LEAST_TAIL = 1e-290
"""Below this, tails are summed in logarithms: the functions of libraries fail far out."""
_LARGE = 1e5
"""From here on, expansions for many degrees of freedom are exact and others lose digits."""
_NO_SQUARE = 1e150
"""From here on, squares overflow."""
_TERMS = 10_000


def normal_reach(alpha: float) -> float:
    """Return the two-sided quantile of the normal distribution."""
    return -float(special.ndtri(alpha / 2))


def reach_of_t(freedom: float, alpha: float) -> float:
    """Return the two-sided quantile of Student's distribution; infinite without freedom."""
    return float(reaches_of_t(np.float64(freedom), alpha))


def reaches_of_t(freedom: FloatArray | np.float64, alpha: float) -> FloatArray:
    """Return `reach_of_t` of each number of degrees of freedom."""
    has_some = np.asarray(freedom) > 0
    reach: FloatArray = -special.stdtrit(np.where(has_some, freedom, 1.0), alpha / 2)
    return np.where(has_some, reach, np.inf)


def two_sided_t(statistic: float, freedom: float) -> tuple[float, float]:
    """Return the two-sided p-value of a t statistic and its logarithm; p is never 0.

        p = I_x(freedom / 2, 1 / 2),   x = freedom / (freedom + t²)

    Args:
        statistic: The t statistic.
        freedom: Degrees of freedom, above 0; infinite for the normal distribution.

    Raises:
        InvalidParameterError: If there is no freedom.

    References:
        Student (1908), Biometrika 6(1); Olver et al. (2010), NIST Handbook of Mathematical
        Functions, 8.17.22 (the continued fraction).

    Examples:
        >>> round(two_sided_t(40.0, 1e7)[1], 4)
        -803.8512
    """
    size = abs(statistic)
    if freedom <= 0:
        raise InvalidParameterError("freedom", freedom, "a number above 0")
    if math.isinf(freedom):
        return two_sided_z(statistic)
    if size == 0:
        return 1.0, 0.0
    if math.isinf(size):
        return positive_p(-math.inf)
    return positive_p(_log_tail_of_t(size, freedom))


def two_sided_z(statistic: float) -> tuple[float, float]:
    """Return the two-sided p-value of a normal statistic and its logarithm; p is never 0."""
    size = abs(statistic)
    if size < 1:
        return positive_p(math.log1p(-math.erf(size / math.sqrt(2))))
    return positive_p(math.log(2) + float(special.log_ndtr(-size)))


def one_sided_z(statistic: float) -> tuple[float, float]:
    """Return the upper tail of a normal statistic and its logarithm; p is never 0."""
    return positive_p(float(special.log_ndtr(-statistic)))


def positive_p(log_p: float) -> tuple[float, float]:
    """Return the p-value of a log p-value, never 0, and the log p-value; NaN stays NaN."""
    return (_LEAST_P if log_p <= _LEAST_LOG else math.exp(log_p)), log_p


def chi_square_tail(statistic: float, freedom: int) -> tuple[float, float]:
    """Return the upper tail of the chi-square distribution and its logarithm, never 0.

    References:
        Olver et al. (2010), NIST Handbook of Mathematical Functions, 8.9.2 (the continued
        fraction).

    Examples:
        >>> round(chi_square_tail(2000.0, 3)[1], 4)
        -996.4248
    """
    if freedom < 1:
        return 1.0, 0.0
    if math.isinf(statistic):
        return positive_p(-math.inf)
    half, x = freedom / 2, statistic / 2
    p = float(special.gammaincc(half, x))
    if p > 0.5:
        return positive_p(math.log1p(-float(special.gammainc(half, x))))
    if p > _LEAST_TAIL:
        return p, math.log(p)

    def step(place: int) -> tuple[float, float]:
        return place * (half - place), x - half + 1 + 2 * place

    fraction = _continued(x - half + 1, step)
    return positive_p(half * math.log(x) - x - float(special.gammaln(half)) - math.log(fraction))


def deviate_of_t(statistic: float, freedom: float) -> float:
    """Return the normal deviate with as much beyond it as Student's distribution has."""
    if math.isinf(freedom) or statistic == 0:
        return statistic
    _, log_p = two_sided_t(statistic, freedom)
    deviate = -float(special.ndtri_exp(log_p - math.log(2)))
    return math.copysign(deviate, statistic)


def t_of_deviate(deviate: float, freedom: float) -> float:
    """Return Student's quantile with as much beyond it as a normal deviate above 0 has.

    References:
        Wallace (1959), Annals of Mathematical Statistics 30, for the place where the search
        begins in the far tail.
    """
    if math.isinf(freedom) or deviate == 0:
        return deviate
    wanted = float(special.log_ndtr(-deviate))
    if wanted > math.log(1e-100):
        return -float(special.stdtrit(freedom, math.exp(wanted)))
    scaled = (deviate * (8 * freedom + 3) / (8 * freedom + 1)) ** 2 / freedom
    if scaled >= 690:
        return math.inf
    log_t = 0.5 * (math.log(freedom) + math.log(math.expm1(scaled)))
    for _ in range(50):  # Newton's method on the logarithms of t and of its tail
        size = math.exp(log_t)
        missing = _log_tail_of_t(size, freedom) - math.log(2) - wanted
        slope = size * math.exp(_log_density_of_t(size, freedom) - wanted - missing)
        log_t += missing / slope
        if abs(missing) < 1e-12 * abs(wanted):
            break
    return math.exp(log_t)


def log_beta_tail(a: float, b: float, x: float) -> float:
    """Return the logarithm of the incomplete beta function `I_x(a, b)`, however small it is.

    It is that of P(Beta(a, b) <= x), and of P(at least a of a + b - 1 trials at chance x).

    References:
        Olver et al. (2010), NIST Handbook of Mathematical Functions, 8.17.22 (the continued
        fraction).

    Examples:
        >>> round(log_beta_tail(5001, 5001, 0.3), 4)
        -876.5498
    """
    if x <= 0 or x >= 1:
        return 0.0 if x >= 1 else -math.inf
    return _log_beta(a, b, math.log(x), math.log1p(-x))


def _log_beta(a: float, b: float, log_x: float, log_rest: float) -> float:
    x = math.exp(log_x)
    if x > (a + 1) / (a + b + 2):
        other = math.exp(_log_beta(b, a, log_rest, log_x))
        return math.log1p(-other) if other < 1 else -math.inf

    def step(place: int) -> tuple[float, float]:
        m = place // 2
        if place % 2 == 0:
            top = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            top = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        return top, 1.0

    front = a * log_x + b * log_rest - math.log(a) - _log_beta_function(a, b)
    return front - math.log(_continued(1.0, step))


def _log_beta_function(a: float, b: float) -> float:
    if min(a, b) != 0.5:
        return float(special.betaln(a, b))
    return 0.5 * math.log(math.pi) - _log_rising(max(a, b))


def _log_tail_of_t(size: float, freedom: float) -> float:
    """Return the logarithm of both tails of Student's distribution.

    References:
        Hill (1970), Communications of the ACM 13, algorithm 395, for many degrees of freedom.
    """
    away = _log_away(size, freedom)
    if freedom > _LARGE and size * size < freedom:
        a = freedom - 0.5
        w, b = math.sqrt(a * away), 48 * a * a
        cube = w * (4 * w**6 + 33 * w**4 + 240 * w**2 + 855) / (10 * b * (b + 0.8 * w**4 + 100))
        return two_sided_z(w + (w**3 + 3 * w) / b - cube)[1]
    log_rest = 2 * math.log(size) - math.log(freedom) - away  # log(t² / (freedom + t²))
    return _log_beta(freedom / 2, 0.5, -away, log_rest)


def _log_density_of_t(size: float, freedom: float) -> float:
    """Return the logarithm of Student's density."""
    a = freedom / 2
    whole = _log_rising(a) - 0.5 * math.log(freedom * math.pi)
    return whole - (a + 0.5) * _log_away(size, freedom)


def _log_away(size: float, freedom: float) -> float:
    """Return `log(1 + t² / freedom)`."""
    if size < _NO_SQUARE:
        return math.log1p(size * size / freedom)
    return 2 * math.log(size) - math.log(freedom)


def _log_rising(a: float) -> float:
    """Return `log Γ(a + 1/2) - log Γ(a)`; by its expansion for large a, where digits cancel."""
    if a < _LARGE:
        return math.lgamma(a + 0.5) - math.lgamma(a)
    return 0.5 * math.log(a) - 1 / (8 * a) + 1 / (192 * a**3)


def _continued(first: float, step: Callable[[int], tuple[float, float]]) -> float:
    """Return the continued fraction `b_0 + a_1 / (b_1 + a_2 / (b_2 + ...))`.

    References:
        Lentz (1976), Applied Optics 15; Thompson and Barnett (1986), Journal of Computational
        Physics 64.
    """
    tiny = 1e-300
    value = ratio = first or tiny
    inverse = 0.0
    for place in range(1, _TERMS):
        top, bottom = step(place)
        inverse = 1 / ((bottom + top * inverse) or tiny)
        ratio = (bottom + top / ratio) or tiny
        value *= ratio * inverse
        if abs(ratio * inverse - 1) < 1e-15:
            break
    return value
