"""Policies that explore without a posterior: uniform and epsilon-greedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.bandits._beta import best_beta, beta_sums, count_beta, estimate_beta, non_negative
from siamrec.bandits.base import Policy, Weighing
from siamrec.bandits.thompson import BetaPosterior

if TYPE_CHECKING:
    from siamrec.bandits.base import Estimates, Outcomes, Rounds, Space, Sums
    from siamrec.typing import BoolArray, FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform(Policy[BetaPosterior]):
    """Choose every eligible arm with the same probability, and still keep the counts.

    The log of a uniform bandit supports every off-policy estimate of any other policy.

    Examples:
        >>> from siamrec.bandits import ContextualBandit
        >>> ContextualBandit(Uniform(), arms=("a", "b", "c", "d")).select().propensities
        (0.25,)
    """

    @property
    @override
    def name(self) -> str:
        return "uniform"

    @override
    def init(self, space: Space) -> Sums:
        return beta_sums(space)

    @override
    def accumulate(self, sums: Sums, outcomes: Outcomes) -> None:
        count_beta(sums, outcomes)

    @override
    def posterior(self, sums: Sums, space: Space) -> BetaPosterior:
        return flat_posterior(sums)

    @override
    def weigh(self, model: BetaPosterior, rounds: Rounds) -> Weighing:
        even = uniform_share(rounds.eligible, rounds.cell.size)
        return Weighing(probability=even, best=self.top(model, rounds, 1))

    @override
    def top(self, model: BetaPosterior, rounds: Rounds, n: int) -> FloatArray:
        return best_beta(model.alpha[rounds.cell], model.beta[rounds.cell], rounds, n)

    @override
    def estimate(self, model: BetaPosterior, rounds: Rounds) -> Estimates:
        return estimate_beta(model.alpha[rounds.cell], model.beta[rounds.cell])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EpsilonGreedy(Policy[BetaPosterior]):
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

    @property
    @override
    def name(self) -> str:
        return "epsilon-greedy"

    @override
    def init(self, space: Space) -> Sums:
        return beta_sums(space)

    @override
    def accumulate(self, sums: Sums, outcomes: Outcomes) -> None:
        count_beta(sums, outcomes)

    @override
    def posterior(self, sums: Sums, space: Space) -> BetaPosterior:
        return flat_posterior(sums)

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

    @override
    def top(self, model: BetaPosterior, rounds: Rounds, n: int) -> FloatArray:
        return best_beta(model.alpha[rounds.cell], model.beta[rounds.cell], rounds, n)

    @override
    def estimate(self, model: BetaPosterior, rounds: Rounds) -> Estimates:
        return estimate_beta(model.alpha[rounds.cell], model.beta[rounds.cell])


def flat_posterior(sums: Sums) -> BetaPosterior:
    """Return the posterior under flat priors; policies that need none report by it."""
    return BetaPosterior(1.0 + non_negative(sums["wins"]), 1.0 + non_negative(sums["losses"]))


def uniform_share(eligible: BoolArray, n: int) -> FloatArray:
    """Return equal probabilities for the eligible arms, `n` rows of them."""
    return np.repeat((eligible / eligible.sum())[None], n, axis=0)


def greedy_share(score: FloatArray, eligible: BoolArray) -> FloatArray:
    """Return probability 1 for the best eligible score, shared evenly among ties."""
    masked = np.where(eligible, score, -np.inf)
    leads = masked >= masked.max(axis=1, keepdims=True)
    share: FloatArray = leads / leads.sum(axis=1, keepdims=True)
    return share


def mix(first: FloatArray, second: FloatArray, share: FloatArray) -> FloatArray:
    """Return `(1 - share) * first + share * second`, a share per row."""
    mixed: FloatArray = first + share[:, None] * (second - first)
    return mixed
