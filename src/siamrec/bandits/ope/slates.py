"""Lists instead of single choices, and logs of several policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from siamrec._core import check
from siamrec.bandits.ope.estimate import (
    Parts,
    ValueEstimate,
    diagnose,
    effective_size,
    normal_interval,
)
from siamrec.errors import InvalidDataError, InvalidParameterError

if TYPE_CHECKING:
    from siamrec.typing import FloatArray, IntArray


def slate_value(
    reward: FloatArray,
    propensity: FloatArray,
    target: FloatArray,
    *,
    interaction: Literal["independent", "additive", "cascade", "full"] = "cascade",
    confidence: float = 0.95,
) -> ValueEstimate:
    """Return the expected total reward of a policy over lists, from a log of lists.

    The ranks of a list are drawn one after the other; w_l is the ratio of target to logged
    probability of rank l given the ranks above. The reward of rank l is weighed by

        independent   w_l                       it depends on its own item only
        additive      1 - L + w_1 + ... + w_L   the total is a sum over ranks of unknown parts
        cascade       w_1 ... w_l               on the items above as well: people read downwards
        full          w_1 ... w_L               on the whole list

    The stronger the assumption, the smaller the variance, and the larger the bias if it is
    wrong. `"additive"` is the pseudo-inverse estimator of a log whose ranks were drawn
    independently of each other (repeats allowed); for other logs see `pseudo_inverse_value`.

    Args:
        reward: Reward of each rank, shape `(n, L)`.
        propensity: Logged probability of each rank given those above, in `(0, 1]`, same shape.
        target: The target's probability of the same, in `[0, 1]`.
        interaction: What the reward of a rank may depend on.
        confidence: Level of the interval, in (0, 1).

    Raises:
        InvalidDataError: If shapes differ or a number is no probability.
        UnknownNameError: If the interaction is not known.

    References:
        Li et al. (2018), KDD (independent); Swaminathan et al. (2017), NeurIPS (additive);
        McInerney et al. (2020), KDD (cascade).

    Examples:
        >>> even, clicks = np.full((100, 2), 0.5), np.tile([[1.0, 0.0], [1.0, 2.0]], (50, 1))
        >>> slate_value(clicks, even, even).value
        2.0
    """
    check.one_of("interaction", interaction, ("independent", "additive", "cascade", "full"))
    r, p, q = (
        check.finite(name, values)
        for name, values in (("reward", reward), ("propensity", propensity), ("target", target))
    )
    if r.ndim != 2 or not r.shape == p.shape == q.shape:
        raise InvalidDataError(
            f"reward, propensity and target must have one shape (n, L), got {r.shape}, "
            f"{p.shape}, {q.shape}."
        )
    if not (p.min() > 0 and p.max() <= 1 + 1e-9 and q.min() >= 0 and q.max() <= 1 + 1e-9):
        raise InvalidDataError("propensity must be in (0, 1] and target in [0, 1].")
    ratio: FloatArray = q / p
    weight = ratio
    if interaction == "additive":
        weight = np.repeat(1 + (ratio - 1).sum(axis=1, keepdims=True), r.shape[1], axis=1)
    elif interaction != "independent":
        weight = np.asarray(np.cumprod(ratio, axis=1), dtype=np.float64)
    if interaction == "full":
        weight = np.repeat(weight[:, -1:], r.shape[1], axis=1)
    n = len(r)
    parts = Parts(base=np.zeros(n), top=(weight * r).sum(axis=1), below=np.ones(n))
    worst = min(weight.T, key=effective_size)  # a rank that a target hardly reaches
    error, interval = normal_interval(parts, confidence, alike=effective_size(worst))
    return ValueEstimate(
        estimator=f"slate ips ({interaction})",
        raw=parts.value(),
        interval=interval,
        error=error,
        diagnostics=diagnose(worst, r.sum(axis=1)),
    )


def uniform_ranking_moments(n_ranks: int, n_items: int) -> FloatArray:
    """Return the moments of rankings drawn evenly without repeats, for `pseudo_inverse_value`.

    Raises:
        InvalidParameterError: If there are fewer items than ranks, or no rank.

    Examples:
        >>> uniform_ranking_moments(1, 2).tolist()
        [[0.5, 0.0], [0.0, 0.5]]
    """
    n_ranks, n_items = check.count("n_ranks", n_ranks), check.count("n_items", n_items)
    if n_items < n_ranks:
        raise InvalidParameterError("n_items", n_items, f"at least {n_ranks}, the ranks")
    pair = 1 / (n_items * (n_items - 1)) if n_items > 1 else 0.0
    other = pair * (1 - np.eye(n_items))
    same = np.eye(n_items) / n_items
    blocks = np.kron(1 - np.eye(n_ranks), other) + np.kron(np.eye(n_ranks), same)
    return np.asarray(blocks, dtype=np.float64)


def pseudo_inverse_value(
    reward: FloatArray,
    slate: IntArray,
    target: FloatArray,
    moments: FloatArray,
    *,
    confidence: float = 0.95,
) -> ValueEstimate:
    """Return the expected reward of a policy over whole lists whose reward is a sum over ranks.

    One number is known for each list, and it is taken to be a sum over ranks of unknown parts
    that depend on rank, item and round. With 1_s the indicator of a list over pairs of rank and
    item, q the target's expectation of it and G = E[1_s 1_s'] under the logging policy,

        value = mean( reward * q' G^+ 1_s ).

    Unbiased under that assumption when the log covers every pair of rank and item that the
    target uses; the weights grow with the number of pairs, not with the number of lists.

    Args:
        reward: Reward of each list, shape `(n,)`.
        slate: Item of each rank, codes from 0, shape `(n, L)`.
        target: Probability with which the target puts each item on each rank, shape
            `(L, n_items)` or `(n, L, n_items)`.
        moments: G, the probability of every two (rank, item) pairs together under the logging
            policy, rank-major, shape `(L n_items, L n_items)`; for rankings drawn evenly, see
            `uniform_ranking_moments`.
        confidence: Level of the interval, in (0, 1).

    Raises:
        InvalidDataError: If shapes do not fit, an item is unknown or a row of the target is no
            distribution.

    References:
        Swaminathan, Krishnamurthy, Agarwal, Dudik, Langford, Jose, Zitouni (2017), NeurIPS:
        off-policy evaluation for slate recommendation.
    """
    r, g = check.finite("reward", reward), check.finite("moments", moments)
    wanted, items = check.finite("target", target), np.asarray(slate, dtype=np.int64)
    if items.ndim != 2 or r.shape != items.shape[:1]:
        raise InvalidDataError(
            f"reward and slate must have shapes (n,) and (n, L), got {r.shape}, {items.shape}."
        )
    (n, n_ranks), n_items = items.shape, wanted.shape[-1] if wanted.ndim else 0
    if wanted.shape not in {(n_ranks, n_items), (n, n_ranks, n_items)}:
        raise InvalidDataError(f"target must have shape ({n_ranks}, n_items), got {wanted.shape}.")
    if wanted.min() < 0 or np.abs(wanted.sum(axis=-1) - 1).max() > 1e-6:
        raise InvalidDataError("target must hold a distribution over items for each rank.")
    if g.shape != (n_ranks * n_items,) * 2:
        raise InvalidDataError(
            f"moments must have shape {(n_ranks * n_items,) * 2}, got {g.shape}."
        )
    if items.min() < 0 or items.max() >= n_items:
        raise InvalidDataError(f"slate must hold codes 0 to {n_items - 1}.")
    place = items + np.arange(n_ranks) * n_items
    inverse = np.linalg.pinv(g, rcond=1e-10, hermitian=True)
    if wanted.ndim == 2:
        weight = (wanted.reshape(-1) @ inverse)[place].sum(axis=1)
    else:
        lifted = wanted.reshape(n, -1) @ inverse
        weight = np.take_along_axis(lifted, place, axis=1).sum(axis=1)
    parts = Parts(base=np.zeros(n), top=weight * r, below=np.ones(n))
    weights: FloatArray = np.asarray(weight, dtype=np.float64)
    error, interval = normal_interval(parts, confidence, alike=effective_size(weights))
    return ValueEstimate(
        estimator="slate pseudo-inverse",
        raw=parts.value(),
        interval=interval,
        error=error,
        diagnostics=diagnose(weights, r),
    )


def pooled_propensity(by_logger: FloatArray, n_rows: FloatArray) -> FloatArray:
    """Return the propensity of rows that were logged by several policies.

    A row counts as drawn from the mixture of all loggers, whoever made it: weights are then
    bounded by the best logger, where weighing each row by its own logger alone is not.

    Args:
        by_logger: Probability with which each logger would have made the logged choice, shape
            `(n, n_loggers)`.
        n_rows: Rows that each logger has made.

    Raises:
        InvalidDataError: If shapes do not fit.

    References:
        Agarwal, Basu, Schnabel, Joachims (2017), KDD: balanced estimators.

    Examples:
        >>> pooled_propensity(np.array([[0.2, 0.6]]), np.array([300, 100])).round(3).tolist()
        [0.3]
    """
    table, size = check.finite("by_logger", by_logger), check.finite("n_rows", n_rows)
    if table.ndim != 2 or size.shape != table.shape[1:] or size.sum() <= 0:
        raise InvalidDataError(f"by_logger must have shape (n, {size.size}), got {table.shape}.")
    mixed: FloatArray = table @ (size / size.sum())
    return mixed
