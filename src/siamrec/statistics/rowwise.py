"""Tests on rows rather than moments: ranks, bootstrap, permutation, exact proportions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import optimize, special

from siamrec._core import check
from siamrec.errors import InvalidDataError
from siamrec.statistics.effect import Effect
from siamrec.statistics.proportions import newcombe, pooled_z
from siamrec.statistics.tails import positive_p, two_sided_z

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.typing import FloatArray, IntArray

_TOGETHER = 2_000_000
_JACKKNIFE = 2000
"""Units that are left out in turn, at most."""


def two_proportions(
    wins: tuple[int, int],
    n: tuple[int, int],
    *,
    interval: Literal["newcombe", "miettinen-nurminen"] = "miettinen-nurminen",
    test: Literal["z", "fisher"] = "z",
    alpha: float = 0.05,
) -> Effect:
    """Compare two proportions from counts, treatment first.

    Args:
        wins: Successes of treatment and control.
        n: Trials of treatment and control, above 0.
        interval: Newcombe's hybrid score interval, or the score interval of Miettinen and
            Nurminen (the differences their test does not reject).
        test: The pooled z-test, or Fisher's exact test.
        alpha: One less the coverage.

    Raises:
        InvalidDataError: If counts are impossible.
        UnknownNameError: If interval or test are not known.

    References:
        Newcombe (1998); Miettinen and Nurminen (1985), Statistics in Medicine 4.

    Examples:
        >>> two_proportions((56, 48), (70, 80)).estimate
        0.2
    """
    check.one_of("interval", interval, ("newcombe", "miettinen-nurminen"))
    check.one_of("test", test, ("z", "fisher"))
    check.share("alpha", alpha, open_ends=True)
    if not all(0 <= w <= size and size > 0 for w, size in zip(wins, n, strict=True)):
        raise InvalidDataError(f"wins must be 0 to n and n above 0, got {wins} of {n}.")
    shares = wins[0] / n[0], wins[1] / n[1]
    if test == "z":
        p, log_p = two_sided_z(pooled_z((float(wins[0]), float(wins[1])), n))
    else:
        p, log_p = positive_p(_log_fisher(wins, n))
    bounds = (
        newcombe((float(wins[0]), float(wins[1])), n, alpha)
        if interval == "newcombe"
        else _miettinen_nurminen(wins, n, alpha)
    )
    error = float(np.sqrt(sum(s * (1 - s) / size for s, size in zip(shares, n, strict=True))))
    return Effect(
        estimate=round(shares[0] - shares[1], 15),
        interval=bounds,
        p=p,
        log_p=log_p,
        error=error,
        rule=f"{test}, {interval} interval",
    )


def _log_fisher(wins: tuple[int, int], n: tuple[int, int]) -> float:
    """Sum the hypergeometric probabilities that are not above the observed one."""
    total, drawn = sum(wins), n[0]
    low, high = max(0, total - n[1]), min(total, drawn)
    k = np.arange(low, high + 1)
    log = (
        _log_choose(n[0], k)
        + _log_choose(n[1], total - k)
        - _log_choose(n[0] + n[1], np.array(total))
    )
    seen = log[wins[0] - low]
    chosen = log[log <= seen + 1e-7]
    return float(min(special.logsumexp(chosen), 0.0))


def _log_choose(n: int, k: IntArray) -> FloatArray:
    ways: FloatArray = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return ways


def _miettinen_nurminen(
    wins: tuple[int, int], n: tuple[int, int], alpha: float
) -> tuple[float, float]:
    reach = float(special.ndtri(1 - alpha / 2))
    gap = wins[0] / n[0] - wins[1] / n[1]

    def excess(difference: float) -> float:
        return abs(_score(difference, wins, n)) - reach

    low = -1.0 if excess(-1 + 1e-12) <= 0 else _root(excess, -1 + 1e-12, gap)
    high = 1.0 if excess(1 - 1e-12) <= 0 else _root(excess, 1 - 1e-12, gap)
    return low, high


def _root(excess: Callable[[float], float], far: float, near: float) -> float:
    if excess(near) >= 0:
        return near
    return float(optimize.brentq(excess, far, near, xtol=1e-12))


def _score(difference: float, wins: tuple[int, int], n: tuple[int, int]) -> float:
    """Return the score statistic against a difference, with rates fitted under it (cubic)."""
    (x1, x0), (n1, n0) = wins, n
    total = n1 + n0
    cubic = total
    square = (n1 + 2 * n0) * difference - total - x1 - x0
    linear = (n0 * difference - total - 2 * x0) * difference + x1 + x0
    constant = x0 * difference * (1 - difference)
    third = square / (3 * cubic)
    q = third**3 - square * linear / (6 * cubic**2) + constant / (2 * cubic)
    root = np.sqrt(max(third**2 - linear / (3 * cubic), 0.0))
    p = np.copysign(root, q) if q else root
    angle = (np.pi + np.arccos(np.clip(q / p**3, -1, 1) if p else 1.0)) / 3
    rate0 = float(np.clip(2 * p * np.cos(angle) - third, 0.0, 1.0))
    rate1 = float(np.clip(rate0 + difference, 0.0, 1.0))
    variance = (rate1 * (1 - rate1) / n1 + rate0 * (1 - rate0) / n0) * total / (total - 1)
    gap = x1 / n1 - x0 / n0 - difference
    if variance <= 0:
        return 0.0 if abs(gap) < 1e-12 else float(np.copysign(np.inf, gap))
    return float(gap / np.sqrt(variance))


def mann_whitney(treatment: FloatArray, control: FloatArray) -> tuple[float, float]:
    """Return P(treatment > control) + P(equal) / 2, and a two-sided p-value.

    The normal approximation with the correction for ties.

    Args:
        treatment: Outcomes of the treatment, finite.
        control: Outcomes of the control, finite.

    Raises:
        InvalidDataError: If a variant has no outcome.

    References:
        Mann and Whitney (1947), Annals of Mathematical Statistics 18.
    """
    a, b = check.finite("treatment", treatment), check.finite("control", control)
    if not a.size or not b.size:
        raise InvalidDataError("Both variants must have outcomes.")
    both = np.concatenate([a, b])
    _, place, size = np.unique(both, return_inverse=True, return_counts=True)
    ends = np.cumsum(size)
    rank = ((ends - size + 1 + ends) / 2)[place]
    wins = float(rank[: a.size].sum()) - a.size * (a.size + 1) / 2
    n = both.size
    ties = float((size.astype(float) ** 3 - size).sum())
    variance = a.size * b.size / 12 * (n + 1 - ties / (n * (n - 1))) if n > 1 else 0.0
    share = wins / (a.size * b.size)
    if variance <= 0:
        return share, 1.0
    p, _ = two_sided_z((wins - a.size * b.size / 2) / float(np.sqrt(variance)))
    return share, p


def bootstrap(
    treatment: FloatArray,
    control: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    *,
    rng: np.random.Generator,
    method: Literal["percentile", "bca"] = "bca",
    n_resamples: int = 2000,
    alpha: float = 0.05,
) -> Effect:
    """Return the difference of any statistic with a bootstrap interval.

    Args:
        treatment: Outcomes of the treatment, one per unit.
        control: Outcomes of the control.
        statistic: Maps an array `(m, n)` to one value per row, such as
            `lambda rows: np.median(rows, axis=1)`.
        rng: Source of chance.
        method: Percentile, or bias-corrected and accelerated.
        n_resamples: Number of resamples, at least 100.
        alpha: One less the coverage.

    Returns:
        The effect; its p-value is the least alpha whose percentile interval leaves 0 out, not
        below 1 / n_resamples.

    Raises:
        InvalidDataError: If a variant has fewer than 2 outcomes.
        InvalidParameterError: If a number is out of range.

    References:
        Efron (1987), JASA 82: better bootstrap confidence intervals.
    """
    check.one_of("method", method, ("percentile", "bca"))
    check.count("n_resamples", n_resamples, least=100)
    check.share("alpha", alpha, open_ends=True)
    samples = [check.finite(n, v) for n, v in (("treatment", treatment), ("control", control))]
    if min(each.size for each in samples) < 2:
        raise InvalidDataError("Both variants must have 2 outcomes or more.")
    estimate = _gap([float(statistic(each[None])[0]) for each in samples])
    drawn = [_resampled(each, statistic, n_resamples, rng) for each in samples]
    gaps = np.sort(drawn[0] - drawn[1])
    levels = np.array([alpha / 2, 1 - alpha / 2])
    if method == "bca":
        levels = _bca_levels(samples, statistic, gaps, estimate, levels)
    low, high = np.quantile(gaps, levels)
    below = float((gaps < 0).mean() + (gaps == 0).mean() / 2)
    p = max(2 * min(below, 1 - below), 1 / n_resamples)
    return Effect(
        estimate=estimate,
        interval=(float(low), float(high)),
        p=min(p, 1.0),
        log_p=float(np.log(min(p, 1.0))),
        error=float(gaps.std(ddof=1)),
        rule=f"bootstrap ({method})",
    )


def _gap(values: list[float]) -> float:
    return values[0] - values[1]


def _resampled(
    sample: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    n_resamples: int,
    rng: np.random.Generator,
) -> FloatArray:
    rows = max(1, _TOGETHER // sample.size)
    parts = [
        np.asarray(statistic(sample[rng.integers(0, sample.size, (count, sample.size))]))
        for start in range(0, n_resamples, rows)
        for count in (min(rows, n_resamples - start),)
    ]
    return np.concatenate(parts)


def _bca_levels(
    samples: list[FloatArray],
    statistic: Callable[[FloatArray], FloatArray],
    gaps: FloatArray,
    estimate: float,
    levels: FloatArray,
) -> FloatArray:
    share = float(np.clip((gaps < estimate).mean(), 1 / gaps.size, 1 - 1 / gaps.size))
    bias = special.ndtri(share)
    top = below = 0.0
    for sign, sample in zip((1.0, -1.0), samples, strict=True):
        place, weight = _left_out(sample)
        left = sign * _without_each(sample, statistic, place)
        away = (np.average(left, weights=weight) - left) / sample.size
        top += float(weight @ away**3)
        below += float(weight @ away**2)
    acceleration = top / (6 * below**1.5) if below > 0 else 0.0
    z = bias + special.ndtri(levels)
    shifted: FloatArray = special.ndtr(bias + z / (1 - acceleration * z))
    return shifted


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
    sample: FloatArray, statistic: Callable[[FloatArray], FloatArray], places: IntArray
) -> FloatArray:
    """Return the statistic without each of the units in turn."""
    return np.array(
        [float(np.asarray(statistic(np.delete(sample, place)[None]))[0]) for place in places]
    )


def permutation(
    treatment: FloatArray,
    control: FloatArray,
    *,
    rng: np.random.Generator,
    n_permutations: int = 10_000,
) -> float:
    """Return the two-sided permutation p-value of the difference of means.

    p = (1 + permutations at least as extreme) / (1 + permutations), which is exact and never 0.

    Args:
        treatment: Outcomes of the treatment.
        control: Outcomes of the control.
        rng: Source of chance.
        n_permutations: Number of permutations, at least 100.

    Raises:
        InvalidDataError: If a variant has no outcome.
        InvalidParameterError: If there are fewer than 100 permutations.
    """
    check.count("n_permutations", n_permutations, least=100)
    a, b = check.finite("treatment", treatment), check.finite("control", control)
    if not a.size or not b.size:
        raise InvalidDataError("Both variants must have outcomes.")
    both = np.concatenate([a, b])
    both = both - both.mean()
    seen = abs(float(both[: a.size].mean() - both[a.size :].mean()))
    extreme, rows = 0, max(1, _TOGETHER // both.size)
    for start in range(0, n_permutations, rows):  # blocks, to bound memory
        count = min(rows, n_permutations - start)
        mixed = rng.permuted(np.tile(both, (count, 1)), axis=1)
        gap = mixed[:, : a.size].mean(axis=1) - mixed[:, a.size :].mean(axis=1)
        extreme += int((np.abs(gap) >= seen * (1 - 1e-12)).sum())
    return (1 + extreme) / (1 + n_permutations)
