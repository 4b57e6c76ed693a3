"""Tests and correlations that look at ranks alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidDataError
from siamrec.statistics.tails import two_sided_z

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.typing import FloatArray

_EXACT_BELOW = 26


def average_ranks(values: npt.ArrayLike) -> FloatArray:
    """Return ranks from 1; equal values share the mean of their ranks.

    Raises:
        InvalidDataError: If a value is NaN: it has no rank.
    """
    values = np.asarray(values)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    if ordered.size and ordered[-1] != ordered[-1]:  # NaN is sorted to the end
        raise InvalidDataError("values must not be NaN to be ranked.")
    opens = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    block = opens.cumsum() - 1
    first = np.flatnonzero(opens)
    last = np.concatenate((first[1:], [values.size]))
    ranks = np.empty(values.size)
    ranks[order] = ((first + last + 1) / 2.0)[block]
    return ranks


def wilcoxon(difference: npt.ArrayLike) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test; 1 where nothing differs.

    Zeros are dropped. Up to 25 untied differences the distribution is exact; beyond, or with
    ties, a normal approximation with correction for ties and continuity is taken.

    Raises:
        InvalidDataError: If a difference is NaN.

    References:
        Wilcoxon (1945), Biometrics Bulletin 1(6).

    Examples:
        >>> round(wilcoxon(np.array([1.0, 2.0, 3.0, 4.0, 5.0])), 4)
        0.0625
    """
    difference = np.asarray(difference, np.float64)
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
    return two_sided_z(z)[0]


def _exact_share(n: int, smaller: int) -> float:
    """Return the share of sign patterns whose positive rank sum is at most `smaller`."""
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, n + 1):  # at most 25 steps
        ways[rank:] += ways[:-rank].copy()
    return float(ways[: smaller + 1].sum() / ways.sum())


def mann_whitney(treatment: FloatArray, control: FloatArray) -> tuple[float, float]:
    """Return P(treatment > control) + P(equal) / 2, and a two-sided p-value.

    Up to 25 values a side and without ties the distribution is exact; beyond, a normal
    approximation with correction for ties is taken.

    Args:
        treatment: Outcomes of the treatment, finite.
        control: Outcomes of the control, finite.

    Raises:
        InvalidDataError: If a variant has no outcome.

    References:
        Mann and Whitney (1947), Annals of Mathematical Statistics 18.

    Examples:
        >>> mann_whitney(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
        (0.0, 0.1)
    """
    a, b = check.finite("treatment", treatment), check.finite("control", control)
    if not a.size or not b.size:
        raise InvalidDataError("Both variants must have outcomes.")
    both = np.concatenate([a, b])
    ranks, n, pairs = average_ranks(both), both.size, a.size * b.size
    wins = float(ranks[: a.size].sum()) - a.size * (a.size + 1) / 2
    share = wins / pairs
    sizes = np.unique(ranks, return_counts=True)[1].astype(np.float64)
    if max(a.size, b.size) < _EXACT_BELOW and sizes.max() == 1:
        return share, min(1.0, 2.0 * _share_of_sums(a.size, n, int(min(wins, pairs - wins))))
    ties = float((sizes**3 - sizes).sum())
    variance = pairs / 12 * (n + 1 - ties / (n * (n - 1))) if n > 1 else 0.0
    if variance <= 0:
        return share, 1.0
    return share, two_sided_z((wins - pairs / 2) / math.sqrt(variance))[0]


def _share_of_sums(size: int, n: int, wins: int) -> float:
    """Return the share of choices of `size` of n ranks that win at most `wins` of all pairs."""
    least = size * (size + 1) // 2
    ways = np.zeros((size + 1, least + wins + 1))  # by how many were taken, and their sum
    ways[0, 0] = 1.0
    for rank in range(1, min(n, least + wins) + 1):  # at most 50 steps
        ways[1:, rank:] += ways[:-1, :-rank].copy()
    return float(ways[size, least:].sum()) / math.comb(n, size)
