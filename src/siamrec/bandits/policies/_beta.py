"""What every policy over Beta posteriors shares: counts, exact shares, intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec._core import special
from siamrec.bandits.policies import _quadrature
from siamrec.bandits.policies.base import Estimates, Weighing, tally

if TYPE_CHECKING:
    from siamrec.bandits.policies.base import Outcomes, Rounds, Space, Sums
    from siamrec.typing import FloatArray

_BLOCK = 2_000_000
"""Numbers per array in one quadrature pass; bounds memory at about 16 MB an array."""
_NODES_PER_ARM = 104
_TAIL = 0.025


def beta_sums(space: Space) -> Sums:
    """Return zero counts of wins and losses, each `(n_cells, n_arms)`."""
    shape = (space.n_cells, space.n_arms)
    return {"wins": np.zeros(shape), "losses": np.zeros(shape)}


def count_beta(sums: Sums, outcomes: Outcomes) -> None:
    """Count a reward `r` of weight `w` as `w r` of a win and `w (1 - r)` of a loss."""
    slot = outcomes.cell * sums["wins"].shape[1] + outcomes.arm
    won = outcomes.weight * outcomes.reward
    tally(sums["wins"], slot, won)
    tally(sums["losses"], slot, outcomes.weight - won)


def weigh_beta(alpha: FloatArray, beta: FloatArray, rounds: Rounds) -> Weighing:
    """Return Thompson's exact shares for Beta posteriors of shape `(n, n_arms)`.

    A temperature t turns Beta(a, b) into Beta(a / t, b / t): the same mean, t times less
    evidence.
    """
    best = best_beta(alpha, beta, rounds)
    if (rounds.temperature == 1.0).all():
        return Weighing(probability=best, best=best)
    heat = rounds.temperature[:, None]
    return Weighing(probability=best_beta(alpha / heat, beta / heat, rounds), best=best)


def best_beta(alpha: FloatArray, beta: FloatArray, rounds: Rounds, n: int = 1) -> FloatArray:
    """Return the probability of each eligible arm to be among the best `n`."""
    mask = rounds.eligible
    if mask.sum() <= n:
        return np.repeat(mask[None].astype(float), len(alpha), axis=0)
    alpha, beta = alpha[:, mask], beta[:, mask]
    rows = max(1, _BLOCK // (alpha.shape[1] ** 2 * _NODES_PER_ARM))
    parts = []
    for start in range(0, len(alpha), rows):  # blocks of rounds, to bound memory
        part = slice(start, start + rows)
        grid = _quadrature.beta_grid(alpha[part], beta[part])
        parts.append(_quadrature.best(grid) if n == 1 else _quadrature.top(grid, n))
    return _quadrature.spread(np.concatenate(parts) if len(parts) > 1 else parts[0], mask)


def estimate_beta(alpha: FloatArray, beta: FloatArray) -> Estimates:
    """Return means and equal-tailed 95 % credible intervals."""
    return Estimates(
        mean=alpha / (alpha + beta),
        low=special.betaincinv(alpha, beta, _TAIL),
        high=special.betaincinv(alpha, beta, 1 - _TAIL),
    )


def non_negative(total: FloatArray) -> FloatArray:
    """Return sums of counts without what rounding leaves below zero after corrections."""
    return np.maximum(total, 0.0)
