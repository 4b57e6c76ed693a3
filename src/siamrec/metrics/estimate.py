"""One measured number with what is known about its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec.statistics.tails import t_interval

if TYPE_CHECKING:
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over users, or a pooled number, with an interval.

    Args:
        mean: The estimate; NaN where no user defines it.
        interval: Lower and upper bound; both infinite where fewer than two users (or groups of
            users) say anything about the error.
        n: Number of users behind it.
        standard_error: Standard error; infinite where it cannot be known.
        confidence: Level of the interval.
        method: How the interval was made: `"t"`, `"jackknife"`, `"percentile"`, `"bca"`.
    """

    mean: float
    interval: tuple[float, float]
    n: int
    standard_error: float
    confidence: float
    method: str


def of_users(values: FloatArray, confidence: float, *, nan_counts: bool = False) -> Estimate:
    """Return the mean over the users for whom a metric is defined, with Student's interval."""
    defined = values
    if not nan_counts and np.isnan(values.sum()):
        defined = values[~np.isnan(values)]
    n = defined.size
    mean = float(defined.mean()) if n else math.nan
    error = math.inf
    if n > 1:
        away = defined - mean
        error = math.sqrt(float(away @ away) / (n - 1) / n)
    return Estimate(
        mean=mean,
        interval=t_interval(mean, error, n - 1, confidence),
        n=n,
        standard_error=error,
        confidence=confidence,
        method="t",
    )


def of_moments(n: int, mean: float, squares: float, confidence: float) -> Estimate:
    """Return the mean of `n` users from their centred sum of squares, with Student's interval."""
    error = math.sqrt(squares / (n - 1) / n) if n > 1 else math.inf
    return Estimate(
        mean=mean if n else math.nan,
        interval=t_interval(mean, error, n - 1, confidence),
        n=n,
        standard_error=error,
        confidence=confidence,
        method="t",
    )


def of_groups(whole: float, left_out: FloatArray, n: int, confidence: float) -> Estimate:
    """Return a pooled number with the interval of the delete-a-group jackknife.

    Args:
        whole: The number over all users.
        left_out: The number without each of the groups in turn, shape `(n_groups,)`.
        n: Number of users.
        confidence: Level of the interval.

    References:
        Kott (2001), "The delete-a-group jackknife", Journal of Official Statistics 17(4).
    """
    left_out = left_out[np.isfinite(left_out)]
    size = left_out.size
    error = math.inf
    if size > 1 and math.isfinite(whole):
        error = math.sqrt((size - 1) / size * float(((left_out - left_out.mean()) ** 2).sum()))
    return Estimate(
        mean=whole,
        interval=t_interval(whole, error, size - 1, confidence),
        n=n,
        standard_error=error,
        confidence=confidence,
        method="jackknife",
    )
