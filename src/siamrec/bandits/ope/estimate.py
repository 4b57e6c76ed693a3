"""An estimate that knows when not to be believed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Arrays, Record, counted, number, span
from siamrec.errors import InvalidDataError, InvalidParameterError, UnsupportedEstimate
from siamrec.statistics.bounded import bounded_interval
from siamrec.statistics.means import (
    UNBOUNDED,
    Range,
    has_spread,
    mean_interval,
    skewness_of_mean,
)

if TYPE_CHECKING:
    from siamrec.typing import FloatArray, IntArray

LEAST_SAMPLE = 30.0
"""Effective sample size below which no number is given out."""

LEAST_REWARDS = 2.5
"""Effective number of rewards below which no number is given out."""

_HEAVY = 0.2
"""Share of the sum of squared weights above which one row carries an estimate."""

_DOUBT = 4.0
"""Standard errors by which the mean weight may miss 1 before support is doubted."""

Method: TypeAlias = Literal["normal", "bootstrap", "betting", "empirical-bernstein"]
"""Kinds of intervals."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Parts(Arrays):
    """What an estimator is made of: `mean(base) + sum(top) / sum(below)`.

    An estimator that trades bias for variance says in `rest` what it leaves out: with it, the
    estimate has no bias but that of a self-normalised one.

    Attributes:
        base: Part that needs no weights, shape `(n,)`.
        top: Weighted part, shape `(n,)`.
        below: What the weighted part is divided by, shape `(n,)`: ones for a mean, the weights
            for a self-normalised estimator.
        rest: What is left out of `top`, shape `(n,)`; None where nothing is.
    """

    base: FloatArray
    top: FloatArray
    below: FloatArray
    rest: FloatArray | None = None

    def whole(self) -> Parts:
        """Return the parts with nothing left out."""
        if self.rest is None:
            return self
        return Parts(base=self.base, top=self.top + self.rest, below=self.below)

    def value(self) -> float:
        """Return the estimate."""
        total = float(self.below.sum())
        return float(self.base.mean()) + (float(self.top.sum()) / total if total else 0.0)

    def influence(self) -> FloatArray:
        """Return how each row moves the estimate (times n), by the delta method; mean 0."""
        share = float(self.below.mean())
        ratio = float(self.top.mean()) / share if share else 0.0
        moved = (self.top - ratio * self.below) / share if share else np.zeros_like(self.top)
        centred: FloatArray = self.base - self.base.mean() + moved
        return centred

    def rows(self, chosen: IntArray) -> Parts:
        """Return some of the rows."""
        rest = None if self.rest is None else self.rest[chosen]
        return Parts(
            base=self.base[chosen], top=self.top[chosen], below=self.below[chosen], rest=rest
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Diagnostics(Record):
    """How well a log supports a target.

    Attributes:
        n: Number of rows.
        effective_sample_size: `(sum w)² / sum w²`: rows of a log made by the target itself that
            would say as much.
        max_weight: Greatest weight.
        mean_weight: Mean weight; 1 in expectation when the log supports the target.
        mean_weight_error: Its standard error.
        effective_rewards: `(sum d²)² / sum d⁴` with `d = w (r - mean reward)`: where rewards are
            rare, how many were seen, each by its weight; where nearly all succeed, how many
            failures. Infinite where only weights are known.
        supported: Whether effective sample and effective rewards are enough and the mean weight
            fits 1.
        warnings: What is wrong, in sentences.
    """

    n: int
    effective_sample_size: float
    max_weight: float
    mean_weight: float
    mean_weight_error: float
    effective_rewards: float
    supported: bool
    warnings: tuple[str, ...]

    @override
    def title(self) -> str:
        size = number(self.effective_sample_size)
        return f"Diagnostics of {counted(self.n, 'row')}: effective sample size {size}"


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ValueEstimate(Record):
    """The expected reward of a policy that did not make the log.

    Attributes:
        estimator: Name of the estimator.
        raw: The number, whether it deserves belief or not; held within the range of rewards
            that the log states, as its interval is.
        interval: Confidence interval `(low, high)` of the expected reward. Of an estimator that
            leaves something out, it is that of the estimate with nothing left out, stretched to
            hold `raw`.
        error: Standard error of the estimate with nothing left out.
        diagnostics: How well the log supports the target.
        left_out: What the estimator leaves out, as the log shows it: its bias, turned in sign.
    """

    estimator: str
    raw: float
    interval: tuple[float, float]
    error: float
    diagnostics: Diagnostics
    left_out: float = 0.0

    @override
    def title(self) -> str:
        told = f"{number(self.raw)} {span(*self.interval)}"
        return f"{self.estimator}: {told if self.diagnostics.supported else 'withheld'}"

    @property
    def value(self) -> float:
        """The number.

        Raises:
            UnsupportedEstimate: If the log does not support the target; `raw` holds the number
                for those who insist.
        """
        if not self.diagnostics.supported:
            raise UnsupportedEstimate(
                f"{self.estimator} must not be read here: {' '.join(self.warnings)} The number "
                "is in .raw."
            )
        return self.raw

    @property
    def effective_sample_size(self) -> float:
        """Rows of a log of the target itself that would say as much."""
        return self.diagnostics.effective_sample_size

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong, in sentences."""
        return self.diagnostics.warnings


def diagnose(weights: FloatArray, reward: FloatArray | None = None) -> Diagnostics:
    """Return how well a log supports a target.

    Args:
        weights: The importance weights, shape `(n,)`.
        reward: The rewards, shape `(n,)`; without them nothing is said of rewards.
    """
    n = weights.size
    return diagnosis(
        n=n,
        effective=effective_size(weights),
        most=float(weights.max()),
        mean=float(weights.mean()),
        error=float(weights.std(ddof=1) / np.sqrt(n)) if n > 1 else math.inf,
        rewards=math.inf if reward is None else _effective_rewards(weights, reward),
    )


def diagnosis(
    *, n: int, effective: float, most: float, mean: float, error: float, rewards: float
) -> Diagnostics:
    """Return how well a log supports a target, from the numbers that say so."""
    warnings = []
    if effective < LEAST_SAMPLE:
        warnings.append(
            f"The effective sample size is {effective:.1f} of {n} rows, below {LEAST_SAMPLE:g}."
        )
    off = abs(mean - 1) > max(_DOUBT * error, 1e-6)
    if off:
        warnings.append(
            f"The mean weight is {mean:.3g} ± {error:.2g} where it should be 1: the log lacks "
            "actions the target takes, or the propensities are wrong."
        )
    if rewards < LEAST_REWARDS:
        warnings.append(
            f"The effective rewards are {rewards:.1f}, below {LEAST_REWARDS:g}: hardly a row "
            "tells more than the others."
        )
    if most**2 * effective > _HEAVY * (n * mean) ** 2:
        warnings.append(f"One row carries the estimate: the greatest weight is {most:.3g}.")
    return Diagnostics(
        n=n,
        effective_sample_size=effective,
        max_weight=most,
        mean_weight=mean,
        mean_weight_error=error,
        effective_rewards=rewards,
        supported=effective >= LEAST_SAMPLE and rewards >= LEAST_REWARDS and not off,
        warnings=tuple(warnings),
    )


def effective_size(weights: FloatArray) -> float:
    """Return `(sum w)² / sum w²`; 0 where all are 0."""
    square = float(weights @ weights)
    return float(weights.sum()) ** 2 / square if square > 0 else 0.0


def _effective_rewards(weights: FloatArray, reward: FloatArray) -> float:
    """Return `(sum d²)² / sum d⁴` of weighted distances; 0 where they are rounding."""
    total = float(weights.sum())
    mean = float(weights @ reward) / total if total else 0.0
    away = weights * (reward - mean)
    most = float(np.abs(away).max())
    if not has_spread(float(weights.max()) * mean, most):
        return 0.0
    return effective_size((away / most) ** 2)


def held(value: float, within: Range) -> float:
    """Return the nearest value within a range."""
    return min(max(value, within[0]), within[1])


def error_of(parts: Parts) -> float:
    """Return the standard error by the delta method; infinite for fewer than two rows."""
    n = parts.base.size
    return float(parts.influence().std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf


def normal_interval(
    parts: Parts, confidence: float, within: Range = UNBOUNDED, *, alike: float | None = None
) -> tuple[float, tuple[float, float]]:
    """Return the standard error and the interval of the delta method, its skewness removed.

    Args:
        parts: What the estimate is made of.
        confidence: Level of the interval, in (0, 1).
        within: The least and the greatest reward that there can be: see `mean_interval`.
        alike: Rows of equal weight that would say as much; the rows when absent.
    """
    check.share("confidence", confidence, open_ends=True)
    n, moved, error = parts.base.size, parts.influence(), error_of(parts)
    interval = mean_interval(
        held(parts.value(), within),
        error,
        n if alike is None else alike,
        confidence=confidence,
        within=within,
        freedom=n - 1,
        skewness=skewness_of_mean(moved),
    )
    return error, interval


def bootstrap_interval(
    parts: Parts,
    confidence: float,
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    within: Range = UNBOUNDED,
    alike: float | None = None,
) -> tuple[float, float]:
    """Return the studentised bootstrap interval.

    Every resample is normalised by its own weights and judged by its own error. Where all rows
    agree, resamples say nothing, and the interval is that of the delta method.

    Raises:
        InvalidParameterError: If there are fewer than 100 resamples.

    References:
        Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 12.
    """
    check.count("resamples", resamples, least=100)
    value, (error, plain) = parts.value(), normal_interval(parts, confidence, within, alike=alike)
    n = parts.base.size
    if not math.isfinite(error) or not has_spread(value, error, n):
        return plain
    ratios = np.zeros(resamples)
    for turn in range(resamples):  # resamples, not rows
        again = parts.rows(rng.integers(0, n, n))
        own = error_of(again)
        ratios[turn] = (again.value() - value) / own if own > 0 else 0.0
    low, high = np.quantile(ratios, [(1 - confidence) / 2, (1 + confidence) / 2])
    ends = np.clip([value - float(high) * error, value - float(low) * error], *within)
    first, last = ends.tolist()
    return (first, last) if first < last else plain


def exact_interval(
    parts: Parts,
    confidence: float,
    *,
    within: Range,
    method: Literal["betting", "empirical-bernstein"],
) -> tuple[float, float]:
    """Return the interval of a mean of weighted rewards whose range is known beforehand.

    See `siamrec.statistics.bounded_interval`, for a fixed number of rows.

    Args:
        parts: What the estimate is made of; a plain mean of weighted rewards.
        confidence: Level of the interval, in (0, 1).
        within: Least and greatest weighted reward that a row could have had.
        method: `"betting"` or `"empirical-bernstein"`.

    Raises:
        InvalidDataError: If a weighted reward lies outside the range.
        InvalidParameterError: If the estimate is no plain mean, or the range or the confidence
            is wrong.
    """
    low, high = float(within[0]), float(within[1])
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InvalidParameterError("within", within, "a finite range (low, high), low < high")
    if parts.base.any() or not (parts.below == 1).all():
        raise InvalidParameterError(
            "interval",
            "betting or empirical-bernstein",
            "that of an estimator which is a plain mean of weighted rewards, such as IPS",
        )
    scores, slack = parts.top, 1e-9 * (high - low)
    if scores.min() < low - slack or scores.max() > high + slack:
        raise InvalidDataError(
            f"Weighted rewards must be within ({low:g}, {high:g}), got {scores.min():g} to "
            f"{scores.max():g}."
        )
    check.share("confidence", confidence, open_ends=True)
    return bounded_interval(
        np.clip(scores, low, high),
        low=low,
        high=high,
        confidence=confidence,
        method=method,
        anytime=False,
    )
