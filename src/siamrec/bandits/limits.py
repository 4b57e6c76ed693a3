"""Floors and caps on the share of an arm, kept exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from siamrec.typing import BoolArray, FloatArray

_TINY = 1e-12
"""Stands in for a probability of zero, so that a cap can hand its excess to such an arm."""

_MANY = 64
"""Above this many arms the exact table of breakpoints is larger than a bisection is slow."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A trusted arm that exploration may cost only so much against.

    With the means m expected at present, the wanted probabilities p become

        q = (1 - share) p + share e_arm,
        least share in [0, 1] with  sum_a q_a m_a >= m_arm - slack abs(m_arm),

    so that no decision is expected to earn less than the trusted arm less the slack. Floor and
    cap are applied afterwards and may take a little of it back.

    Args:
        arm: Name of the trusted arm.
        slack: Share of its expected reward that a decision may cost, at least 0.

    Raises:
        InvalidParameterError: If the slack is below 0.

    References:
        Wu, Shariff, Lattimore, Szepesvari (2016), ICML: conservative bandits.

    Examples:
        >>> baseline = Baseline(arm="svd", slack=0.1)
        >>> wanted, mean = np.array([[0.2, 0.8]]), np.array([[0.5, 0.3]])
        >>> baseline.apply(wanted, mean, 0).round(2).tolist()   # earns 0.45, not 0.34
        [[0.75, 0.25]]
    """

    arm: str
    slack: float = 0.1

    def __post_init__(self) -> None:
        check.not_negative("slack", self.slack)

    def apply(self, probability: FloatArray, mean: FloatArray, code: int) -> FloatArray:
        """Return probabilities that keep the constraint, `(n, n_arms)`.

        Args:
            probability: Wanted probabilities, rows summing to 1.
            mean: Expected reward of every arm, same shape.
            code: Code of the trusted arm.
        """
        trusted = mean[:, code]
        least = trusted - self.slack * np.abs(trusted)
        earned = (probability * mean).sum(axis=1)
        room = trusted - earned
        share = np.divide(least - earned, room, out=np.zeros_like(room), where=room > 0)
        share = np.clip(share, 0.0, 1.0)[:, None]
        mixed: FloatArray = (1.0 - share) * probability
        mixed[:, code] += share[:, 0]
        return mixed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Least and greatest probability of every eligible arm.

    The limited probabilities are the closest to the wanted ones in Kullback-Leibler divergence:

        q_a = clip(c p_a, floor, cap)   with c such that they sum to 1.

    Args:
        floor: Least probability of an eligible arm, at least 0.
        cap: Greatest probability of an arm, at most 1. Where fewer than `1 / cap` arms are
            eligible it gives way and the eligible arms share evenly.
        holdout: Share of decisions made evenly, for later audits; mixed into every propensity
            before floor and cap.
        baseline: A trusted arm and what exploration may cost against it.

    Raises:
        InvalidParameterError: If a limit is outside `[0, 1]` or the floor above the cap.

    Examples:
        >>> Limits(floor=0.1, cap=0.7).apply(np.array([[0.9, 0.06, 0.04]])).round(3).tolist()
        [[0.7, 0.18, 0.12]]
    """

    floor: float = 0.0
    cap: float = 1.0
    holdout: float = 0.0
    baseline: Baseline | None = None

    def __post_init__(self) -> None:
        check.share("floor", self.floor)
        check.share("cap", self.cap)
        check.share("holdout", self.holdout)
        if self.baseline is not None:
            check.kind("baseline", self.baseline, Baseline)
        if self.floor > self.cap or self.cap <= 0:
            raise InvalidParameterError("floor", self.floor, f"at most the cap {self.cap}")

    def fit(self, n_arms: int) -> None:
        """Check that the floor leaves room for `n_arms` arms.

        Raises:
            InvalidParameterError: If `n_arms * floor` is above 1.
        """
        if self.floor * n_arms > 1:
            raise InvalidParameterError(
                "floor", self.floor, f"at most {1 / n_arms:.4g} for {n_arms} arms"
            )

    def apply(self, probability: FloatArray, eligible: BoolArray | None = None) -> FloatArray:
        """Return probabilities between floor and cap.

        Args:
            probability: Wanted probabilities, shape `(n, n_arms)`, rows summing to 1.
            eligible: Which arms may be chosen, shape `(n_arms,)`; all of them when absent.
        """
        n_arms = probability.shape[1]
        mask = np.ones(n_arms, dtype=np.bool_) if eligible is None else eligible
        n_eligible = int(mask.sum())
        wanted = probability[:, mask]
        floor, cap = min(self.floor, 1 / n_eligible), max(self.cap, 1 / n_eligible)
        outside = ((wanted < floor) | (wanted > cap)).any(axis=1)
        if not outside.any():
            return probability
        limited = probability.copy()
        bad = np.ix_(np.flatnonzero(outside), np.flatnonzero(mask))
        limited[bad] = _project(np.maximum(wanted[outside], _TINY), floor, cap)
        return limited


def _project(wanted: FloatArray, floor: float, cap: float) -> FloatArray:
    scale = _scale_by_breakpoints if wanted.shape[1] <= _MANY else _scale_by_bisection
    limited = np.clip(scale(wanted, floor, cap)[:, None] * wanted, floor, cap)
    # What rounding has left over goes to the arms that no limit holds.
    free = (limited > floor) & (limited < cap)
    slack = 1.0 - limited.sum(axis=1)
    held = np.where(free, limited, 0.0)
    total = held.sum(axis=1)
    factor = 1.0 + np.divide(slack, total, out=np.zeros_like(slack), where=total > 0)
    corrected: FloatArray = np.where(free, limited * factor[:, None], limited)
    return corrected


def _scale_by_breakpoints(wanted: FloatArray, floor: float, cap: float) -> FloatArray:
    """Solve `sum clip(c p, floor, cap) = 1`: between its breakpoints the sum is linear in c."""
    points = np.sort(np.concatenate([floor / wanted, cap / wanted], axis=1), axis=1)
    sums = np.clip(points[:, :, None] * wanted[:, None, :], floor, cap).sum(axis=2)
    high = np.minimum((sums < 1.0).sum(axis=1), points.shape[1] - 1)
    low = np.maximum(high - 1, 0)
    rows = np.arange(len(wanted))
    rise = sums[rows, high] - sums[rows, low]
    part = np.divide(1.0 - sums[rows, low], rise, out=np.zeros_like(rise), where=rise > 0)
    found: FloatArray = points[rows, low] + part * (points[rows, high] - points[rows, low])
    return found


def _scale_by_bisection(wanted: FloatArray, floor: float, cap: float) -> FloatArray:
    low = np.log(floor / wanted.max(axis=1)) if floor > 0 else np.log(_TINY / wanted.max(axis=1))
    high = np.log(cap / wanted.min(axis=1))
    for _ in range(80):
        middle = (low + high) / 2
        above = np.clip(np.exp(middle)[:, None] * wanted, floor, cap).sum(axis=1) > 1.0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    found: FloatArray = np.exp((low + high) / 2)
    return found
