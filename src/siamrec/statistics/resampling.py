"""Bootstrap, permutation and sign flips, in blocks that bound the memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from siamrec._core import check, special
from siamrec._core.chance import Chance, generator
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.statistics.effect import Effect
from siamrec.statistics.means import UNBOUNDED, Range

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.typing import FloatArray, IntArray

Method: TypeAlias = Literal["percentile", "bca"]
"""Percentiles of the resamples, or these shifted for bias and skewness."""

_METHODS = ("percentile", "bca")
_BLOCK_CELLS = 1 << 22
_ALL_FLIPS = 20
_JACKKNIFE = 2000
"""Units that are left out in turn, at most."""


def bootstrap_interval(
    values: FloatArray,
    weights: FloatArray | None = None,
    *,
    method: Method = "bca",
    confidence: float = 0.95,
    rng: Chance,
    resamples: int = 2000,
    within: Range = UNBOUNDED,
) -> tuple[float, float]:
    """Return a bootstrap interval of a mean, or of a ratio of sums, over users.

    Args:
        values: One finite value for each user, shape `(n,)`.
        weights: What the sum of values is divided by: one number for each user that is not
            negative, shape `(n,)`; without it, the number of users.
        method: `"percentile"`, or `"bca"`: percentiles shifted for bias and for skewness.
        confidence: Level, in (0, 1).
        rng: Source of the resamples.
        resamples: Number of resamples, at least 100.
        within: The least and the greatest value that the mean can have.

    Returns:
        Lower and upper bound; those of `within` for fewer than two users, and where all
        resamples agree: they say nothing then.

    Raises:
        siamrec.errors.UnknownNameError: If the method is unknown.
        siamrec.errors.InvalidDataError: If lengths differ or a number is out of range.
        siamrec.errors.InvalidParameterError: If a setting is out of range.

    References:
        Efron (1987), "Better bootstrap confidence intervals", JASA 82(397); Efron and Tibshirani
        (1993), An Introduction to the Bootstrap, chapter 8 (ratios over clusters).
    """
    rng = generator(rng)
    check.one_of("method", method, _METHODS)
    check.share("confidence", confidence, open_ends=True)
    check.count("resamples", resamples, least=100)
    top = check.finite("values", values)
    below = np.ones(top.size) if weights is None else check.finite("weights", weights)
    check.same_length(values=top, weights=below)
    if below.size and below.min() < 0:
        raise InvalidDataError(f"weights must not be negative, got {below.min():g}.")
    if top.size < 2 or not below.sum() > 0:
        return within
    draws = _ratios(top, None if weights is None else below, rng=rng, resamples=resamples)
    draws = draws[np.isfinite(draws)]
    if not draws.size or draws.min() == draws.max():
        return within
    levels = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if method == "bca":
        whole = float(top.sum() / below.sum())
        away = (top - whole * below) / below.sum()  # the jackknife of a ratio, to first order
        levels = bca_levels(levels, whole, draws, [(-away, np.ones(away.size))])
    return _cut(np.quantile(draws, levels), within)


def _ratios(
    top: FloatArray, below: FloatArray | None, *, rng: np.random.Generator, resamples: int
) -> FloatArray:
    """Return the means, or the ratios, of resamples of users with replacement."""
    n = top.size
    ratios = np.empty(resamples)
    rows = max(1, _BLOCK_CELLS // n)
    for low in range(0, resamples, rows):  # blocks bound the memory
        high = min(low + rows, resamples)
        chosen = rng.integers(0, n, size=(high - low, n))
        if below is None:
            ratios[low:high] = top[chosen].mean(axis=1)
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios[low:high] = top[chosen].sum(axis=1) / below[chosen].sum(axis=1)
    return ratios


def _cut(ends: FloatArray, within: Range) -> tuple[float, float]:
    low, high = np.clip(ends, *within).tolist()
    return low, high


def bootstrap(
    treatment: FloatArray,
    control: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    *,
    rng: Chance,
    method: Method = "bca",
    resamples: int = 2000,
    alpha: float = 0.05,
    within: Range = UNBOUNDED,
) -> Effect:
    """Return the difference of any statistic with a bootstrap interval.

    Args:
        treatment: Outcomes of the treatment, one per unit.
        control: Outcomes of the control.
        statistic: Maps an array `(m, n)` to one value per row, such as
            `lambda rows: np.median(rows, axis=1)`.
        rng: Source of chance.
        method: Percentile, or bias-corrected and accelerated.
        resamples: Number of resamples, at least 100.
        alpha: One less the coverage.
        within: The least and the greatest difference that there can be.

    Returns:
        The effect; its p-value is the least alpha whose percentile interval leaves 0 out, not
        below 1 / resamples. Where all resamples agree they say nothing about the error: the
        interval is that of `within` and p is 1.

    Raises:
        InvalidDataError: If a variant has fewer than 2 outcomes.
        InvalidParameterError: If a number is out of range.

    References:
        Efron (1987), JASA 82: better bootstrap confidence intervals.
    """
    rng = generator(rng)
    check.one_of("method", method, _METHODS)
    check.count("resamples", resamples, least=100)
    check.share("alpha", alpha, open_ends=True)
    samples = [check.finite(n, v) for n, v in (("treatment", treatment), ("control", control))]
    if min(each.size for each in samples) < 2:
        raise InvalidDataError("Both variants must have 2 outcomes or more.")
    first, second = (float(np.asarray(statistic(each[None]))[0]) for each in samples)
    estimate = first - second
    drawn = [_resampled(each, statistic, resamples, rng) for each in samples]
    gaps = drawn[0] - drawn[1]
    levels = np.array([alpha / 2, 1 - alpha / 2])
    if method == "bca" and gaps.min() < gaps.max():
        left_out = [
            (sign * row, weight)
            for sign, each in zip((1.0, -1.0), samples, strict=True)
            for row, weight in [_without_each(each, statistic)]
        ]
        levels = bca_levels(levels, estimate, gaps, left_out)
    return effect_of_draws(estimate, gaps, levels, rule=f"bootstrap ({method})", within=within)


def effect_of_draws(
    estimate: float,
    draws: FloatArray,
    levels: FloatArray,
    *,
    rule: str,
    within: Range = UNBOUNDED,
) -> Effect:
    """Return an effect from the differences of resamples: see `bootstrap`."""
    interval, p = within, 1.0
    if draws.min() < draws.max():
        interval = _cut(np.quantile(draws, levels), within)
        below = float((draws < 0).mean() + (draws == 0).mean() / 2)
        p = min(max(2 * min(below, 1 - below), 1 / draws.size), 1.0)
    return Effect(
        estimate=estimate,
        interval=interval,
        p=p,
        log_p=math.log(p),
        error=float(draws.std(ddof=1)),
        rule=rule,
    )


def bca_levels(
    levels: FloatArray,
    estimate: float,
    draws: FloatArray,
    left_out: list[tuple[FloatArray, FloatArray]],
) -> FloatArray:
    """Return the percentiles of the BCa method: shifted for bias and for skewness.

    Args:
        levels: The percentiles that are meant, such as .025 and .975.
        estimate: The number from the whole sample.
        draws: The number from each resample.
        left_out: For each independent sample the number without each of some units in turn, and
            for how many units each of them stands.

    References:
        Efron (1987), JASA 82.
    """
    below = np.count_nonzero(draws < estimate) + np.count_nonzero(draws == estimate) / 2
    bias = special.ndtri((below + 0.5) / (draws.size + 1))
    cubes = squares = 0.0
    for row, weight in left_out:
        away = (np.average(row, weights=weight) - row) / weight.sum()
        cubes += float(weight @ away**3)
        squares += float(weight @ away**2)
    skewness = cubes / (6 * squares**1.5) if squares > 0 else 0.0
    shifted = bias + special.ndtri(levels)
    corrected: FloatArray = special.ndtr(bias + shifted / (1 - skewness * shifted))
    return corrected


def _resampled(
    sample: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    resamples: int,
    rng: np.random.Generator,
) -> FloatArray:
    rows = max(1, _BLOCK_CELLS // sample.size)
    parts = [
        np.asarray(statistic(sample[rng.integers(0, sample.size, (count, sample.size))]))
        for start in range(0, resamples, rows)
        for count in (min(rows, resamples - start),)
    ]
    return np.concatenate(parts)


def _left_out(sample: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return at most 2,000 units to leave out in turn, and for how many each of them stands.

    Skewness is made by the largest and the smallest units: of these every one is left out, and
    of those between them an even part, by size, stands for all.
    """
    n, ends = sample.size, _JACKKNIFE // 4
    if n <= _JACKKNIFE:
        return np.arange(n), np.ones(n)
    order = np.argsort(sample, kind="stable")
    between = n - 2 * ends
    chosen = ends + ((np.arange(2 * ends) + 0.5) * between / (2 * ends)).astype(np.int64)
    weight = np.ones(4 * ends)
    weight[ends : 3 * ends] = between / (2 * ends)
    return order[np.concatenate([np.arange(ends), chosen, np.arange(n - ends, n)])], weight


