"""Sequential tests of sample ratios and rare events, and of traffic that a bandit assigned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from siamrec._core import check, special
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.experiments.analysis.checks import check_counts
from siamrec.experiments.analysis.report import SampleRatio
from siamrec.experiments.sequential.confidence_sequences import AsymptoticCS
from siamrec.statistics.effect import Effect
from siamrec.statistics.tails import deviate_of_t, positive_p, t_of_deviate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.typing import BoolArray, FloatArray, IntArray

_MISFIT = 1e6
"""E-value above which propensities do not fit how often the treatment was given."""

_ENOUGH = 50.0
"""Rows that count from which the mean of scores is taken to be nearly normal."""


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
        InvalidDataError: If a count is negative or not finite, or a variant has no share.
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
    apart = abs(sum(shares.values()) - 1)
    if not (apart <= 1e-9 and min(shares.values()) > 0):
        raise InvalidParameterError("shares", dict(shares), "shares above 0 that sum to 1")
    if any(name not in shares for name in observed):
        raise InvalidDataError(f"observed must hold counts of {sorted(shares)}, got {observed}.")
    check_counts("observed", observed)
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


def adaptive_effect(
    treated: FloatArray | IntArray | BoolArray,
    outcome: FloatArray | IntArray | BoolArray,
    propensity: FloatArray | None = None,
    *,
    planned: float,
    given: FloatArray | None = None,
    method: Literal["aipw", "ipw"] = "aipw",
    alpha: float = 0.05,
) -> Effect:
    """Return the effect of a treatment from traffic that a bandit assigned, at any time.

    A bandit sends traffic by what it has seen, so plain means are biased and their tests do not
    keep their level. With the logged probability g of the variant that a row was given and the
    means f of the outcomes before each row, the scores

        ipw    psi = (T - C) y / g
        aipw   psi = f_1 - f_0 + T (y - f_1) / g - C (y - f_0) / g

    (T and C mark rows of the treatment and of the control) have the effect as their expectation
    given the past, whatever the bandit did, and an asymptotic confidence sequence over them may be
    looked at as often as one likes. The augmented one is as unbiased and varies less.

    Asymptotic means many rows that count, not many rows: of a thousand with twenty purchases and
    propensities of .02 where one of them weighs fifty, few do. So with d the distances of the
    scores to their mean, nothing is said (p is 1, the interval infinite) until the rows that
    count,

        min( (sum d²)² / sum d⁴,  (sum d²)³ / (2 sum d³)² ),

    have come to 50: the tails and the skewness of the mean are small then. Outcomes within a known
    range, such as clicks, need not wait: `siamrec.statistics.bounded_difference` is exact for
    every number of rows.

    Exactly one of `given` and `propensity` is to be named. They are easily mixed up, and then the
    effect is wrong: where there are two variants, how often each was given is compared with what
    the probabilities say, by an e-process that refuses sound data with a probability of at most
    one in a million.

    Args:
        treated: 1 where the treatment was given, 0 for the control, -1 for any other variant
            (`given` is needed then); in time order.
        outcome: The outcome of each row.
        propensity: The probability of the *treatment* in each row (also where the control was
            given), in (0, 1).
        planned: Number of rows at which the interval is to be tightest.
        given: The probability of the variant that the row *was given*, in (0, 1): what decisions
            log, and what `analyze(propensity=...)` reads.
        method: `"aipw"`, augmented inverse propensity, or `"ipw"`, plain.
        alpha: One less the coverage.

    Raises:
        InvalidDataError: If lengths differ, there are fewer than 2 rows, `treated` is not among
            its values, a probability is not inside (0, 1), or the probabilities do not fit how
            often the variants were given.
        MissingInputError: If neither or both of `given` and `propensity` are named.
        UnknownNameError: If the method is not known.

    References:
        Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), arXiv:2103.06476; Cook, Mishler,
        Ramdas (2024), CLeaR, arXiv:2311.18274.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> chance = np.linspace(0.5, 0.9, 2000)  # of the treatment, as the bandit learns
        >>> new = rng.random(2000) < chance
        >>> logged = np.where(new, chance, 1 - chance)
        >>> outcome = rng.normal(1.0 + 0.5 * new)
        >>> found = adaptive_effect(new, outcome, given=logged, planned=2000)
        >>> found.interval[0] < 0.5 < found.interval[1]
        True
    """
    check.share("alpha", alpha, open_ends=True)
    check.one_of("method", method, ("aipw", "ipw"))
    t, y = check.finite("treated", treated), check.finite("outcome", outcome)
    chance = _chance_of_given(t, given, propensity)
    n = check.same_length(treated=t, outcome=y, propensity=chance)
    if n < 2:
        raise InvalidDataError(f"There must be 2 rows or more, got {n}.")
    side = np.where(t == 1, 1.0, np.where(t == 0, -1.0, 0.0))
    if method == "ipw":
        score = side * y / chance
    else:
        model_1, model_0 = _means_before(y, t == 1), _means_before(y, t == 0)
        score = model_1 - model_0 + side / chance * (y - np.where(t == 1, model_1, model_0))
    rule = AsymptoticCS(planned=planned)
    kind = "augmented inverse propensity" if method == "aipw" else "inverse propensity"
    estimate, error = float(score.mean()), float(score.std(ddof=1) / np.sqrt(n))
    name = f"{kind}, {rule.name}"
    if error == 0:  # constant scores: of one mean of 0, they would vary by so much
        error = abs(estimate) / float(np.sqrt(n - 1))
    p, log_p, reach = 1.0, 0.0, np.inf
    if error == 0:  # all scores are 0, and say nothing
        error = np.inf
    elif _rows_that_count(score) >= _ENOUGH:
        deviate = deviate_of_t(estimate / error, n - 1)
        p, log_p = positive_p(rule.log_p(deviate, n, alpha))
        reach = t_of_deviate(rule.multiplier(n, alpha), n - 1) * error
    return Effect(
        estimate=estimate,
        interval=(estimate - reach, estimate + reach),
        p=p,
        log_p=log_p,
        error=error,
        rule=name,
        freedom=float(n - 1),
        anytime=True,
    )


def _rows_that_count(score: FloatArray) -> float:
    """Return how many rows the mean of scores is as near to normal as; all where none differs."""
    away = score - score.mean()
    most = float(np.abs(away).max())
    if most == 0:
        return float(score.size)
    away /= most
    square = away * away
    second, third, fourth = float(square.sum()), float(square @ away), float(square @ square)
    by_tails = second**2 / fourth
    return min(by_tails, second**3 / (2 * third) ** 2) if third else by_tails


def _chance_of_given(
    treated: FloatArray, given: FloatArray | None, propensity: FloatArray | None
) -> FloatArray:
    """Return the probability of what each row was given, from whichever of the two is named."""
    name, values = ("propensity", propensity) if given is None else ("given", given)
    if values is None or (given is not None and propensity is not None):
        raise MissingInputError(
            "One of given and propensity",
            "given=, the logged probability of the variant that each row was given, or as "
            "propensity=, that of the treatment in every row",
        )
    chance = check.finite(name, values)
    check.same_length(treated=treated, **{name: chance})
    known = (0.0, 1.0) if given is None else (-1.0, 0.0, 1.0)
    stray = treated[~np.isin(treated, known)]
    if stray.size:
        more = " or, with given=, -1 for other variants" if given is None else " or -1"
        raise InvalidDataError(f"treated must be 0 or 1{more}, got {stray[0]:g}.")
    if chance.size and not (chance.min() > 0 and chance.max() < 1):
        raise InvalidDataError(f"{name} must be in (0, 1), got {chance.min()} to {chance.max()}.")
    if given is None:
        _refuse_misfit(treated, chance, name)
        return np.where(treated == 1, chance, 1 - chance)
    if (treated >= 0).all():
        _refuse_misfit(treated, np.where(treated == 1, chance, 1 - chance), name)
    return chance


def _refuse_misfit(treated: FloatArray, chance: FloatArray, name: str) -> None:
    """Refuse probabilities of the treatment that do not fit how often it was given.

    E-values against odds that are higher or lower than said, everywhere, or apart on the two
    sides of a half, which is what comes of mixing up the two probabilities.
    """
    sides = 2 * chance - 1
    log_e = [
        float((shift * treated - np.log1p(chance * np.expm1(shift))).sum())
        for size in (1.0, 3.0)
        for direction in (np.ones_like(sides), sides)
        for shift in (size * direction, -size * direction)
    ]
    if special.logsumexp(log_e) - np.log(len(log_e)) <= np.log(_MISFIT):
        return
    other = (
        "given=, if it is the probability of the variant that the row was given"
        if name == "propensity"
        else "propensity=, if it is the probability of the treatment in every row"
    )
    raise InvalidDataError(
        f"{name} must fit how often the treatment was given, got {treated.mean():.4g} of the rows "
        f"where its probabilities say {chance.mean():.4g}. Pass it as {other}."
    )


def _means_before(outcome: FloatArray, chosen: FloatArray) -> FloatArray:
    """Return the mean of the chosen outcomes before each row; 0 before the first."""
    counts = np.concatenate([[0.0], np.cumsum(chosen)[:-1]])
    totals = np.concatenate([[0.0], np.cumsum(np.where(chosen, outcome, 0.0))[:-1]])
    means = np.divide(totals, counts, out=np.zeros_like(totals), where=counts > 0)
    return np.asarray(means, dtype=np.float64)
