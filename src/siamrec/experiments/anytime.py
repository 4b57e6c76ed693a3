"""Exact sequential tests: sample ratios, rare events, bounded outcomes, bandit traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from siamrec._core import check
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.experiments._effects import positive_p
from siamrec.experiments.report import Effect, SampleRatio
from siamrec.experiments.sequential import AsymptoticCS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.typing import FloatArray

_GRID = 400
_BLOCK = 1_000_000


def sequential_sample_ratio(
    observed: Mapping[str, int], shares: Mapping[str, float], *, strength: float = 100.0
) -> SampleRatio:
    """Test sample ratios, or the split of events, at any time and as often as one likes.

    The e-process mixes over all splits with a Dirichlet distribution around the planned one:

        log E = log B(a + S) - log B(a) - sum_i S_i log share_i,   a_i = strength * k * share_i

    (B is the multivariate beta function, S the counts, k the number of variants), and
    p = min(1, 1 / E). It is exact in every sample size. Fed with *conversions* of variants whose
    units come by the planned shares, it tests equal conversion rates without any normal
    approximation, however rare they are, and whatever the rate does over time.

    Args:
        observed: Count of each variant: units, or conversions.
        shares: Planned share of each variant, above 0.
        strength: How close to the plan alternatives are expected; greater finds small
            deviations in large samples sooner.

    Raises:
        InvalidDataError: If a count is negative or a variant has no share.
        InvalidParameterError: If shares do not sum to 1 or a number is out of range.

    References:
        Lindon and Malek (2022), NeurIPS, arXiv:2011.03567.

    Examples:
        >>> sequential_sample_ratio({"a": 510, "b": 490}, {"a": 0.5, "b": 0.5}).p
        1.0
        >>> sequential_sample_ratio({"a": 700, "b": 500}, {"a": 0.5, "b": 0.5}).p < 0.001
        True
    """
    check.positive("strength", strength)
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-9:  # noqa: PLR2004
        raise InvalidParameterError("shares", dict(shares), "shares above 0 that sum to 1")
    if any(name not in shares for name in observed) or any(c < 0 for c in observed.values()):
        raise InvalidDataError(f"observed must hold counts of {sorted(shares)}, got {observed}.")
    share = np.array(list(shares.values()))
    count = np.array([float(observed.get(name, 0)) for name in shares])
    prior = strength * share.size * share
    log_e = float(
        special.gammaln(prior + count).sum()
        - special.gammaln(prior.sum() + count.sum())
        - special.gammaln(prior).sum()
        + special.gammaln(prior.sum())
        - (count * np.log(share)).sum()
    )
    p, log_p = positive_p(min(-log_e, 0.0))
    total = float(count.sum())
    expected = {name: total * value for name, value in shares.items()}
    return SampleRatio(observed=dict(observed), expected=expected, p=p, log_p=log_p)


def bounded_interval(
    outcomes: FloatArray, *, low: float = 0.0, high: float = 1.0, alpha: float = 0.05
) -> tuple[float, float]:
    """Return a confidence sequence for the mean of bounded outcomes, after all of them.

    For every candidate mean m a gambler bets on and against it with the capital of both bets
    averaged; m is kept while the capital stays below 1 / alpha at every time so far. No
    normality, no least sample size, valid at any time of stopping.

    Args:
        outcomes: Outcomes in time order, within `[low, high]`.
        low: Least possible outcome.
        high: Greatest possible outcome.
        alpha: One less the coverage.

    Raises:
        InvalidDataError: If an outcome is outside the bounds.
        InvalidParameterError: If the bounds do not rise or alpha is out of range.

    References:
        Waudby-Smith and Ramdas (2024), JRSS B 86, arXiv:2010.09686, section 4.

    Examples:
        >>> bounded_interval(np.tile([0.0, 1.0], 500))[0] > 0.4
        True
    """
    check.share("alpha", alpha, open_ends=True)
    if not low < high:
        raise InvalidParameterError("high", high, f"above low, {low}")
    x = (check.finite("outcomes", outcomes) - low) / (high - low)
    if x.size and not (x.min() >= 0 and x.max() <= 1):
        raise InvalidDataError(f"outcomes must be in [{low}, {high}].")
    n = x.size
    if n == 0:
        return low, high
    time = np.arange(1, n + 1)
    # Bets may depend on the past only: mean and variance before each outcome.
    mean = (0.5 + np.cumsum(x)) / (time + 1)
    spread = (0.25 + np.cumsum((x - mean) ** 2)) / (time + 1)
    spread_before = np.concatenate([[0.25], spread[:-1]])
    bet = np.sqrt(2 * np.log(2 / alpha) / (spread_before * time * np.log1p(time)))
    kept = np.ones(_GRID + 1, dtype=np.bool_)
    grid = np.linspace(0, 1, _GRID + 1)
    rich = np.zeros((2, _GRID + 1))
    limit = np.log(1 / alpha)
    rows = max(1, _BLOCK // grid.size)
    for start in range(0, n, rows):  # blocks, to bound memory
        part = slice(start, start + rows)
        gain = x[part, None] - grid
        up = np.minimum(bet[part, None], 0.5 / np.maximum(grid, 1e-12))
        down = np.minimum(bet[part, None], 0.5 / np.maximum(1 - grid, 1e-12))
        paths = (
            rich[0] + np.cumsum(np.log1p(up * gain), axis=0),
            rich[1] + np.cumsum(np.log1p(-down * gain), axis=0),
        )
        capital = np.maximum(*paths) - np.log(2)
        kept &= capital.max(axis=0) < limit
        rich = np.stack([path[-1] for path in paths])
    inside = np.flatnonzero(kept)
    if not inside.size:
        centre = int(np.argmin(np.maximum(rich[0], rich[1])))
        inside = np.array([centre])
    # The grid's neighbours outside are certain to be outside; what lies between is kept.
    first, last = max(inside[0] - 1, 0), min(inside[-1] + 1, _GRID)
    return low + (high - low) * float(grid[first]), low + (high - low) * float(grid[last])


def adaptive_effect(
    treated: FloatArray,
    outcome: FloatArray,
    propensity: FloatArray,
    *,
    planned: float,
    alpha: float = 0.05,
) -> Effect:
    """Return the effect of a treatment from traffic that a bandit assigned, at any time.

    A bandit sends traffic by what it has seen, so plain means are biased and their tests do not
    keep their level. With the logged probability e of being treated and the means f of the
    outcomes before each row, the scores

        psi = f_1 - f_0 + (T / e - (1 - T) / (1 - e)) (y - f_T)

    have the effect as their expectation given the past, whatever the bandit did, and an
    asymptotic confidence sequence over them may be looked at as often as one likes.

    Args:
        treated: 1 where the treatment was given, 0 for the control; in time order.
        outcome: The outcome of each row.
        propensity: The logged probability of the treatment in each row (of the treatment, also
            where the control was given), in (0, 1).
        planned: Number of rows at which the interval is to be tightest.
        alpha: One less the coverage.

    Raises:
        InvalidDataError: If lengths differ, there are fewer than 2 rows, `treated` is not 0 or 1
            or a propensity is not inside (0, 1).

    References:
        Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), arXiv:2103.06476; Cook, Mishler,
        Ramdas (2024), CLeaR, arXiv:2311.18274.
    """
    t, y, e = (
        check.finite(name, values)
        for name, values in (
            ("treated", treated),
            ("outcome", outcome),
            ("propensity", propensity),
        )
    )
    n = check.same_length(treated=t, outcome=y, propensity=e)
    if n < 2:  # noqa: PLR2004
        raise InvalidDataError(f"There must be 2 rows or more, got {n}.")
    if not np.isin(t, (0.0, 1.0)).all():
        raise InvalidDataError("treated must be 0 or 1.")
    if not (e.min() > 0 and e.max() < 1):
        raise InvalidDataError(f"propensity must be in (0, 1), got {e.min()} to {e.max()}.")
    model_1, model_0 = _means_before(y, t == 1), _means_before(y, t == 0)
    residual = y - np.where(t == 1, model_1, model_0)
    score = model_1 - model_0 + np.where(t == 1, 1 / e, -1 / (1 - e)) * residual
    rule = AsymptoticCS(planned=planned)
    estimate, error = float(score.mean()), float(score.std(ddof=1) / np.sqrt(n))
    name = f"augmented inverse propensity, {rule.name}"
    if error == 0:
        p, log_p = (1.0, 0.0) if estimate == 0 else positive_p(-np.inf)
        point = (estimate, estimate)
        return Effect(estimate=estimate, interval=point, p=p, log_p=log_p, error=0.0, rule=name)
    reach = rule.multiplier(n, alpha) * error
    p, log_p = positive_p(rule.log_p(estimate / error, n, alpha))
    return Effect(
        estimate=estimate,
        interval=(estimate - reach, estimate + reach),
        p=p,
        log_p=log_p,
        error=error,
        rule=name,
    )


def _means_before(outcome: FloatArray, chosen: FloatArray) -> FloatArray:
    """Return the mean of the chosen outcomes before each row; 0 before the first."""
    counts = np.concatenate([[0.0], np.cumsum(chosen)[:-1]])
    totals = np.concatenate([[0.0], np.cumsum(np.where(chosen, outcome, 0.0))[:-1]])
    means = np.divide(totals, counts, out=np.zeros_like(totals), where=counts > 0)
    return np.asarray(means, dtype=np.float64)