def _without_each(
    sample: FloatArray, statistic: Callable[[FloatArray], FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return the statistic without each of some units in turn, and how many each stands for."""
    places, weight = _left_out(sample)
    rest = (np.delete(sample, place)[None] for place in places)
    return np.array([float(np.asarray(statistic(each))[0]) for each in rest]), weight


def permutation(
    treatment: FloatArray,
    control: FloatArray,
    *,
    rng: Chance,
    resamples: int = 10_000,
) -> float:
    """Return the two-sided permutation p-value of the difference of means.

    p = (1 + permutations at least as extreme) / (1 + permutations), which is exact and never 0.

    Args:
        treatment: Outcomes of the treatment.
        control: Outcomes of the control.
        rng: Source of chance.
        resamples: Number of permutations, at least 100.

    Raises:
        InvalidDataError: If a variant has no outcome.
        InvalidParameterError: If there are fewer than 100 permutations.
    """
    rng = generator(rng)
    check.count("resamples", resamples, least=100)
    a, b = check.finite("treatment", treatment), check.finite("control", control)
    if not a.size or not b.size:
        raise InvalidDataError("Both variants must have outcomes.")
    both = np.concatenate([a, b])
    both = both - both.mean()
    seen = abs(float(both[: a.size].mean() - both[a.size :].mean()))
    extreme, rows = 0, max(1, _BLOCK_CELLS // both.size)
    for start in range(0, resamples, rows):  # blocks, to bound memory
        count = min(rows, resamples - start)
        mixed = rng.permuted(np.tile(both, (count, 1)), axis=1)
        gap = mixed[:, : a.size].mean(axis=1) - mixed[:, a.size :].mean(axis=1)
        extreme += int((np.abs(gap) >= seen * (1 - 1e-12)).sum())
    return (1 + extreme) / (1 + resamples)


def sign_flip(
    difference: FloatArray, *, rng: Chance, resamples: int = 10_000
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
    rng = generator(rng)
    if difference.size == 0:
        raise InvalidParameterError("difference", difference.size, "one or more differences")
    p = sign_flips(difference[:, None], rng=rng, resamples=resamples)
    return float(p[0]), bool(np.count_nonzero(difference) <= _ALL_FLIPS)


def sign_flips(table: FloatArray, *, rng: Chance, resamples: int = 10_000) -> FloatArray:
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
    rng = generator(rng)
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
