"""Thompson sampling on a logistic regression over the levels of the context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check, special
from siamrec._core.table import Arrays
from siamrec.bandits.policies import _quadrature
from siamrec.bandits.policies._beta import beta_sums, count_beta, non_negative
from siamrec.bandits.policies._laplace import laplace
from siamrec.bandits.policies.amounts import GridThompson
from siamrec.bandits.policies.base import Estimates
from siamrec.statistics.tails import TWO_SIDED_95

if TYPE_CHECKING:
    from siamrec.bandits.policies._quadrature import Grid
    from siamrec.bandits.policies.base import Outcomes, Rounds, Space, Sums
    from siamrec.typing import FloatArray, IntArray

_HERMITE, _HERMITE_WEIGHT = np.polynomial.hermite_e.hermegauss(15)
_HERMITE_WEIGHT = _HERMITE_WEIGHT / _HERMITE_WEIGHT.sum()


@final
@dataclass(frozen=True, slots=True, repr=False)
class LogisticPosterior(Arrays):
    """Normal posterior of the logit of every cell and arm, each array `(n_cells, n_arms)`.

    Attributes:
        logit: Means.
        deviation: Standard deviations.
        weight: Weights of each arm that the means come from, shape `(n_arms, d)`.
    """

    logit: FloatArray
    deviation: FloatArray
    weight: FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticThompson(GridThompson[LogisticPosterior]):
    """Draw the weights of each arm's logistic regression from Laplace's approximation.

        logit P(success) = x' w,   w_0 ~ N(0, base_scale²),   w_j ~ N(0, effect_scale²)

    w belongs to the arm; x holds 1 and an indicator of each known level of the cell. A context
    is one of finitely many cells, so the counts of each cell and arm say all that the likelihood
    needs: the regression is fitted to them anew by Newton's method, not approximated row by row,
    and does not depend on the order of events. The best arm has the greatest logit, whose
    posterior is normal, so the probability of choosing it is exact by quadrature. A temperature
    widens the deviations by its square root.

    Unlike `HierarchicalBeta` it takes the additive model at its word: nothing is peculiar to a
    cell.

    Args:
        effect_scale: Prior deviation of the effect of one level, on the logit scale.
        base_scale: Prior deviation of an arm's base rate, on the logit scale.

    Raises:
        InvalidParameterError: If a scale is not above 0.

    References:
        Chapelle and Li (2011), NeurIPS: an empirical evaluation of Thompson sampling, section 4.

    Examples:
        >>> from siamrec.bandits import Context, ContextualBandit, Factor
        >>> context = Context((Factor("segment", ("cold", "warm")), Factor("day", ("a", "b"))))
        >>> bandit = ContextualBandit(LogisticThompson(), arms=("x", "y"), context=context)
        >>> for _ in range(40):
        ...     chosen = bandit.select({"segment": "cold", "day": "a"})
        ...     receipt = bandit.learn(chosen.id, reward=float(chosen.arm == "x"))
        >>> bandit.probabilities({"segment": "cold", "day": "b"})["x"] > 0.8   # never seen
        True
    """

    pools: ClassVar[bool] = True

    effect_scale: float = 0.7
    base_scale: float = 1.5

    def __post_init__(self) -> None:
        check.positive("effect_scale", self.effect_scale)
        check.positive("base_scale", self.base_scale)

    @override
    def init(self, space: Space) -> Sums:
        return beta_sums(space)

    @override
    def accumulate(self, sums: Sums, outcomes: Outcomes) -> None:
        count_beta(sums, outcomes)

    @override
    def posterior(self, sums: Sums, space: Space) -> LogisticPosterior:
        wins, losses = non_negative(sums["wins"]), non_negative(sums["losses"])
        design = space.design()
        seen = np.flatnonzero((wins + losses).sum(axis=1) > 0)
        precision = np.full(design.shape[1], self.effect_scale**-2)
        precision[0] = self.base_scale**-2
        weight, covariance = laplace(
            wins[seen], (wins + losses)[seen], design[seen], np.zeros(precision.size), precision
        )
        variance = np.einsum("nd,kde,ne->nk", design, covariance, design, optimize=True)
        return LogisticPosterior(design @ weight.T, np.sqrt(variance), weight)

    @override
    def grid(self, model: LogisticPosterior, rounds: Rounds, heat: FloatArray | float) -> Grid:
        logit, deviation = _cells(model, rounds.cell)
        mask = rounds.eligible
        return _quadrature.normal_grid(logit[:, mask], (deviation * np.sqrt(heat))[:, mask])

    @override
    def estimate(self, model: LogisticPosterior, rounds: Rounds) -> Estimates:
        logit, deviation = _cells(model, rounds.cell)
        draws = special.expit(logit[..., None] + deviation[..., None] * _HERMITE)
        reach = TWO_SIDED_95 * deviation
        return Estimates(
            mean=np.asarray(draws @ _HERMITE_WEIGHT, dtype=np.float64),
            low=special.expit(logit - reach),
            high=special.expit(logit + reach),
        )


def _cells(model: LogisticPosterior, cell: IntArray) -> tuple[FloatArray, FloatArray]:
    return model.logit[cell], model.deviation[cell]
