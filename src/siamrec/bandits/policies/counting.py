"""Policies over counts of wins and losses: what they share."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Arrays
from siamrec.bandits.policies._beta import (
    best_beta,
    beta_sums,
    count_beta,
    estimate_beta,
    non_negative,
)
from siamrec.bandits.policies.base import Policy

if TYPE_CHECKING:
    from siamrec.bandits.policies.base import Estimates, Outcomes, Rounds, Space, Sums
    from siamrec.typing import BoolArray, FloatArray


@final
@dataclass(frozen=True, slots=True, repr=False)
class BetaPosterior(Arrays):
    """Beta posterior of every cell and arm, each array `(n_cells, n_arms)`."""

    alpha: FloatArray
    beta: FloatArray


class CountingPolicy(Policy[BetaPosterior], ABC):
    """A policy that needs nothing but wins and losses of each cell and arm.

    A subclass says how to weigh arms; confidences and intervals are those of Beta posteriors,
    under flat priors where it has none of its own, so that all such policies report alike.
    """

    @property
    def prior(self) -> tuple[float, float]:
        """Pseudo-counts of wins and losses before any data."""
        return 1.0, 1.0

    @final
    @override
    def init(self, space: Space) -> Sums:
        return beta_sums(space)

    @final
    @override
    def accumulate(self, sums: Sums, outcomes: Outcomes) -> None:
        count_beta(sums, outcomes)

    @final
    @override
    def posterior(self, sums: Sums, space: Space) -> BetaPosterior:
        wins, losses = self.prior
        return BetaPosterior(
            wins + non_negative(sums["wins"]), losses + non_negative(sums["losses"])
        )

    @final
    @override
    def top(self, model: BetaPosterior, rounds: Rounds, n: int) -> FloatArray:
        return best_beta(model.alpha[rounds.cell], model.beta[rounds.cell], rounds, n)

    @final
    @override
    def estimate(self, model: BetaPosterior, rounds: Rounds) -> Estimates:
        return estimate_beta(model.alpha[rounds.cell], model.beta[rounds.cell])


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
