"""Bounded outcomes without any normal approximation: sequences by betting, empirical Bernstein."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidDataError, InvalidParameterError, UnsupportedEstimate
from siamrec.statistics.effect import Effect
from siamrec.statistics.tails import positive_p

if TYPE_CHECKING:
    from siamrec.typing import BoolArray, FloatArray, IntArray

Method: TypeAlias = Literal["betting", "empirical-bernstein"]

_METHODS = ("betting", "empirical-bernstein")
_HALVINGS = 60
_ROUNDING = 1e-9
_CAUTION = 0.5
"""Most of the capital, or of what a bet may be at all, that is put on one outcome."""


def bounded_interval(
    outcomes: FloatArray | IntArray | BoolArray,
    *,
    low: float = 0.0,
    high: float = 1.0,
    confidence: float = 0.95,
    method: Method = "betting",
    anytime: bool = True,
) -> tuple[float, float]:
    """Return an interval for the mean of bounded outcomes, after all of them.

    No normality, no least sample size; valid at any time of stopping, or after a number of
    outcomes that was fixed beforehand (`anytime=False`, narrower by betting). With outcomes
    scaled to [0, 1], alpha = 1 - confidence and bets made from the past alone,

        lambda_t = sqrt( 2 ln(2 / alpha) / (s²_(t-1) t ln(1 + t)) )
        s²_t     = (1/4 + sum (x_i - m_i)²) / (t + 1),   m_t = (1/2 + sum x_i) / (t + 1),

    (n in the place of t ln(1 + t) for a fixed number n)

    `"betting"` lets a gambler bet on and against every candidate mean m; m is kept while

        max( prod (1 + lambda_i (x_i - m)), prod (1 - lambda_i (x_i - m)) ) < 2 / alpha

    at every time so far (bets cut at 1 / 2m and 1 / 2(1 - m)); the ends are found to the last
    digits, however near 0 or 1 they are. `"empirical-bernstein"` has a closed form, at every time

        sum lambda_i x_i / sum lambda_i
        ± ( ln(2 / alpha) + sum (x_i - m_(i-1))² (-ln(1 - lambda_i) - lambda_i) ) / sum lambda_i

    (bets cut at 1/2), of which the intersection over time is returned; it takes one pass over the
    outcomes and is a little wider. For a fixed number of independent outcomes it is instead, with
    V the sample variance,

        mean ± ( sqrt(2 V ln(4 / alpha) / n) + 7 ln(4 / alpha) / (3 (n - 1)) ).

    Both hold for outcomes with one mean, whatever else changes. Where no mean is left that fits
    all of the outcomes, they had different ones over time (or, with a probability of at most
    alpha, it is chance), and there is nothing to estimate.

    Args:
        outcomes: Outcomes in time order, within `[low, high]`.
        low: Least possible outcome, finite.
        high: Greatest possible outcome, finite.
        confidence: Level, in (0, 1).
        method: `"betting"` or `"empirical-bernstein"`.
        anytime: Whether the interval holds at every look.

    Raises:
        InvalidDataError: If an outcome is outside the bounds or not finite.
        InvalidParameterError: If the bounds are not finite or do not rise, or `confidence` is out
            of range.
        UnknownNameError: If the method is not known.
        UnsupportedEstimate: If no mean fits all of the outcomes.

    References:
        Waudby-Smith and Ramdas (2024), JRSS B 86, arXiv:2010.09686, theorems 2 and 3; Maurer and
        Pontil (2009), COLT, theorem 4.

    Examples:
        >>> bounded_interval(np.tile([0.0, 1.0], 500))[0] > 0.4
        True
        >>> rare = np.arange(100_000) % 10_000 == 0
        >>> low, high = bounded_interval(rare)
        >>> low < 1e-4 < high < 5e-4
        True
    """
    check.share("confidence", confidence, open_ends=True)
    check.one_of("method", method, _METHODS)
    x, alpha = _scaled("outcomes", outcomes, low, high), 1 - confidence
    if not x.size:
        return low, high
    if method == "empirical-bernstein" and not anytime:
        first, last = _maurer_pontil(x, alpha)
    else:
        first, last = _ends(_bets(x, alpha, anytime=anytime), alpha, method)
    return low + (high - low) * first, low + (high - low) * last


def bounded_difference(
    treated: FloatArray | IntArray | BoolArray,
    outcome: FloatArray | IntArray | BoolArray,
    *,
    given: FloatArray | float = 0.5,
    least: float | None = None,
    low: float = 0.0,
    high: float = 1.0,
    alpha: float = 0.05,
    method: Method = "betting",
) -> Effect:
    """Return the effect of a treatment on bounded outcomes, with an interval for any time.

    Each row becomes one score by the probability g of the variant it was given,

        psi = (T - C) (y - f) / g

    with f the mean of all outcomes before it: its expectation given the past is the effect, and
    it is bounded by the bounds of y over the least probability, so that the sequences of
    `bounded_interval` apply. One sequence over scores is narrower than two at alpha / 2, one for
    each variant, by a factor of up to the root of 2, holds for traffic that a bandit assigned,
    and does not mind outcomes that rise or fall over time, as long as the effect stays.

    Args:
        treated: 1 where the treatment was given, 0 for the control; in time order.
        outcome: The outcome of each row, within `[low, high]`.
        given: Probability of the variant that each row was given, or one for all rows.
        least: Least probability with which a variant may be given, known beforehand; the least
            of `given` when absent, which is right where the shares are fixed.
        low: Least possible outcome, finite.
        high: Greatest possible outcome, finite.
        alpha: One less the coverage, in (0, 1).
        method: As for `bounded_interval`.

    Returns:
        The effect; its p-value holds at every look, and is below alpha where the interval leaves
        0 out.

    Raises:
        InvalidDataError: If lengths differ, there is no row, `treated` is not 0 or 1, an outcome
            is outside the bounds or a probability not within `[least, 1)`.
        InvalidParameterError: If a number is out of range.
        UnknownNameError: If the method is not known.
        UnsupportedEstimate: If no effect fits all of the rows.

    References:
        Waudby-Smith and Ramdas (2024), JRSS B 86; Waudby-Smith, Wu, Ramdas, Karampatziakis,
        Mineiro (2024), arXiv:2210.10768.

    Examples:
        >>> rng = np.random.default_rng(1)
        >>> new = rng.random(20_000) < 0.5
        >>> clicked = rng.random(20_000) < np.where(new, 0.06, 0.03)
        >>> found = bounded_difference(new, clicked)
        >>> found.significant, found.interval[0] < 0.03 < found.interval[1]
        (True, True)
    """
    check.share("alpha", alpha, open_ends=True)
    check.one_of("method", method, _METHODS)
    t = check.finite("treated", treated)
    y = _scaled("outcome", outcome, low, high)
    chance = check.finite("given", np.broadcast_to(np.asarray(given, dtype=np.float64), t.shape))
    n = check.same_length(treated=t, outcome=y, given=chance)
    if not n:
        raise InvalidDataError("There must be 1 row or more, got 0.")
    _refuse("treated", t, ~np.isin(t, (0.0, 1.0)), "0 or 1")
    floor = check.share("least", float(chance.min()) if least is None else least, open_ends=True)
    below = chance < floor * (1 - _ROUNDING)  # a floor of .1 beside .9 may be .1 less an ulp
    _refuse("given", chance, below | (chance >= 1), f"in [{floor:g}, 1)")
    before = np.concatenate([[0.5], (0.5 + np.cumsum(y)[:-1]) / np.arange(2, n + 1)])
    score = np.where(t == 1, 1.0, -1.0) * (y - before) / chance
    bets = _bets(np.clip((score * floor + 1) / 2, 0.0, 1.0), alpha)
    scale = high - low
    ends = (float(np.clip((2 * m - 1) / floor, -1, 1)) for m in _ends(bets, alpha, method))
    first, last = ends
    p, log_p = positive_p(min(float(np.log(2)) - max(_growth(bets, 0.5, method)), 0.0))
    return Effect(
        estimate=scale * float(score.mean()),
        interval=(scale * first, scale * last),
        p=p,
        log_p=log_p,
        error=scale * float(score.std(ddof=1) / np.sqrt(n)) if n > 1 else np.inf,
        rule=f"bounded outcomes, {method.replace('-b', ' B')}",
        anytime=True,
    )


class _Bets(NamedTuple):
    """Outcomes in [0, 1], what the past says of each, and how much to bet on it."""

    x: FloatArray
    before: FloatArray
    size: FloatArray


def _maurer_pontil(x: FloatArray, alpha: float) -> tuple[float, float]:
    if x.size < 2:
        return 0.0, 1.0
    doubt = float(np.log(4 / alpha))
    reach = np.sqrt(2 * x.var(ddof=1) * doubt / x.size) + 7 * doubt / (3 * (x.size - 1))
    return max(0.0, float(x.mean() - reach)), min(1.0, float(x.mean() + reach))


def _bets(x: FloatArray, alpha: float, *, anytime: bool = True) -> _Bets:
    time = np.arange(1, x.size + 1)
    mean = (0.5 + np.cumsum(x)) / (time + 1)
    spread = (0.25 + np.cumsum((x - mean) ** 2)) / (time + 1)
    # Bets may depend on the past only: mean and variance before each outcome.
    before = np.concatenate([[0.25], spread[:-1]])
    looks = time * np.log1p(time) if anytime else float(x.size)
    size = np.sqrt(2 * np.log(2 / alpha) / (before * looks))
    return _Bets(x, np.concatenate([[0.5], mean[:-1]]), size)


def _growth(bets: _Bets, mean: float, method: Method) -> tuple[float, float]:
    """Return the most that bets on more and on less than a mean ever gained, in logarithms."""
    gain = bets.x - mean
    if method == "betting":
        up = np.minimum(bets.size, _CAUTION / max(mean, 1e-300))
        down = np.minimum(bets.size, _CAUTION / max(1 - mean, 1e-300))
        return (
            float(np.cumsum(np.log1p(up * gain)).max()),
            float(np.cumsum(np.log1p(-down * gain)).max()),
        )
    size, cost = _bernstein(bets)
    drift, cost = np.cumsum(size * gain), np.cumsum(cost)
    return float((drift - cost).max()), float((-drift - cost).max())


def _bernstein(bets: _Bets) -> tuple[FloatArray, FloatArray]:
    """Return the bets, and the price of each by how far its outcome was from what was expected."""
    size = np.minimum(bets.size, _CAUTION)
    return size, (bets.x - bets.before) ** 2 * (-np.log1p(-size) - size)


def _ends(bets: _Bets, alpha: float, method: Method) -> tuple[float, float]:
    """Return the least and the greatest mean in [0, 1] that is left."""
    limit = float(np.log(2 / alpha))
    if method == "empirical-bernstein":
        size, cost = _bernstein(bets)
        total = np.cumsum(size)
        centre, reach = np.cumsum(size * bets.x) / total, (limit + np.cumsum(cost)) / total
        first, last = (
            max(float((centre - reach).max()), 0.0),
            min(float((centre + reach).min()), 1),
        )
    else:
        # What was gained on more falls as the mean rises, what was gained on less rises.
        first = _edge(bets, limit, side=0)
        last = _edge(bets, limit, side=1)
    if first > last:
        raise UnsupportedEstimate(
            f"Bounded outcomes must have one mean over time, but at alpha = {alpha:g} none fits "
            f"all of them: means above {last:.6g} and below {first:.6g} of the range are ruled "
            "out. Look at shorter periods."
        )
    return first, last


def _edge(bets: _Bets, limit: float, *, side: int) -> float:
    """Return the last mean, coming from one end of [0, 1], that is ruled out; or that end."""
    out, kept = (0.0, 1.0) if side == 0 else (1.0, 0.0)
    if _growth(bets, out, "betting")[side] < limit:
        return out
    for _ in range(_HALVINGS):
        middle = (out + kept) / 2
        if _growth(bets, middle, "betting")[side] < limit:
            kept = middle
        else:
            out = middle
        if abs(out - kept) <= 1e-9 * min(out, 1 - out):
            break
    return out


def _scaled(
    name: str, values: FloatArray | IntArray | BoolArray, low: float, high: float
) -> FloatArray:
    """Return bounded outcomes as shares of their range."""
    for bound, value in (("low", low), ("high", high)):
        if not np.isfinite(value):
            raise InvalidParameterError(bound, value, "a finite number")
    if not low < high:
        raise InvalidParameterError("high", high, f"above low, {low}")
    column = check.finite(name, values)
    _refuse(name, column, (column < low) | (column > high), f"in [{low}, {high}]")
    scaled: FloatArray = (column - low) / (high - low)
    return scaled


def _refuse(name: str, values: FloatArray, bad: BoolArray, expected: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise InvalidDataError(f"{name} must be {expected}, got {values[row]} in row {row}.")
