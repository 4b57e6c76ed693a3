"""Policies for feature vectors: linear rewards, one regression per arm.

Sums of products go through `np.einsum` or elementwise operations, never through a BLAS, whose
kernels differ in the last bits: the same state and draw give the same choice with any of them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Arrays
from siamrec.bandits.policies import _quadrature
from siamrec.bandits.policies._cholesky import inverse, inverse_root, solve
from siamrec.bandits.policies.base import Estimates, Policy, Weighing
from siamrec.bandits.policies.counting import greedy_share
from siamrec.errors import InvalidParameterError, MissingInputError
from siamrec.statistics.tails import TWO_SIDED_95

if TYPE_CHECKING:
    from siamrec.bandits.policies.base import Outcomes, Rounds, Space, Sums
    from siamrec.typing import FloatArray, IntArray

_FAR = 8.5
"""An arm whose mean lies so many deviations below another's bound is best with P < 1e-16."""
_REBUILD = 500
"""Updates of an arm after which its covariance is made anew from its sums."""
_SLACK = 1.0 + 1e-12
"""Widens bounds beyond the rounding of scores: where the bound is tight, both are equal."""


@final
@dataclass(frozen=True, slots=True, repr=False)
class LinearPosterior(Arrays):
    """Ridge regression of each arm.

    Attributes:
        mean: Coefficients, shape `(n_arms, d)`.
        unroot: Inverses of the lower Cholesky factors L of the precision
            `L L' = ridge I + sum w x x'`, shape `(n_arms, d, d)`.
    """

    mean: FloatArray
    unroot: FloatArray

    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the mean of each arm's reward and `sqrt(x' A^-1 x)`, each `(n, n_arms)`."""
        centre: FloatArray = np.einsum("nd,kd->nk", features, self.mean)
        half = np.einsum("kij,nj->kni", self.unroot, features)
        width: FloatArray = np.sqrt(np.einsum("kni,kni->nk", half, half))
        return centre, width


class LinearPolicy(Policy[LinearPosterior], ABC):
    """A policy with one ridge regression for each arm; a subclass says how to weigh arms."""

    reward_range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    ridge: float

    @property
    @abstractmethod
    def deviation(self) -> float:
        """Standard deviation of an arm's mean where `sqrt(x' A^-1 x)` is 1."""

    @final
    @override
    def init(self, space: Space) -> Sums:
        k, d = space.n_arms, space.n_features
        if not d:
            raise MissingInputError("features", "ContextualBandit(..., n_features=d)")
        return {"precision": np.zeros((k, d, d)), "gain": np.zeros((k, d))}

    @final
    @override
    def accumulate(self, sums: Sums, outcomes: Outcomes) -> None:
        if outcomes.features is None:
            raise MissingInputError("features", "ContextualBandit(..., n_features=d)")
        for arm in np.unique(outcomes.arm).tolist():  # arms, not outcomes
            rows = outcomes.arm == arm
            x, w = outcomes.features[rows], outcomes.weight[rows]
            weighed = x * w[:, None]
            sums["precision"][arm] += np.einsum("ni,nj->ij", weighed, x)
            sums["gain"][arm] += np.einsum("ni,n->i", weighed, outcomes.reward[rows])

    @final
    @override
    def posterior(self, sums: Sums, space: Space) -> LinearPosterior:
        unroot = inverse_root(sums["precision"] + self.ridge * np.eye(sums["gain"].shape[1]))
        return LinearPosterior(solve(unroot, sums["gain"]), unroot)

    @final
    @override
    def top(self, model: LinearPosterior, rounds: Rounds, n: int) -> FloatArray:
        centre, width = model.predict(vectors_of(rounds))
        return best_normal(centre, self.deviation * width, rounds, n)

    @final
    @override
    def estimate(self, model: LinearPosterior, rounds: Rounds) -> Estimates:
        centre, width = model.predict(vectors_of(rounds))
        reach = TWO_SIDED_95 * self.deviation * width
        return Estimates(mean=centre, low=centre - reach, high=centre + reach)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LinearThompson(LinearPolicy):
    """Thompson sampling with a linear model of the reward for each arm.

        A = ridge I + sum w x x',   b = sum w r x,   x' theta ~ N(x' A^-1 b, noise² x' A^-1 x).

    For one round, drawing the scalar x' theta of every arm is exactly Thompson sampling, and the
    probability of choosing an arm is an integral over normal densities, computed exactly. A
    feature vector from a Siamese encoder makes it the neural-linear bandit. Context cells are
    not used. For thousands of arms see `LinearSampler`.

    Args:
        noise: Deviation of the reward around its mean, above 0: scales exploration.
        ridge: Prior precision of the coefficients, above 0; a cold arm has deviation
            `noise / sqrt(ridge)` per unit of feature length.

    Raises:
        InvalidParameterError: If noise or ridge are not above 0.
        MissingInputError: From the bandit, if no features are given.

    References:
        Agrawal and Goyal (2013), ICML; Riquelme, Tucker, Snoek (2018), ICLR.

    Examples:
        >>> from siamrec.bandits import ContextualBandit
        >>> bandit = ContextualBandit(LinearThompson(), arms=("a", "b"), n_features=2)
        >>> bandit.select(features=np.array([1.0, 0.5])).propensities
        (0.5,)
    """

    noise: float = 0.5
    ridge: float = 1.0

    def __post_init__(self) -> None:
        check.positive("noise", self.noise)
        check.positive("ridge", self.ridge)

    @property
    @override
    def deviation(self) -> float:
        return self.noise

    @override
    def weigh(self, model: LinearPosterior, rounds: Rounds) -> Weighing:
        centre, width = model.predict(vectors_of(rounds))
        best = best_normal(centre, self.noise * width, rounds)
        if (rounds.temperature == 1.0).all():
            return Weighing(probability=best, best=best)
        heat = np.sqrt(rounds.temperature)[:, None]
        return Weighing(
            probability=best_normal(centre, self.noise * width * heat, rounds), best=best
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LinearUCB(LinearPolicy):
    """Choose the arm of greatest `x' theta + width sqrt(x' A^-1 x)` (LinUCB, disjoint arms).

    Args:
        width: How many deviations above its mean an arm is judged, above 0; the square root of
            the temperature multiplies it.
        ridge: Prior precision of the coefficients, above 0.

    Raises:
        InvalidParameterError: If width or ridge are not above 0.

    References:
        Li, Chu, Langford, Schapire (2010), WWW.
    """

    width: float = 1.0
    ridge: float = 1.0

    def __post_init__(self) -> None:
        check.positive("width", self.width)
        check.positive("ridge", self.ridge)

    @property
    @override
    def deviation(self) -> float:
        return self.width

    @override
    def weigh(self, model: LinearPosterior, rounds: Rounds) -> Weighing:
        centre, width = model.predict(vectors_of(rounds))
        heat = np.sqrt(rounds.temperature)[:, None]
        bound = centre + self.width * heat * width
        return Weighing(
            probability=greedy_share(bound, rounds.eligible),
            best=best_normal(centre, self.width * width, rounds),
        )


@final
class LinearSampler:
    """Exact linear Thompson sampling for thousands of arms, one decision at a time; mutable.

    All arms get their normal draw first. Then arms are evaluated in the order of an upper bound
    on their score, `x' mu + noise max(z, 0) sqrt(bound on the largest eigenvalue) |x|`, until
    the best score found exceeds every bound left: usually a few of the arms. The choice is the
    one that evaluating every arm would make, for the same draws.

    What it has learned are the sums of `LinearThompson`: a sampler goes on from another's sums,
    and sums of several workers add. The covariances are kept beside them by Sherman and
    Morrison's formula, and made anew from the sums now and then, so that rounding cannot grow.

    Args:
        n_arms: Number of arms.
        n_features: Length of a feature vector.
        noise: As for `LinearThompson`.
        ridge: As for `LinearThompson`.
        sums: What has been learned so far, as `sums` returns it; nothing when absent.

    Raises:
        InvalidParameterError: If a number is out of range or the sums have other shapes.

    Examples:
        >>> sampler = LinearSampler(n_arms=50, n_features=3)
        >>> sampler.learn(7, np.array([1.0, 0.0, 0.0]), reward=5.0)
        >>> sampler.choose(np.array([1.0, 0.0, 0.0]), np.zeros(50))
        7
    """

    def __init__(
        self,
        *,
        n_arms: int,
        n_features: int,
        noise: float = 0.5,
        ridge: float = 1.0,
        sums: Sums | None = None,
    ) -> None:
        self.noise = check.positive("noise", noise)
        self._ridge = check.positive("ridge", ridge)
        n_arms, d = check.count("n_arms", n_arms), check.count("n_features", n_features)
        self._precision = np.zeros((n_arms, d, d))
        self._gain = np.zeros((n_arms, d))
        self._covariance = np.repeat(np.eye(d)[None] / ridge, n_arms, axis=0)
        self._mean = np.zeros((n_arms, d))
        self._bound = np.full(n_arms, 1 / np.sqrt(ridge))
        self._steps = np.zeros(n_arms, dtype=np.int64)
        if sums is not None:
            for name, own in (("precision", self._precision), ("gain", self._gain)):
                if sums[name].shape != own.shape:
                    raise InvalidParameterError(name, sums[name].shape, f"of shape {own.shape}")
                np.add(own, sums[name], out=own)
            self._rebuild(np.arange(n_arms))

    @property
    def n_arms(self) -> int:
        """Number of arms."""
        return len(self._mean)

    def sums(self) -> Sums:
        """Return what has been learned: `sum w x x'` and `sum w r x` of each arm."""
        return {"precision": self._precision.copy(), "gain": self._gain.copy()}

    def learn(self, arm: int, features: FloatArray, reward: float) -> None:
        """Take in one reward.

        Raises:
            InvalidDataError: If a number is not finite.
        """
        x = check.finite("features", features)
        check.finite("reward", np.array([reward]))
        self._precision[arm] += np.multiply.outer(x, x)
        self._gain[arm] += reward * x
        self._steps[arm] += 1
        if self._steps[arm] >= _REBUILD:
            self._rebuild(np.array([arm]))
            return
        covariance = self._covariance[arm]
        pull = np.einsum("ij,j->i", covariance, x)
        covariance -= np.multiply.outer(pull, pull / (1.0 + np.einsum("i,i->", x, pull)))
        self._mean[arm] = np.einsum("ij,j->i", covariance, self._gain[arm])
        # The largest eigenvalue never grows, and no row sum of absolute values is below it.
        rows = float(np.abs(covariance).sum(axis=1).max())
        self._bound[arm] = min(self._bound[arm], np.sqrt(rows))

    def choose(self, features: FloatArray, draws: FloatArray) -> int:
        """Return the arm whose score `x' mu + noise z sqrt(x' S x)` is greatest.

        Args:
            features: The feature vector x, shape `(d,)`.
            draws: A standard normal draw z for each arm, shape `(n_arms,)`.

        Raises:
            InvalidParameterError: If there is not one draw per arm.
        """
        if draws.shape != (self.n_arms,):
            raise InvalidParameterError("draws", draws.shape, f"one draw for {self.n_arms} arms")
        centre = np.einsum("kd,d->k", self._mean, features)
        length = float(np.sqrt(np.einsum("d,d->", features, features)))
        bound = np.maximum(draws, 0.0)
        bound *= self.noise * length * _SLACK
        bound *= self._bound
        bound += centre
        best, best_arm = -np.inf, -1
        while True:
            arm = int(bound.argmax())
            if bound[arm] <= best:
                return best_arm
            half = np.einsum("ij,j->i", self._covariance[arm], features)
            spread = max(float(np.einsum("i,i->", half, features)), 0.0)
            score = float(centre[arm]) + self.noise * float(draws[arm]) * math.sqrt(spread)
            if score > best:
                best, best_arm = score, arm
            bound[arm] = -np.inf

    def _rebuild(self, arms: IntArray) -> None:
        """Make covariances of some arms from their sums."""
        precision = self._precision[arms] + self._ridge * np.eye(self._gain.shape[1])
        covariance = inverse(inverse_root(precision))
        self._covariance[arms] = covariance
        self._mean[arms] = np.einsum("kij,kj->ki", covariance, self._gain[arms])
        rows = np.abs(covariance).sum(axis=2).max(axis=1)
        self._bound[arms] = np.minimum(self._bound[arms], np.sqrt(rows))
        self._steps[arms] = 0


def vectors_of(rounds: Rounds) -> FloatArray:
    """Return the features of rounds.

    Raises:
        MissingInputError: If there are none.
    """
    if rounds.features is None:
        raise MissingInputError("features", "select(..., features=vector)")
    return rounds.features


def best_normal(
    centre: FloatArray, deviation: FloatArray, rounds: Rounds, n: int = 1
) -> FloatArray:
    """Return the probability of each eligible arm to be among the best n, for normal posteriors.

    Arms that are too far below to matter are left out of the quadrature of their round.
    """
    mask = rounds.eligible
    chance = np.zeros_like(centre)
    if mask.sum() <= n:
        chance[:, mask] = 1.0
        return chance
    places = np.flatnonzero(mask)
    low = (centre - _FAR * deviation)[:, mask]
    high = (centre + _FAR * deviation)[:, mask]
    # The n-th greatest lower bound: whoever cannot reach it is not among the best n.
    least = -np.partition(-low, n - 1, axis=1)[:, n - 1]
    for row in range(len(centre)):  # rounds differ in which arms matter
        near = places[high[row] >= least[row]]
        if near.size <= n:
            chance[row, near] = 1.0
            continue
        grid = _quadrature.normal_grid(centre[row, near][None], deviation[row, near][None])
        share = _quadrature.best(grid) if n == 1 else _quadrature.top(grid, n)
        chance[row, near] = share[0]
    return chance
