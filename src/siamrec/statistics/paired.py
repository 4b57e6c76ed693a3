"""The difference between two systems on the same users."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidDataError
from siamrec.statistics.tails import t_interval

if TYPE_CHECKING:
    import numpy.typing as npt


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
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

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def paired_difference(
    treatment: npt.ArrayLike, control: npt.ArrayLike, confidence: float = 0.95
) -> PairedDifference:
    """Return the mean of `treatment - control` with Student's interval and test.

    Args:
        treatment: One value for each user, NaN where undefined, shape `(n_users,)`.
        control: Values of the same users in the same order, shape `(n_users,)`.
        confidence: Level of the interval, in (0, 1).

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
    mean = float(difference.mean())
    error = float(difference.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    low, high = t_interval(mean, error, n - 1, confidence)
    p, log_p = t_test(mean, error, n - 1)
    return PairedDifference(mean=mean, low=low, high=high, p=p, log_p=log_p, n=n)


def t_test(mean: float, standard_error: float, df: float) -> tuple[float, float]:
    """Return the two-sided p-value of Student's test of 0, and its natural logarithm.

    Where the standard error is 0, every user moved by the same amount: p is the smallest
    positive number unless that amount is 0.
    """
    if df < 1 or mean == 0 or not math.isfinite(standard_error):
        return 1.0, 0.0
    from scipy.special import stdtr  # half of the import time

    smallest = float(np.finfo(np.float64).tiny)
    if standard_error == 0:
        return smallest, math.log(smallest)
    t = abs(mean / standard_error)
    p = 2.0 * float(stdtr(df, -t))
    log_p = math.log(p) if p > 1e-290 else _log_tail(t, df)
    return max(p, smallest), log_p


def _log_tail(t: float, df: float) -> float:
    """Return `log I_x(df / 2, 1 / 2)`, `x = df / (df + t²)`, by its power series."""
    from scipy.special import betaln  # half of the import time

    a, b = df / 2, 0.5
    log_x = -math.log1p(t * t / df)
    x = math.exp(log_x)
    # I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) (1 + (a + b) x / (a + 1) + ...)
    series, term, step = 1.0, 1.0, 0
    while term > 1e-16 * series and step < 10_000:
        term *= (a + b + step) * x / (a + 1 + step)
        series += term
        step += 1
    return a * log_x + b * math.log1p(-x) - math.log(a) - float(betaln(a, b)) + math.log(series)
