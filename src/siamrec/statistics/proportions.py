"""Proportions: intervals of one and of the difference of two, the pooled and the exact test."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from siamrec._core import check, special
from siamrec._core.roots import root
from siamrec.errors import InvalidDataError
from siamrec.statistics.difference import Hybrid
from siamrec.statistics.effect import Effect
from siamrec.statistics.tails import normal_reach, positive_p, two_sided_z

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.data.moments import Moments
    from siamrec.typing import FloatArray, IntArray

_DUST = 1e-12


def proportions(treatment: Moments, control: Moments, column: str) -> Hybrid:
    """Return two proportions with Wilson's limits.

    A variant in which nothing varies has the error of half a success (or failure) among n + 1:
    it is not known without error.
    """
    both = (treatment, control)
    if min(moments.n for moments in both) == 0:
        raise InvalidDataError("A variant must have at least one unit with the metric.")
    place = treatment.names.index(column), control.names.index(column)
    values = float(treatment.mean[place[0]]), float(control.mean[place[1]])
    n = treatment.n, control.n

    def limits(reach: float) -> tuple[tuple[float, float], tuple[float, float]]:
        return score_limits(values[0], n[0], reach), score_limits(values[1], n[1], reach)

    return Hybrid(
        values=values,
        n=n,
        limits=limits,
        errors=(_error_of_share(values[0], n[0]), _error_of_share(values[1], n[1])),
        known=min(n) > 1,
    )


def wilson(successes: float, trials: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share of independent trials.

    Args:
        successes: Number of successes, in `[0, trials]`.
        trials: Number of trials.
        confidence: Level, in (0, 1).

    Returns:
        Lower and upper bound in [0, 1]; `(0, 1)` without a trial.

    Raises:
        InvalidDataError: If there are more successes than trials.
        InvalidParameterError: If a number is out of range.

    References:
        Wilson (1927), JASA 22(158).

    Examples:
        >>> low, high = wilson(0, 10)
        >>> low, round(high, 3)
        (0.0, 0.278)
    """
    check.share("confidence", confidence, open_ends=True)
    check.not_negative("trials", trials)
    check.not_negative("successes", successes)
    if successes > trials:
        raise InvalidDataError(f"successes must be at most {trials}, got {successes}.")
    if not trials:
        return 0.0, 1.0
    return score_limits(successes / trials, trials, normal_reach(1 - confidence))


def score_limits(share: float, n: float, reach: float) -> tuple[float, float]:
    """Return Wilson's limits of a share among n, `reach` standard errors to each side.

    They are the shares p whose own error holds the one found: `|share - p| <= reach
    sqrt(p (1 - p) / n)`.
    """
    if math.isinf(reach):
        return 0.0, 1.0
    share = min(max(share, 0.0), 1.0)
    square = reach * reach / n
    half = math.sqrt(square * (share * (1 - share) + square / 4))

    def lower(part: float) -> float:
        # (centre - half) / (1 + z²/n), multiplied out so that no digits cancel
        return part * part / (part + square / 2 + half) if part else 0.0

    return lower(share), 1.0 - lower(1.0 - share)


def sign_test(wins: int, losses: int) -> float:
    """Return the exact two-sided p-value of so many wins where either is as likely; never 0.

    Raises:
        InvalidParameterError: If a number is below 0.

    Examples:
        >>> sign_test(0, 6), sign_test(3, 3)
        (0.03125, 1.0)
    """
    check.count("wins", wins, least=0)
    check.count("losses", losses, least=0)
    fewer, more = min(wins, losses), max(wins, losses)
    if fewer == more:
        return 1.0
    p = min(1.0, 2 * float(special.bdtr(fewer, fewer + more, 0.5)))
    return max(p, positive_p(-np.inf)[0])


def newcombe(
    wins: tuple[float, float], n: tuple[int, int], *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return Newcombe's hybrid score interval of the difference of two proportions.

    Args:
        wins: Successes of treatment and control.
        n: Trials of treatment and control, above 0.
        confidence: Level, in (0, 1).

    References:
        Newcombe (1998), Statistics in Medicine 17, method 10.

    Examples:
        >>> [round(end, 4) for end in newcombe((56, 48), (70, 80))]
        [0.0524, 0.3339]
    """
    (low_t, high_t), (low_c, high_c) = (
        wilson(w, size, confidence=confidence) for w, size in zip(wins, n, strict=True)
    )
    p_t, p_c = wins[0] / n[0], wins[1] / n[1]
    down = math.hypot(p_t - low_t, high_c - p_c)
    up = math.hypot(high_t - p_t, p_c - low_c)
    return p_t - p_c - down, p_t - p_c + up


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
        newcombe(wins, n, confidence=1 - alpha)
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
    reach = normal_reach(alpha)
    gap = wins[0] / n[0] - wins[1] / n[1]

    def excess(difference: float) -> float:
        return abs(_score(difference, wins, n)) - reach

    low = -1.0 if excess(-1 + 1e-12) <= 0 else _root(excess, -1 + 1e-12, gap)
    high = 1.0 if excess(1 - 1e-12) <= 0 else _root(excess, 1 - 1e-12, gap)
    return low, high


def _root(excess: Callable[[float], float], far: float, near: float) -> float:
    if excess(near) >= 0:
        return near
    return root(excess, far, near, xtol=1e-12)


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


def pooled_z(wins: tuple[float, float], n: tuple[int, int]) -> float:
    """Return the pooled two-proportion statistic; 0 where nothing varies."""
    share = sum(wins) / sum(n)
    variance = share * (1 - share) * (1 / n[0] + 1 / n[1])
    return float((wins[0] / n[0] - wins[1] / n[1]) / np.sqrt(variance)) if variance > 0 else 0.0


def _error_of_share(share: float, n: int) -> float:
    if not _DUST < share < 1 - _DUST:
        share = 0.5 / (n + 1)
    return math.sqrt(share * (1 - share) / max(n - 1, 1))
