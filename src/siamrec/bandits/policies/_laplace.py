"""Logistic regressions of several arms at once: the best weights and how certain they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec._core import special

if TYPE_CHECKING:
    from siamrec.typing import FloatArray

_STEPS = 30
_TOLERANCE = 1e-9
_LONGEST_STEP = 4.0
"""Longest Newton step on the logit scale: keeps the first steps inside the quadratic basin."""


def laplace(
    wins: FloatArray,
    total: FloatArray,
    rows: FloatArray,
    centre: FloatArray,
    precision: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return Laplace's approximation of the posterior of logistic weights, by Newton's method.

    Args:
        wins: Wins of each row and arm, shape `(n, n_arms)`.
        total: Trials of the same.
        rows: Features, shape `(n, d)`.
        centre: Prior means, shape `(d,)`.
        precision: Prior precisions, shape `(d,)`.

    Returns:
        Weights `(n_arms, d)` and their covariances `(n_arms, d, d)`.
    """
    n_arms = wins.shape[1]
    weight = np.repeat(centre[None], n_arms, axis=0)
    curvature = np.repeat(np.diag(precision)[None], n_arms, axis=0)
    for _ in range(_STEPS):
        rate = special.expit(rows @ weight.T)
        pull = (wins - total * rate).T @ rows - precision * (weight - centre)
        spread = (total * rate * (1 - rate)).T
        curvature = (spread[:, None, :] * rows.T) @ rows + np.diag(precision)
        step = np.linalg.solve(curvature, pull[..., None])[..., 0]
        longest = np.abs(step).max(axis=1, keepdims=True)
        weight = weight + step * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))
        if longest.max() < _TOLERANCE:
            break
    return weight, np.asarray(np.linalg.inv(curvature), dtype=np.float64)
