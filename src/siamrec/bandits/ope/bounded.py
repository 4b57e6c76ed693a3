"""Intervals that hold at every sample size, for row scores whose range is known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidDataError, InvalidParameterError

if TYPE_CHECKING:
    from siamrec.bandits.ope.estimate import Parts
    from siamrec.typing import FloatArray

_STAKE = 0.5
"""Greatest share of the capital that a bet may lose."""
_HALVINGS = 50


def bernstein_interval(
    parts: Parts, alpha: float, *, within: tuple[float, float]
) -> tuple[float, float]:
    """Return the empirical-Bernstein interval of a mean of independent row scores.

        mean +- sqrt(2 V ln(4 / alpha) / n) + 7 B ln(4 / alpha) / (3 (n - 1)),

    V the sample variance and B the length of the range; cut to the range.

    Args:
        parts: What the estimate is made of; a plain mean of weighted rewards.
        alpha: One less the coverage.
        within: Least and greatest score that a row could have had.

    Raises:
        InvalidDataError: If a score lies outside the range.
        InvalidParameterError: If the estimate is no plain mean, or the range or alpha is wrong.

    References:
        Maurer and Pontil (2009), COLT: empirical Bernstein bounds, theorem 4.
    """
    scores, low, high = _scores(parts, alpha, within)
    n = scores.size
    if n < 2:
        return low, high
    doubt = float(np.log(4 / alpha))
    reach = np.sqrt(2 * scores.var(ddof=1) * doubt / n) + 7 * (high - low) * doubt / (3 * (n - 1))
    mean = float(scores.mean())
    return max(low, mean - float(reach)), min(high, mean + float(reach))


def betting_interval(
    parts: Parts, alpha: float, *, within: tuple[float, float]
) -> tuple[float, float]:
    """Return the hedged-capital interval: the means that no bet against has refuted.

    On scores scaled to [0, 1], a gambler who believes that the mean is above m holds

        K_t(m) = product over i <= t of  1 + min(l_i, c / m) (x_i - m),
        l_i = sqrt(2 ln(2 / alpha) / (n v_i)),   v_i the variance of the scores before i,

    a fair game if the mean is m, so that K ever reaches 2 / alpha with probability at most
    alpha / 2 (Ville). The same against m from above. Rows must be in the order in which they
    were logged, and each mean given the rows before must be the same; they need not be
    independent. Far narrower than the empirical-Bernstein interval when scores vary little.

    Args:
        parts: What the estimate is made of; a plain mean of weighted rewards.
        alpha: One less the coverage.
        within: Least and greatest score that a row could have had.

    Raises:
        InvalidDataError: If a score lies outside the range.
        InvalidParameterError: If the estimate is no plain mean, or the range or alpha is wrong.

    References:
        Waudby-Smith and Ramdas (2024), Journal of the Royal Statistical Society B 86:
        estimating means of bounded random variables by betting, section 4.
    """
    scores, low, high = _scores(parts, alpha, within)
    unit = (scores - low) / (high - low)
    bet = _bets(unit, alpha)
    least, most = _lowest(unit, bet, alpha), 1.0 - _lowest(1.0 - unit, bet, alpha)
    return low + least * (high - low), low + most * (high - low)


def _scores(
    parts: Parts, alpha: float, within: tuple[float, float]
) -> tuple[FloatArray, float, float]:
    check.share("alpha", alpha, open_ends=True)
    low, high = float(within[0]), float(within[1])
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InvalidParameterError("within", within, "a finite range (low, high), low < high")
    if parts.base.any() or not (parts.below == 1).all():
        raise InvalidParameterError(
            "interval",
            "betting or empirical-bernstein",
            "that of an estimator which is a plain mean of weighted rewards, such as IPS",
        )
    scores = parts.top
    slack = 1e-9 * (high - low)
    if scores.min() < low - slack or scores.max() > high + slack:
        raise InvalidDataError(
            f"Weighted rewards must be within ({low:g}, {high:g}), got {scores.min():g} to "
            f"{scores.max():g}."
        )
    return np.clip(scores, low, high), low, high


def _bets(unit: FloatArray, alpha: float) -> FloatArray:
    """Return the bet on each score, from the scores before it alone."""
    n = unit.size
    turn = np.arange(1, n + 1)
    mean = (0.5 + np.cumsum(unit)) / (turn + 1)
    variance = (0.25 + np.cumsum((unit - mean) ** 2)) / (turn + 1)
    before = np.concatenate([[0.25], variance[:-1]])
    bets: FloatArray = np.sqrt(2 * np.log(2 / alpha) / (n * before))
    return bets


def _lowest(unit: FloatArray, bet: FloatArray, alpha: float) -> float:
    """Return the least mean that is not refuted from below.

    Every factor falls as m grows, hence so does the greatest capital: bisection finds the edge.
    """
    enough = np.log(2 / alpha)
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):  # halvings, not rows
        middle = (low + high) / 2
        stake = np.minimum(bet, _STAKE / middle)
        if np.cumsum(np.log1p(stake * (unit - middle))).max() >= enough:
            low = middle
        else:
            high = middle
    return low
