"""One measured number with what is known about its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Record, counted, number, span
from siamrec.errors import InvalidDataError
from siamrec.statistics.means import (
    UNBOUNDED,
    Range,
    error_of_mean,
    jackknife_error,
    mean_interval,
)

if TYPE_CHECKING:
    from siamrec.data.moments import Moments
    from siamrec.metrics.base import AnyMetric, PooledMetric
    from siamrec.typing import FloatArray

ValuesT = TypeVar("ValuesT", "FloatArray", "np.float64")

_ROUNDING = 1e-6
"""By how much a number may be beyond its range: cosines are in single precision."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Estimate(Record):
    """A mean over users, or a pooled number, with an interval.

    Args:
        mean: The estimate; NaN where no user defines it.
        interval: Lower and upper bound, inside the range of the quantity; the whole range where
            fewer than two users (or groups of users) say anything about the error.
        n: Number of users behind it.
        standard_error: Standard error; infinite where it cannot be known.
        confidence: Level of the interval.
        method: How the interval was made: `"t"`, `"jackknife"`, `"delta"`, or `"census"` where
            nothing is sampled and there is no error.
    """

    mean: float
    interval: tuple[float, float]
    n: int
    standard_error: float
    confidence: float
    method: str

    @override
    def title(self) -> str:
        return (
            f"Estimate {number(self.mean)} {span(*self.interval)} over {counted(self.n, 'user')}"
        )


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pooled(Record):
    """A pooled metric with its sums by group of users.

    Args:
        metric: The metric.
        tally: Sums, shape `(n_groups, size)`.
        catalog_size: As given to the suite.
        n: Number of users.
    """

    metric: PooledMetric
    tally: FloatArray
    catalog_size: int | None
    n: int

    @override
    def title(self) -> str:
        return f"Sums of {self.metric.name} over {counted(self.n, 'user')}"

    def value(self) -> float:
        """Return the metric over all users."""
        found = self.metric.value(self.tally.sum(axis=0), self.catalog_size)
        return float(in_range(self.metric, np.float64(found)))

    def left_out(self) -> FloatArray:
        """Return the metric without each group in turn; NaN for a group without users."""
        total = self.tally.sum(axis=0)
        return np.array(
            [
                self.metric.value(total - group, self.catalog_size) if group.any() else np.nan
                for group in self.tally
            ]
        )


def in_range(metric: AnyMetric, values: ValuesT) -> ValuesT:
    """Return the values of a metric when they are within the range that it declares.

    Raises:
        siamrec.errors.InvalidDataError: If one is not; the metric is named. Its interval would be
            cut at the range, and end beside what it is about.
    """
    low, high = metric.range
    outside = (values < low - _ROUNDING) | (values > high + _ROUNDING)  # NaN is neither
    if np.any(outside):
        raise InvalidDataError(
            f"The metric {metric.name!r} must be in its range [{number(low)}, {number(high)}], "
            f"got {np.extract(outside, values)[0]:g}."
        )
    return values


def of_users(
    values: FloatArray,
    confidence: float,
    *,
    nan_counts: bool = False,
    within: Range = UNBOUNDED,
    census: bool = False,
) -> Estimate:
    """Return the mean over the users for whom a metric is defined, with its interval."""
    defined = values
    if not nan_counts and np.isnan(values.sum()):
        defined = values[~np.isnan(values)]
    n = defined.size
    mean = float(defined.mean()) if n else math.nan
    return estimate_of(mean, error_of_mean(defined), n, confidence, within=within, census=census)


def of_moments(
    moments: Moments, confidence: float, *, within: Range = UNBOUNDED, census: bool = False
) -> Estimate:
    """Return the mean over users from their moments, with its interval."""
    n, squares = moments.n, float(moments.product[0, 0])
    mean = float(moments.mean[0]) if n else math.nan
    error = math.sqrt(squares / (n - 1) / n) if n > 1 else math.inf
    return estimate_of(mean, error, n, confidence, within=within, census=census)


def of_groups(
    whole: float,
    left_out: FloatArray,
    n: int,
    confidence: float,
    *,
    within: Range = UNBOUNDED,
    census: bool = False,
) -> Estimate:
    """Return a pooled number with the interval of the delete-a-group jackknife.

    Args:
        whole: The number over all users.
        left_out: The number without each of the groups in turn, shape `(n_groups,)`.
        n: Number of users.
        confidence: Level of the interval.
        within: The least and the greatest value that the number can have.
        census: Whether nothing is sampled.
    """
    left_out = left_out[np.isfinite(left_out)]
    error = jackknife_error(left_out) if math.isfinite(whole) else math.inf
    freedom = left_out.size - 1
    return estimate_of(
        whole,
        error,
        n,
        confidence,
        within=within,
        census=census,
        freedom=freedom,
        method="jackknife",
    )


def estimate_of(
    mean: float,
    error: float,
    n: int,
    confidence: float,
    *,
    within: Range,
    census: bool = False,
    freedom: float | None = None,
    method: str = "t",
) -> Estimate:
    """Return a number with the interval that `siamrec.statistics.mean_interval` gives it."""
    if census:
        return Estimate(
            mean=mean,
            interval=(mean, mean),
            n=n,
            standard_error=0.0,
            confidence=confidence,
            method="census",
        )
    interval = mean_interval(mean, error, n, confidence=confidence, within=within, freedom=freedom)
    return Estimate(
        mean=mean,
        interval=interval,
        n=n,
        standard_error=error,
        confidence=confidence,
        method=method,
    )
