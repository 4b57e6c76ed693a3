"""Thompson sampling whose cells share what they have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check, special
from siamrec._core.table import Arrays
from siamrec.bandits.policies._beta import (
    best_beta,
    beta_sums,
    count_beta,
    estimate_beta,
    non_negative,
    weigh_beta,
)
from siamrec.bandits.policies._laplace import laplace
from siamrec.bandits.policies.base import Policy

if TYPE_CHECKING:
    from siamrec.bandits.policies.base import Estimates, Outcomes, Rounds, Space, Sums, Weighing
    from siamrec.typing import FloatArray, IntArray

_HERMITE, _HERMITE_WEIGHT = np.polynomial.hermite_e.hermegauss(15)
_HERMITE_WEIGHT = _HERMITE_WEIGHT / _HERMITE_WEIGHT.sum()


@final
@dataclass(frozen=True, slots=True, repr=False)
class PooledPosterior(Arrays):
    """Counts of each cell and arm, and the additive model that their priors come from.

    Attributes:
        wins: Shape `(n_cells, n_arms)`.
        losses: Shape `(n_cells, n_arms)`.
        design: Indicators of each cell's levels, shape `(n_cells, d)`.
        weight: Fitted logit effects of each arm, shape `(n_arms, d)`; empty without pooling.
        covariance: Their posterior covariance, shape `(n_arms, d, d)`.
    """

    wins: FloatArray
    losses: FloatArray
    design: FloatArray
    weight: FloatArray
    covariance: FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchicalBeta(Policy[PooledPosterior]):
    """Beta posterior for every cell and arm, under a prior learned from all other cells.

    For each arm the success rate of a cell is drawn around an additive model of its levels:

        logit mu_c = x_c' w,   w_0 ~ N(logit prior_mean, base_scale²),  w_j ~ N(0, effect_scale²)
        theta_c ~ Beta(strength mu_c, strength (1 - mu_c)),

    w is fitted by Newton's method to the counts (discounted for the spread between cells), the
    prior of a cell is the prediction for it from all *other* cells (its own data count once),
    moment-matched to a Beta. The state is nothing but counts per cell and arm, so it merges by
    addition and does not depend on the order of events.

    Args:
        strength: How many observations the additive prediction of a cell can weigh at most,
            above 0: large when cells hardly differ beyond their levels.
        effect_scale: Prior deviation of the effect of one level, on the logit scale.
        base_scale: Prior deviation of an arm's base rate, on the logit scale.
        prior_mean: Base rate expected before any data, in (0, 1).
        pooling: `"additive"`, or `"none"` for independent Beta(1, 1) cells.

    Raises:
        InvalidParameterError: If a setting is out of range.

    References:
        Hong, Kveton, Zaheer, Ghavamzadeh (2022), AISTATS: hierarchical Bayesian bandits;
        Graepel, Candela, Borchert, Herbrich (2010), ICML: additive click models.

    Examples:
        >>> from siamrec.bandits import Context, ContextualBandit, Factor
        >>> context = Context((Factor("segment", ("cold", "warm")), Factor("day", ("a", "b"))))
        >>> bandit = ContextualBandit(HierarchicalBeta(), arms=("x", "y"), context=context)
        >>> for _ in range(40):
        ...     chosen = bandit.select({"segment": "cold", "day": "a"})
        ...     receipt = bandit.learn(chosen.id, reward=float(chosen.arm == "x"))
        >>> bandit.probabilities({"segment": "cold", "day": "b"})["x"] > 0.8   # never seen
        True
    """

    pools: ClassVar[bool] = True

    strength: float = 60.0
    effect_scale: float = 0.7
    base_scale: float = 1.5
    prior_mean: float = 0.5
    pooling: Literal["additive", "none"] = "additive"

    def __post_init__(self) -> None:
        check.positive("strength", self.strength)
        check.positive("effect_scale", self.effect_scale)
        check.positive("base_scale", self.base_scale)
        check.share("prior_mean", self.prior_mean, open_ends=True)
        check.one_of("pooling", self.pooling, ("additive", "none"))

    @override
    def init(self, space: Space) -> Sums:
        return beta_sums(space)

    @override
    def accumulate(self, sums: Sums, outcomes: Outcomes) -> None:
        count_beta(sums, outcomes)

    @override
    def posterior(self, sums: Sums, space: Space) -> PooledPosterior:
        wins, losses = non_negative(sums["wins"]), non_negative(sums["losses"])
        design = space.design() if self.pooling == "additive" else np.empty((space.n_cells, 0))
        weight, covariance = self._fit(wins, losses, design)
        return PooledPosterior(wins, losses, design, weight, covariance)

    @override
    def weigh(self, model: PooledPosterior, rounds: Rounds) -> Weighing:
        return weigh_beta(*self.cells(model, rounds.cell), rounds)

    @override
    def top(self, model: PooledPosterior, rounds: Rounds, n: int) -> FloatArray:
        return best_beta(*self.cells(model, rounds.cell), rounds, n)

    @override
    def estimate(self, model: PooledPosterior, rounds: Rounds) -> Estimates:
        return estimate_beta(*self.cells(model, rounds.cell))

    def cells(self, model: PooledPosterior, cell: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the Beta parameters of cells, each `(n, n_arms)`: the public state."""
        wins, losses = model.wins[cell], model.losses[cell]
        if self.pooling == "none":
            return 1.0 + wins, 1.0 + losses
        mean, variance = self._predict(model, cell, wins, losses)
        size = np.clip(mean * (1 - mean) / variance - 1.0, 1e-3, self.strength)
        return size * mean + wins, size * (1 - mean) + losses

    def _discount(self, n: FloatArray) -> FloatArray:
        """Share of n counts that speak for the additive model: cells are over-dispersed."""
        share: FloatArray = 1.0 / (1.0 + np.maximum(n - 1.0, 0.0) / (self.strength + 1.0))
        return share

    def _prior(self, n_effects: int) -> tuple[FloatArray, FloatArray]:
        centre, precision = np.zeros(n_effects), np.full(n_effects, self.effect_scale**-2)
        if n_effects:
            centre[0], precision[0] = special.logit(self.prior_mean), self.base_scale**-2
        return centre, precision

    def _fit(
        self, wins: FloatArray, losses: FloatArray, design: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        n_arms, n_effects = wins.shape[1], design.shape[1]
        centre, precision = self._prior(n_effects)
        if not n_effects:
            return np.empty((n_arms, 0)), np.empty((n_arms, 0, 0))
        seen = np.flatnonzero((wins + losses).sum(axis=1) > 0)
        total = (wins + losses)[seen]
        discount = self._discount(total)
        return laplace(wins[seen] * discount, total * discount, design[seen], centre, precision)

    def _predict(
        self, model: PooledPosterior, cell: IntArray, wins: FloatArray, losses: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Predict the rate of each cell from all others: mean and variance, `(n, n_arms)`."""
        rows = model.design[cell]
        logit = rows @ model.weight.T
        variance = np.einsum("nd,kde,ne->nk", rows, model.covariance, rows, optimize=True)
        total = wins + losses
        discount = self._discount(total)
        rate = special.expit(logit)
        # One Newton step back from the fit takes the cell's own data out of it.
        own = total * discount * rate * (1 - rate)
        variance = variance / np.maximum(1.0 - own * variance, 1e-6)
        logit = logit - variance * discount * (wins - total * rate)
        draws = special.expit(logit[..., None] + np.sqrt(variance)[..., None] * _HERMITE)
        mean = np.asarray(draws @ _HERMITE_WEIGHT, dtype=np.float64)
        between = np.asarray((draws - mean[..., None]) ** 2 @ _HERMITE_WEIGHT, dtype=np.float64)
        within = mean * (1 - mean) / (self.strength + 1.0)
        return mean, between + within
