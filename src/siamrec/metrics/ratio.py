"""Ratios of sums over users, such as clicks per impression, with intervals that respect users."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidDataError
from siamrec.metrics.estimate import Estimate
from siamrec.statistics.tails import t_interval

if TYPE_CHECKING:
    import numpy.typing as npt


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RatioOfSums:
    """Sums over users of a numerator and a denominator; such values add.

    Events of one user hang together, so the variance is that of sums over users (the delta
    method), never that of independent events.

    Args:
        n: Number of users.
        top: Sum of the numerators.
        bottom: Sum of the denominators.
        top_top: Sum of squared numerators.
        bottom_bottom: Sum of squared denominators.
        top_bottom: Sum of products.

    References:
        Deng, Knoblich, Lu (2018), "Applying the delta method in metric analytics", KDD.

    Examples:
        >>> clicks = RatioOfSums.of([2.0, 0.0], [4.0, 6.0])
        >>> clicks.value, (clicks + clicks).n
        (0.2, 4)
    """

    n: int = 0
    top: float = 0.0
    bottom: float = 0.0
    top_top: float = 0.0
    bottom_bottom: float = 0.0
    top_bottom: float = 0.0

    @classmethod
    def of(cls, numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> RatioOfSums:
        """Return the sums of one numerator and one denominator for each user.

        Raises:
            siamrec.errors.InvalidDataError: If lengths differ, a number is not finite or a
                denominator is negative.
        """
        x = check.finite("numerator", np.asarray(numerator))
        y = check.finite("denominator", np.asarray(denominator))
        check.same_length(numerator=x, denominator=y)
        if (y < 0).any():
            raise InvalidDataError(f"denominator must not be negative, got {y.min():g}.")
        return cls(
            n=x.size,
            top=float(x.sum()),
            bottom=float(y.sum()),
            top_top=float(x @ x),
            bottom_bottom=float(y @ y),
            top_bottom=float(x @ y),
        )

    def __add__(self, other: RatioOfSums) -> RatioOfSums:
        return RatioOfSums(
            n=self.n + other.n,
            top=self.top + other.top,
            bottom=self.bottom + other.bottom,
            top_top=self.top_top + other.top_top,
            bottom_bottom=self.bottom_bottom + other.bottom_bottom,
            top_bottom=self.top_bottom + other.top_bottom,
        )

    @property
    def value(self) -> float:
        """Numerator over denominator; NaN where the denominator is 0."""
        return self.top / self.bottom if self.bottom > 0 else math.nan

    @property
    def standard_error(self) -> float:
        """Standard error by the delta method; infinite for fewer than two users."""
        if self.n < 2 or not self.bottom > 0:
            return math.inf
        ratio = self.value
        # sum of (x - r y)², whose mean over users is 0 by definition of r
        rest = self.top_top - 2 * ratio * self.top_bottom + ratio**2 * self.bottom_bottom
        return math.sqrt(max(rest, 0.0) * self.n / (self.n - 1)) / self.bottom

    def estimate(self, confidence: float = 0.95) -> Estimate:
        """Return the ratio with Student's interval over users.

        Raises:
            siamrec.errors.InvalidParameterError: If `confidence` is not in (0, 1).
        """
        check.share("confidence", confidence, open_ends=True)
        error = self.standard_error
        return Estimate(
            mean=self.value,
            interval=t_interval(self.value, error, self.n - 1, confidence),
            n=self.n,
            standard_error=error,
            confidence=confidence,
            method="delta",
        )


def bootstrap_ratio(
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    rng: np.random.Generator,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Return the percentile interval of a ratio of sums under resampling of whole users.

    Args:
        numerator: Numerator of each user, shape `(n_users,)`.
        denominator: Denominator of each user, shape `(n_users,)`.
        confidence: Level, in (0, 1).
        rng: Source of the resamples.
        resamples: Number of resamples, at least 100.

    Returns:
        Lower and upper bound; unbounded for fewer than two users.

    References:
        Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 8 (clusters).
    """
    whole = RatioOfSums.of(numerator, denominator)
    check.count("resamples", resamples, least=100)
    check.share("confidence", confidence, open_ends=True)
    if whole.n < 2:
        return (-math.inf, math.inf)
    x, y = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    ratios = np.empty(resamples)
    rows = max(1, (1 << 22) // whole.n)
    for low in range(0, resamples, rows):  # blocks bound the memory
        high = min(low + rows, resamples)
        times = rng.multinomial(whole.n, np.full(whole.n, 1 / whole.n), size=high - low)
        bottom = times @ y
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios[low:high] = (times @ x) / bottom
    ends = np.nanquantile(ratios, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(ends[0]), float(ends[1])


def wilson_interval(
    successes: int, trials: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return Wilson's interval of a share of independent trials.

    Args:
        successes: Number of successes, in `[0, trials]`.
        trials: Number of trials.
        confidence: Level, in (0, 1).

    Returns:
        Lower and upper bound in [0, 1]; `(0, 1)` without a trial.

    References:
        Wilson (1927), JASA 22(158).

    Examples:
        >>> low, high = wilson_interval(0, 10)
        >>> low, round(high, 3)
        (0.0, 0.278)
    """
    from scipy.special import ndtri  # half of the import time

    check.share("confidence", confidence, open_ends=True)
    check.count("trials", trials, least=0)
    check.count("successes", successes, least=0)
    if successes > trials:
        raise InvalidDataError(f"successes must be at most {trials}, got {successes}.")
    if not trials:
        return (0.0, 1.0)
    z = float(ndtri(0.5 + confidence / 2))
    share, reach = successes / trials, z * z / trials
    centre = (share + reach / 2) / (1 + reach)
    half = z * math.sqrt(share * (1 - share) / trials + reach / (4 * trials)) / (1 + reach)
    return max(0.0, centre - half), min(1.0, centre + half)
