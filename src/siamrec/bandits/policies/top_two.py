"""Policies that look for the best arm rather than play it: top-two and information-directed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check, special
from siamrec.bandits.policies import _quadrature
from siamrec.bandits.policies._beta import weigh_beta
from siamrec.bandits.policies.base import Weighing
from siamrec.bandits.policies.counting import BetaPosterior, CountingPolicy

if TYPE_CHECKING:
    from siamrec.bandits.policies.base import Rounds
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TopTwoThompson(CountingPolicy):
    """Thompson sampling that plays its runner-up half of the time, to find the best arm sooner.

    With P the shares of Thompson sampling, arm a is chosen with probability

        beta P_a + (1 - beta) sum_{b != a} P_b P_a / (1 - P_b).

    Args:
        beta: Probability of playing the winner of the draw, in (0, 1].

    Raises:
        InvalidParameterError: If beta is outside (0, 1].

    References:
        Russo (2016), COLT: simple Bayesian algorithms for best-arm identification.
    """

    beta: float = 0.5

    def __post_init__(self) -> None:
        check.share("beta", self.beta)
        check.positive("beta", self.beta)

    @override
    def weigh(self, model: BetaPosterior, rounds: Rounds) -> Weighing:
        plain = weigh_beta(model.alpha[rounds.cell], model.beta[rounds.cell], rounds)
        share, eligible = plain.probability, rounds.eligible
        if eligible.sum() == 1:
            return plain
        others = np.maximum(share, np.finfo(float).tiny) * eligible
        # Row b of `after` holds where a redraw goes once b has won the first draw.
        after = np.repeat(others[:, None, :], eligible.size, axis=1)
        after[:, np.arange(eligible.size), np.arange(eligible.size)] = 0.0
        after /= after.sum(axis=2, keepdims=True)
        second = np.einsum("nb,nba->na", share, after)
        mixed = self.beta * share + (1 - self.beta) * second
        return Weighing(probability=mixed, best=plain.best)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class InformationDirected(CountingPolicy):
    """Variance-based information-directed sampling with Beta posteriors (flat priors).

    Chooses the mixture of two arms with the least ratio of squared expected regret to
    information about which arm is best,

        min_pi  (sum_a pi_a Delta_a)² / sum_a pi_a v_a,
        Delta_a = E max theta - E theta_a,   v_a = sum_b P_b (E[theta_a | b best] - E theta_a)².

    References:
        Russo and Van Roy (2018), Operations Research 66.
    """

    @override
    def weigh(self, model: BetaPosterior, rounds: Rounds) -> Weighing:
        mask = rounds.eligible
        best = self.top(model, rounds, 1)
        if mask.sum() == 1:
            return Weighing(probability=best, best=best)
        heat = rounds.temperature[:, None]
        alpha = (model.alpha[rounds.cell] / heat)[:, mask]
        beta = (model.beta[rounds.cell] / heat)[:, mask]
        share = np.zeros((rounds.cell.size, int(mask.sum())))
        for row in range(rounds.cell.size):  # cells; the conditional means need memory
            part = slice(row, row + 1)
            share[row] = _least_ratio(*_regret_and_information(alpha[part], beta[part]))
        return Weighing(probability=_quadrature.spread(share, mask), best=best)


def _regret_and_information(alpha: FloatArray, beta: FloatArray) -> tuple[FloatArray, FloatArray]:
    grid = _quadrature.beta_grid(alpha, beta)
    chance = _quadrature.best(grid)[0]
    given = _quadrature.mean_given_best(grid, special.expit(grid.node))[0]
    mean = (alpha / (alpha + beta))[0]
    regret = np.maximum(float((chance * np.diag(given)).sum()) - mean, 0.0)
    information: FloatArray = np.einsum("a,ab->b", chance, (given - mean) ** 2)
    return regret, information


def _least_ratio(regret: FloatArray, information: FloatArray) -> FloatArray:
    """Return the mixture of two arms with the least regret² / information."""
    n = regret.size
    gap = regret[:, None] - regret[None, :]
    gain = information[:, None] - information[None, :]
    curve = gap * gain
    turning = np.divide(
        gain * regret[None, :] - 2 * gap * information[None, :],
        curve,
        out=np.zeros((n, n)),
        where=curve != 0,
    )
    best_ratio, chosen = np.inf, (0, 0, 1.0)
    for weight in (np.clip(turning, 0.0, 1.0), np.zeros((n, n)), np.ones((n, n))):
        cost = (regret[None, :] + weight * gap) ** 2
        worth = np.maximum(information[None, :] + weight * gain, np.finfo(float).tiny)
        ratio = cost / worth
        place = np.unravel_index(int(np.argmin(ratio)), (n, n))
        if ratio[place] < best_ratio * (1 - 1e-12):
            best_ratio = float(ratio[place])
            chosen = (int(place[0]), int(place[1]), float(weight[place]))
    share = np.zeros(n)
    # Arms that are alike in everything share what one of them would get.
    for arm, part in ((chosen[0], chosen[2]), (chosen[1], 1 - chosen[2])):
        alike = (np.abs(regret - regret[arm]) < 1e-9) & (
            np.abs(information - information[arm]) < 1e-9
        )
        share += part * alike / alike.sum()
    return share
