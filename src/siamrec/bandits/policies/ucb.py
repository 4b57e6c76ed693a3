"""Optimism: choose the arm whose upper bound is greatest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check, special
from siamrec.bandits.policies.base import Weighing
from siamrec.bandits.policies.counting import BetaPosterior, CountingPolicy, greedy_share

if TYPE_CHECKING:
    from siamrec.bandits.policies.base import Rounds
    from siamrec.typing import FloatArray

_HALVINGS = 50


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class UCB1(CountingPolicy):
    """Mean plus `sqrt(scale ln t / n)`, with t rewards in the cell; unseen arms first.

    Choices are certain but for ties, which share evenly: a log of this policy supports hardly
    any off-policy estimate unless the bandit has a floor or a holdout.

    Args:
        scale: 2 as published; smaller explores less. The temperature of a round multiplies it.

    Raises:
        InvalidParameterError: If the scale is not above 0.

    References:
        Auer, Cesa-Bianchi and Fischer (2002), Machine Learning 47.
    """

    scale: float = 2.0

    def __post_init__(self) -> None:
        check.positive("scale", self.scale)

    @override
    def weigh(self, model: BetaPosterior, rounds: Rounds) -> Weighing:
        mean, seen, total = _empirical(model, rounds)
        width = self.scale * rounds.temperature[:, None] * np.log(np.maximum(total, 1.0))
        bound = mean + np.sqrt(width / np.maximum(seen, 1e-300))
        score = np.where(seen > 0, bound, np.inf)
        return _optimistic(self, score, model, rounds)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class KLUCB(CountingPolicy):
    """The greatest q with `n kl(mean, q) <= ln t + c ln ln t`; unseen arms first.

    kl is the divergence of Bernoulli distributions, so bounds stay inside [0, 1] and reach the
    asymptotic lower bound of Lai and Robbins.

    Args:
        c: Weight of the second term; 0 works well, 3 is what the proof asks for.

    Raises:
        InvalidParameterError: If c is below 0.

    References:
        Garivier and Cappé (2011), COLT.
    """

    c: float = 0.0

    def __post_init__(self) -> None:
        check.not_negative("c", self.c)

    @override
    def weigh(self, model: BetaPosterior, rounds: Rounds) -> Weighing:
        mean, seen, total = _empirical(model, rounds)
        log_t = np.log(np.maximum(total, 1.0))
        level = log_t + self.c * np.log(np.maximum(log_t, 1.0))
        budget = rounds.temperature[:, None] * level / np.maximum(seen, 1e-300)
        low, high = mean.copy(), np.ones_like(mean)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            inside = _divergence(mean, middle) <= budget
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        return _optimistic(self, np.where(seen > 0, low, np.inf), model, rounds)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BayesUCB(CountingPolicy):
    """The quantile `1 - 1 / t` of each Beta posterior (flat prior), in round t of the cell.

    In small problems its expected regret is close to the Bayes-optimal one.

    References:
        Kaufmann, Cappé and Garivier (2012), AISTATS.
    """

    @override
    def weigh(self, model: BetaPosterior, rounds: Rounds) -> Weighing:
        alpha, beta = model.alpha[rounds.cell], model.beta[rounds.cell]
        turn = (alpha + beta - 2.0).sum(axis=1, keepdims=True) + 1.0
        miss = np.minimum(1.0 / turn, 1.0) ** rounds.temperature[:, None]
        score = special.betaincinv(alpha, beta, np.clip(1.0 - miss, 0.0, 1.0))
        return _optimistic(self, score, model, rounds)


def _empirical(model: BetaPosterior, rounds: Rounds) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean and count of each arm, and the count of the cell."""
    wins, losses = model.alpha[rounds.cell] - 1.0, model.beta[rounds.cell] - 1.0
    seen = wins + losses
    mean = np.divide(wins, seen, out=np.zeros_like(wins), where=seen > 0)
    return mean, seen, seen.sum(axis=1, keepdims=True)


def _divergence(p: FloatArray, q: FloatArray) -> FloatArray:
    miss: FloatArray = special.rel_entr(p, q) + special.rel_entr(1 - p, 1 - q)
    return miss


def _optimistic(
    policy: CountingPolicy, score: FloatArray, model: BetaPosterior, rounds: Rounds
) -> Weighing:
    return Weighing(
        probability=greedy_share(score, rounds.eligible), best=policy.top(model, rounds, 1)
    )
