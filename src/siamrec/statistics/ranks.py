"""Tests and correlations that look at ranks alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from siamrec.typing import FloatArray

_EXACT_BELOW = 26


def average_ranks(values: FloatArray) -> FloatArray:
    """Return ranks from 1; equal values share the mean of their ranks."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    opens = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    block = opens.cumsum() - 1
    first = np.flatnonzero(opens)
    last = np.concatenate((first[1:], [values.size]))
    ranks = np.empty(values.size)
    ranks[order] = ((first + last + 1) / 2.0)[block]
    return ranks


def wilcoxon(difference: FloatArray) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test; 1 where nothing differs.

    Zeros are dropped. Up to 25 untied differences the distribution is exact; beyond, or with
    ties, a normal approximation with correction for ties and continuity is taken.

    References:
        Wilcoxon (1945), Biometrics Bulletin 1(6).

    Examples:
        >>> round(wilcoxon(np.array([1.0, 2.0, 3.0, 4.0, 5.0])), 4)
        0.0625
    """
    from scipy.special import ndtr  # half of the import time

    moved = difference[difference != 0]
    n = moved.size
    if not n:
        return 1.0
    ranks = average_ranks(np.abs(moved))
    positive = float(ranks[moved > 0].sum())
    total = n * (n + 1) / 2
    smaller = min(positive, total - positive)
    sizes = np.unique(ranks, return_counts=True)[1].astype(np.float64)
    if n < _EXACT_BELOW and sizes.max() == 1:
        return min(1.0, 2.0 * _exact_share(n, int(smaller)))
    variance = n * (n + 1) * (2 * n + 1) / 24 - float((sizes**3 - sizes).sum()) / 48
    z = min(0.0, (smaller + 0.5 - total / 2) / math.sqrt(variance))
    return max(min(1.0, 2.0 * float(ndtr(z))), float(np.finfo(np.float64).tiny))


def _exact_share(n: int, smaller: int) -> float:
    """Return the share of sign patterns whose positive rank sum is at most `smaller`."""
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, n + 1):  # at most 25 steps
        ways[rank:] += ways[:-rank].copy()
    return float(ways[: smaller + 1].sum() / ways.sum())
