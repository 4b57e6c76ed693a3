"""Tails of the normal and of Student's distribution, with logarithms; a p-value is never 0."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

_LEAST_P = float(np.nextafter(0, 1))
_LEAST_LOG = float(np.log(_LEAST_P))


def normal_reach(alpha: float) -> float:
    """Return the two-sided quantile of the normal distribution."""
    return -float(special.ndtri(alpha / 2))


def reach_of_t(freedom: float, alpha: float) -> float:
    """Return the two-sided quantile of Student's distribution."""
    return float(special.stdtrit(freedom, 1 - alpha / 2))


def two_sided_t(statistic: float, freedom: float) -> tuple[float, float]:
    """Return the two-sided p-value of a t statistic and its logarithm; p is never 0."""
    size = abs(statistic)
    p = 2 * float(special.stdtr(freedom, -size))
    if p > 1e-290:
        return min(p, 1.0), float(np.log(min(p, 1.0)))
    # Wallace (1959): an equivalent normal deviate, within 0.02 % this far out.
    deviate = (
        np.sqrt(freedom * np.log1p(size**2 / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)
    )
    return positive_p(float(np.log(2) + special.log_ndtr(-deviate)))


def two_sided_z(statistic: float) -> tuple[float, float]:
    """Return the two-sided p-value of a normal statistic and its logarithm; p is never 0."""
    return positive_p(float(min(np.log(2) + special.log_ndtr(-abs(statistic)), 0.0)))


def positive_p(log_p: float) -> tuple[float, float]:
    """Return the p-value of a log p-value, never 0, and the log p-value."""
    return (float(np.exp(log_p)) if log_p > _LEAST_LOG else _LEAST_P), log_p


def t_interval(
    mean: float, standard_error: float, df: float, confidence: float
) -> tuple[float, float]:
    """Return Student's interval; unbounded where there is no degree of freedom."""
    if df < 1 or not math.isfinite(standard_error):
        return (-math.inf, math.inf)
    half = float(special.stdtrit(df, 0.5 + confidence / 2)) * standard_error
    return (mean - half, mean + half)


def chi_square_tail(statistic: float, freedom: int) -> tuple[float, float]:
    """Return the upper tail of the chi-square distribution and its logarithm, never 0."""
    if freedom < 1:
        return 1.0, 0.0
    p = float(special.chdtrc(freedom, statistic))
    if p > 1e-290:
        return p, float(np.log(p))
    # Leading terms of the incomplete gamma function far out in the tail.
    half, x = freedom / 2, statistic / 2
    return positive_p(
        float((half - 1) * np.log(x) - x - special.gammaln(half) + np.log1p((half - 1) / x))
    )
