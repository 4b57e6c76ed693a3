"""Lists instead of single choices, and logs of several policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from siamrec._core import check
from siamrec.bandits.ope.estimate import Estimate, Parts, diagnose, normal_interval
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from siamrec.typing import FloatArray


def slate_value(
    reward: FloatArray,
    propensity: FloatArray,
    target: FloatArray,
    *,
    interaction: Literal["independent", "cascade", "full"] = "cascade",
    alpha: float = 0.05,
) -> Estimate:
    """Return the expected total reward of a policy over lists, from a log of lists.

    The ranks of a list are drawn one after the other; w_l is the ratio of target to logged
    probability of rank l given the ranks above. The reward of rank l is weighed by

        independent   w_l                  it depends on its own item only
        cascade       w_1 ... w_l          on the items above as well: people read downwards
        full          w_1 ... w_L          on the whole list

    The stronger the assumption, the smaller the variance, and the bias if it is wrong.

    Args:
        reward: Reward of each rank, shape `(n, L)`.
        propensity: Logged probability of each rank given those above, in `(0, 1]`, same shape.
        target: The target's probability of the same, in `[0, 1]`.
        interaction: What the reward of a rank may depend on.
        alpha: One less the coverage of the interval.

    Raises:
        InvalidDataError: If shapes differ or a number is no probability.
        UnknownNameError: If the interaction is not known.

    References:
        Li et al. (2018), KDD (independent); McInerney et al. (2020), KDD (cascade).

    Examples:
        >>> even = np.full((100, 2), 0.5)
        >>> slate_value(np.ones((100, 2)), even, even).value
        2.0
    """
    check.one_of("interaction", interaction, ("independent", "cascade", "full"))
    r, p, q = (
        check.finite(name, values)
        for name, values in (("reward", reward), ("propensity", propensity), ("target", target))
    )
    if r.ndim != 2 or not r.shape == p.shape == q.shape:  # noqa: PLR2004
        raise InvalidDataError(
            f"reward, propensity and target must have one shape (n, L), got {r.shape}, "
            f"{p.shape}, {q.shape}."
        )
    if not (p.min() > 0 and p.max() <= 1 + 1e-9 and q.min() >= 0 and q.max() <= 1 + 1e-9):
        raise InvalidDataError("propensity must be in (0, 1] and target in [0, 1].")
    ratio: FloatArray = q / p
    weight = ratio
    if interaction != "independent":
        weight = np.asarray(np.cumprod(ratio, axis=1), dtype=np.float64)
    if interaction == "full":
        weight = np.repeat(weight[:, -1:], r.shape[1], axis=1)
    n = len(r)
    parts = Parts(base=np.zeros(n), top=(weight * r).sum(axis=1), below=np.ones(n))
    error, interval = normal_interval(parts, alpha)
    return Estimate(
        estimator=f"slate ips ({interaction})",
        raw=parts.value(),
        interval=interval,
        error=error,
        diagnostics=diagnose(np.asarray(weight[:, -1], dtype=np.float64)),
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
    if table.ndim != 2 or size.shape != table.shape[1:] or size.sum() <= 0:  # noqa: PLR2004
        raise InvalidDataError(f"by_logger must have shape (n, {size.size}), got {table.shape}.")
    mixed: FloatArray = table @ (size / size.sum())
    return mixed
