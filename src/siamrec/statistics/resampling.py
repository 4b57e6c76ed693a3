"""Bootstrap intervals and sign-flip tests, in blocks of matrix products."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from siamrec.typing import FloatArray

_BLOCK_CELLS = 1 << 22
_ALL_FLIPS = 20


def bootstrap_means(values: FloatArray, *, rng: np.random.Generator, resamples: int) -> FloatArray:
    """Return the means of resamples with replacement, shape `(resamples,)`."""
    n = values.size
    means = np.empty(resamples)
    rows = max(1, _BLOCK_CELLS // n)
    for low in range(0, resamples, rows):  # blocks bound the memory
        high = min(low + rows, resamples)
        means[low:high] = values[rng.integers(0, n, size=(high - low, n))].mean(axis=1)
    return means


def bootstrap_interval(
    values: FloatArray,
    *,
    method: str = "bca",
    confidence: float = 0.95,
    rng: np.random.Generator,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Return a bootstrap interval of a mean.

    Args:
        values: One finite value for each user, shape `(n,)`.
        method: `"percentile"`, or `"bca"`: percentiles shifted for bias and for skewness.
        confidence: Level, in (0, 1).
        rng: Source of the resamples.
        resamples: Number of resamples, at least 100.

    Returns:
        Lower and upper bound; unbounded for fewer than two values.

    Raises:
        siamrec.errors.UnknownNameError: If the method is unknown.
        siamrec.errors.InvalidParameterError: If a setting is out of range.

    References:
        Efron (1987), "Better bootstrap confidence intervals", JASA 82(397).
    """
    check.one_of("method", method, ("percentile", "bca"))
    check.share("confidence", confidence, open_ends=True)
    check.count("resamples", resamples, least=100)
    if values.size < 2:
        return (-math.inf, math.inf)
    means = bootstrap_means(values, rng=rng, resamples=resamples)
    ends = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if method == "bca":
        deviation = values - values.mean()  # the jackknife of a mean has a closed form
        ends = _corrected(ends, float(values.mean()), deviation, means)
    low, high = np.quantile(means, ends)
    return float(low), float(high)


def _corrected(
    ends: FloatArray, centre: float, deviation: FloatArray, draws: FloatArray
) -> FloatArray:
    """Return the percentiles of the BCa method, skewness from jackknife deviations."""
    from scipy.special import ndtr, ndtri  # half of the import time

    below = (np.count_nonzero(draws < centre) + 0.5) / (draws.size + 1)
    bias = ndtri(below)
    spread = (deviation**2).sum()
    skew = (deviation**3).sum() / (6 * spread**1.5) if spread > 0 else 0.0
    shifted = bias + ndtri(ends)
    corrected: FloatArray = ndtr(bias + shifted / (1 - skew * shifted))
    return corrected


def sign_flip(
    difference: FloatArray, *, rng: np.random.Generator, resamples: int = 10_000
) -> tuple[float, bool]:
    """Return the two-sided p-value of a mean of 0 under random signs.

    If neither system is better, each difference is as likely with either sign. All `2^n` sign
    patterns are taken up to `n = 20`; beyond, `p = (b + 1) / (B + 1)` over `B` random patterns,
    so p is never 0.

    Args:
        difference: Finite paired differences, shape `(n,)`.
        rng: Source of the signs.
        resamples: Number of random patterns, at least 100.

    Returns:
        The p-value, and whether it is exact.

    Raises:
        siamrec.errors.InvalidParameterError: If `resamples` is below 100.

    References:
        Fisher (1935), The Design of Experiments; Phipson and Smyth (2010), SAGMB 9(1).

    Examples:
        >>> sign_flip(np.array([1.0, 2.0, 3.0]), rng=np.random.default_rng(0))
        (0.25, True)
    """
    if difference.size == 0:
        raise InvalidParameterError("difference", difference.size, "one or more differences")
    p = sign_flips(difference[:, None], rng=rng, resamples=resamples)
    return float(p[0]), bool(np.count_nonzero(difference) <= _ALL_FLIPS)


def sign_flips(
    table: FloatArray, *, rng: np.random.Generator, resamples: int = 10_000
) -> FloatArray:
    """Return the p-values of `sign_flip` for several columns under the same signs of the rows.

    Args:
        table: Finite differences, a row for each user, shape `(n, m)`; a 0 has no say, so it may
            stand where a column is not defined.
        rng: Source of the signs.
        resamples: Number of random patterns, at least 100.

    Returns:
        The p-values, shape `(m,)`.

    Raises:
        siamrec.errors.InvalidParameterError: If `resamples` is below 100.
    """
    check.count("resamples", resamples, least=100)
    p = np.ones(table.shape[1])
    many = np.count_nonzero(table, axis=0) > _ALL_FLIPS
    for column in np.flatnonzero(~many):
        moved = table[table[:, column] != 0, column]
        p[column] = np.mean(np.abs(_all_sums(moved)) >= _reached(moved.sum()))
    if many.any():
        columns = table[:, many]
        total = columns.sum(axis=0)
        extreme = np.zeros(total.size, dtype=np.int64)
        rows = max(1, _BLOCK_CELLS // len(table))
        for low in range(0, resamples, rows):  # blocks bound the memory
            size = (min(low + rows, resamples) - low, (len(table) + 7) // 8)
            bits = rng.integers(0, 256, size=size, dtype=np.uint8)
            plus = np.unpackbits(bits, axis=1, count=len(table)).astype(np.float64)
            sums = 2.0 * (plus @ columns) - total
            extreme += np.count_nonzero(np.abs(sums) >= _reached(total), axis=0)
        p[many] = (extreme + 1) / (resamples + 1)
    return p


def _reached(total: FloatArray) -> FloatArray:
    """Return the size from which on a sum is as extreme as the one found, less rounding."""
    return np.abs(total) * (1 - 1e-12)


def _all_sums(moved: FloatArray) -> FloatArray:
    """Return the sums under all sign patterns, doubling the list with each difference."""
    sums = np.zeros(1)
    for value in moved:  # at most 20 steps
        sums = np.concatenate((sums - value, sums + value))
    return sums
