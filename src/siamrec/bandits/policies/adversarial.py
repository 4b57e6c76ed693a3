"""Policies that make no assumption about the rewards: weights from importance-weighted losses."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Arrays
from siamrec.bandits.policies._beta import (
    best_beta,
    beta_sums,
    count_beta,
    estimate_beta,
    non_negative,
)
from siamrec.bandits.policies.base import Estimates, Policy, Weighing, tally

if TYPE_CHECKING:
    from siamrec.bandits.policies.base import Outcomes, Rounds, Space, Sums
    from siamrec.typing import FloatArray

_NEWTON_STEPS = 60


@final
@dataclass(frozen=True, slots=True, repr=False)
class Losses(Arrays):
    """Importance-weighted losses, and Beta posteriors for the reports; `(n_cells, n_arms)`."""

    loss: FloatArray
    alpha: FloatArray
    beta: FloatArray

    def turn(self, rounds: Rounds) -> FloatArray:
        """Return the number of each round in its cell, `(n, 1)`."""
        seen = self.alpha[rounds.cell] + self.beta[rounds.cell] - 2.0
        turns: FloatArray = seen.sum(axis=1, keepdims=True) + 1.0
        return turns


class LossPolicy(Policy[Losses], ABC):
    """A policy over sums of importance-weighted losses; confidences are of Beta posteriors.

    A subclass says how to weigh arms.
    """

    @property
    def caution(self) -> float:
        """What is added to a logged propensity before a loss is divided by it."""
        return 0.0

    @final
    @override
    def init(self, space: Space) -> Sums:
        return {**beta_sums(space), "loss": np.zeros((space.n_cells, space.n_arms))}

    @final
    @override
    def accumulate(self, sums: Sums, outcomes: Outcomes) -> None:
        count_beta(sums, outcomes)
        slot = outcomes.cell * sums["loss"].shape[1] + outcomes.arm
        loss = outcomes.weight * (1.0 - outcomes.reward)
        tally(sums["loss"], slot, loss / (outcomes.propensity + self.caution))

    @final
    @override
    def posterior(self, sums: Sums, space: Space) -> Losses:
        wins, losses = (1.0 + non_negative(sums[name]) for name in ("wins", "losses"))
        return Losses(sums["loss"], wins, losses)

    @final
    @override
    def top(self, model: Losses, rounds: Rounds, n: int) -> FloatArray:
        return best_beta(model.alpha[rounds.cell], model.beta[rounds.cell], rounds, n)

    @final
    @override
    def estimate(self, model: Losses, rounds: Rounds) -> Estimates:
        return estimate_beta(model.alpha[rounds.cell], model.beta[rounds.cell])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Exp3IX(LossPolicy):
    """Exponential weights with implicit exploration, for a known horizon T.

        P_a ∝ exp(-eta L_a),   L_a += (1 - r) / (p + gamma) for the chosen arm,
        eta = sqrt(2 ln K / (K T)),   gamma = 1 / (2 sqrt T),

    with the *logged* propensity p of each decision, so that delayed and merged rewards count
    right. (gamma does not depend on the number of arms, so that arms can be added.)

    Args:
        horizon: Number of rounds per cell it is tuned for.

    Raises:
        InvalidParameterError: If the horizon is below 1.

    References:
        Neu (2015), NeurIPS: explore no more.
    """

    horizon: int = 10_000

    def __post_init__(self) -> None:
        check.count("horizon", self.horizon)

    def rate(self, n_arms: int) -> float:
        """Return the learning rate eta."""
        return float(np.sqrt(2 * np.log(max(n_arms, 2)) / (n_arms * self.horizon)))

    @property
    @override
    def caution(self) -> float:
        return float(0.5 / np.sqrt(self.horizon))

    @override
    def weigh(self, model: Losses, rounds: Rounds) -> Weighing:
        score = -self.rate(rounds.eligible.size) * model.loss[rounds.cell]
        score = np.where(rounds.eligible, score / rounds.temperature[:, None], -np.inf)
        weight = np.exp(score - score.max(axis=1, keepdims=True))
        return Weighing(
            probability=weight / weight.sum(axis=1, keepdims=True),
            best=self.top(model, rounds, 1),
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TsallisINF(LossPolicy):
    """Best of both worlds: optimal against an opponent and for stochastic rewards, untuned.

        P_a = 4 (eta_t (L_a - x))^-2   with x such that they sum to 1,   eta_t = scale / sqrt t,

    where L sums the losses (1 - r) / p with the logged propensity p.

    Args:
        scale: 2 as in the analysis of the plain estimator.

    Raises:
        InvalidParameterError: If the scale is not above 0.

    References:
        Zimmert and Seldin (2021), JMLR 22.
    """

    scale: float = 2.0

    def __post_init__(self) -> None:
        check.positive("scale", self.scale)

    @override
    def weigh(self, model: Losses, rounds: Rounds) -> Weighing:
        eta = self.scale / np.sqrt(model.turn(rounds)) / rounds.temperature[:, None]
        loss = np.where(rounds.eligible, model.loss[rounds.cell], np.inf)
        return Weighing(probability=_tsallis(loss, eta), best=self.top(model, rounds, 1))


def _tsallis(loss: FloatArray, eta: FloatArray) -> FloatArray:
    """Solve for x by Newton's method from the right, where the sum is convex and too large."""
    above = loss - loss.min(axis=1, keepdims=True)
    x = -2.0 / eta
    for _ in range(_NEWTON_STEPS):
        root = 2.0 / (eta * (above - x))
        excess = (root**2).sum(axis=1, keepdims=True) - 1.0
        step = excess / (eta * (root**3).sum(axis=1, keepdims=True))
        x = x - step
        if np.abs(excess).max() < 1e-14:
            break
    share: FloatArray = (2.0 / (eta * (above - x))) ** 2
    return np.asarray(share / share.sum(axis=1, keepdims=True), dtype=np.float64)
