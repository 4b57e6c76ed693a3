"""Policies that explore without a posterior: uniform and epsilon-greedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.bandits.policies.base import Weighing
from siamrec.bandits.policies.counting import (
    BetaPosterior,
    CountingPolicy,
    greedy_share,
    mix,
    uniform_share,
)

if TYPE_CHECKING:
    from siamrec.bandits.policies.base import Rounds


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform(CountingPolicy):
    """Choose every eligible arm with the same probability, and still keep the counts.

    The log of a uniform bandit supports every off-policy estimate of any other policy.

    Examples:
        >>> from siamrec.bandits import ContextualBandit
        >>> ContextualBandit(Uniform(), arms=("a", "b", "c", "d")).select().propensities
        (0.25,)
    """

    @override
    def weigh(self, model: BetaPosterior, rounds: Rounds) -> Weighing:
        even = uniform_share(rounds.eligible, rounds.cell.size)
        return Weighing(probability=even, best=self.top(model, rounds, 1))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EpsilonGreedy(CountingPolicy):
    """Choose the arm with the best mean; with probability epsilon choose evenly instead.

    Ties share evenly. With `decay` the rate falls with the evidence N in the cell:
    epsilon_N = epsilon / (1 + N / decay). The temperature of a round multiplies epsilon.

    Args:
        epsilon: Share of even choice, in `[0, 1]`.
        decay: Number of rewards in a cell after which epsilon has halved; never when absent.

    Raises:
        InvalidParameterError: If epsilon is outside `[0, 1]` or decay not above 0.

    References:
        Auer, Cesa-Bianchi and Fischer (2002), Machine Learning 47.

    Examples:
        >>> from siamrec.bandits import ContextualBandit
        >>> bandit = ContextualBandit(EpsilonGreedy(epsilon=0.2), arms=("a", "b"))
        >>> first = bandit.select()
        >>> _ = bandit.learn(first.id, reward=1.0)
        >>> bandit.probabilities()[first.arm]
        0.9
    """

    epsilon: float = 0.1
    decay: float | None = None

    def __post_init__(self) -> None:
        check.share("epsilon", self.epsilon)
        if self.decay is not None:
            check.positive("decay", self.decay)

    @override
    def weigh(self, model: BetaPosterior, rounds: Rounds) -> Weighing:
        alpha, beta = model.alpha[rounds.cell], model.beta[rounds.cell]
        rate = self.epsilon * rounds.temperature
        if self.decay is not None:
            evidence = (alpha + beta - 2.0).sum(axis=1)
            rate = rate / (1.0 + evidence / self.decay)
        mixed = mix(
            greedy_share(alpha / (alpha + beta), rounds.eligible),
            uniform_share(rounds.eligible, rounds.cell.size),
            np.minimum(rate, 1.0),
        )
        return Weighing(probability=mixed, best=self.top(model, rounds, 1))
