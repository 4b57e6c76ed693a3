"""Bayesian answers: probability of being best, expected loss, region of practical equivalence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check, special
from siamrec._core.table import Record, Shown, Table, counted, number
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.experiments.analysis.checks import check_counts
from siamrec.statistics.tails import normal_reach

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.typing import FloatArray

_NODE, _WEIGHT = np.polynomial.legendre.leggauss(200)
_FINE, _FINE_WEIGHT = np.polynomial.legendre.leggauss(10)
_FARTHEST = 8.0
_DEVIATES = np.array([-_FARTHEST, -6.5, *np.arange(-5.0, 6.0), 6.5, _FARTHEST])
"""Normal deviates between whose quantiles a posterior is smooth."""


@final
@dataclass(frozen=True, slots=True, repr=False)
class PosteriorRates(Record):
    """Posteriors of the rates of several variants.

    Attributes:
        names: Names of the variants.
        family: Beta for proportions, gamma for events per exposure.
        shape: First parameter of each posterior: successes or events, with those of the prior.
        rest: Second parameter: failures or exposure, with those of the prior.
    """

    names: tuple[str, ...]
    family: Literal["beta", "gamma"]
    shape: FloatArray
    rest: FloatArray

    @override
    def title(self) -> str:
        return f"{self.family.capitalize()} posteriors of {counted(len(self.names), 'variant')}"

    @property
    def mean(self) -> FloatArray:
        """Posterior mean of each variant."""
        total = self.shape + self.rest if self.family == "beta" else self.rest
        found: FloatArray = self.shape / total
        return found

    @property
    def variance(self) -> FloatArray:
        """Posterior variance of each variant."""
        mean = self.mean
        spread = 1 - mean if self.family == "beta" else 1.0
        found: FloatArray = (
            mean * spread / (self.rest + (self.shape + 1 if self.family == "beta" else 0))
        )
        return found

    def quantile(self, place: int, below: FloatArray) -> FloatArray:
        """Return quantiles of one variant."""
        shape, rest = self.shape[place], self.rest[place]
        found: FloatArray = (
            special.betaincinv(shape, rest, below)
            if self.family == "beta"
            else special.gammaincinv(shape, below) / rest
        )
        return found

    def below(self, place: int, at: FloatArray) -> FloatArray:
        """Return the probability that one variant lies below each of some rates."""
        shape, rest = self.shape[place], self.rest[place]
        inside = np.maximum(at, 0.0)
        found: FloatArray = (
            special.betainc(shape, rest, np.minimum(inside, 1.0))
            if self.family == "beta"
            else special.gammainc(shape, inside * rest)
        )
        return found


@final
@dataclass(frozen=True, slots=True, repr=False)
class BestOf(Shown):
    """What is believed about several variants.

    Attributes:
        best: Probability that each variant is the best.
        loss: How much one expects to lose by choosing each variant, in the metric's unit.
        mean: Posterior mean of each variant.
        rates: The posteriors themselves.
    """

    best: Mapping[str, float]
    loss: Mapping[str, float]
    mean: Mapping[str, float]
    rates: PosteriorRates

    @override
    def title(self) -> str:
        likely = max(self.best, key=lambda name: self.best[name])
        return f"Best of {len(self.best)}: {likely} with probability {number(self.best[likely])}"

    @override
    def table(self) -> Table:
        """Return one row for each variant."""
        rows = ((name, self.mean[name], p, self.loss[name]) for name, p in self.best.items())
        head = ("variant", "mean", "probability of being best", "expected loss")
        return Table(head=head, rows=tuple(rows), title=self.title())

    def within(self, variant: str, control: str, low: float, high: float) -> float:
        """Return the probability that two variants differ by what does not matter.

            P(low <= theta_variant - theta_control <= high)

        Args:
            variant: Name of the variant.
            control: Name of the variant to compare with.
            low: Lower end of the region of practical equivalence, in the metric's unit.
            high: Its upper end.

        Raises:
            InvalidParameterError: If `high` is below `low`.
            UnknownNameError: If there is no such variant.

        References:
            Kruschke (2018), Advances in Methods and Practices in Psychological Science 1.

        Examples:
            >>> found = best_proportion({"a": 500, "b": 510}, {"a": 5000, "b": 5000})
            >>> round(found.within("b", "a", -0.01, 0.01), 2)
            0.88
        """
        _check_region(low, high)
        names = self.rates.names
        for name in (variant, control):
            if name not in names:
                raise UnknownNameError("variant", name, names)
        if variant == control:
            return float(low <= 0 <= high)
        first, second = names.index(variant), names.index(control)
        if self.rates.variance[first] > self.rates.variance[second]:  # the other is the smoother
            first, second, low, high = second, first, -high, -low
        points = self.rates.quantile(first, (_NODE + 1) / 2)
        inside = self.rates.below(second, points - low) - self.rates.below(second, points - high)
        return float(np.clip(inside @ _WEIGHT / 2, 0.0, 1.0))


def best_proportion(
    wins: Mapping[str, int],
    n: Mapping[str, int],
    *,
    prior: tuple[float, float] = (1.0, 1.0),
    better: Literal["higher", "lower"] = "higher",
) -> BestOf:
    """Compare success rates under Beta priors.

        P(a best) = ∫ f_a ∏_{b≠a} F_b,   loss(a) = E max theta - E theta_a,

    and where lower is better, 1 - F in the place of F and the loss E theta_a - E min theta.

    Args:
        wins: Successes of each variant.
        n: Trials of each variant.
        prior: Parameters of the Beta prior, above 0.
        better: `"higher"`, or `"lower"` for what one would have less of, such as crashes.

    Raises:
        InvalidDataError: If the names differ or a count is impossible.
        InvalidParameterError: If the prior is not above 0.
        UnknownNameError: If the direction is not known.

    Examples:
        >>> found = best_proportion({"a": 20, "b": 30}, {"a": 100, "b": 100})
        >>> round(found.best["b"], 3)
        0.948
        >>> crashes = best_proportion({"a": 20, "b": 30}, {"a": 100, "b": 100}, better="lower")
        >>> round(crashes.best["b"], 3)
        0.052
    """
    for value in prior:
        check.positive("prior", value)
    if wins.keys() != n.keys() or not wins:
        raise InvalidDataError(f"wins and n must have one set of names, got {[*wins]}, {[*n]}.")
    check_counts("wins", wins)
    check_counts("n", n)
    if any(wins[name] > n[name] for name in wins):
        raise InvalidDataError(
            f"wins must be at least 0 and at most n, got {dict(wins)} of {dict(n)}."
        )
    alpha = np.array([prior[0] + wins[name] for name in wins])
    beta = np.array([prior[1] + n[name] - wins[name] for name in wins])
    return _best(PosteriorRates(tuple(wins), "beta", alpha, beta), better)


def best_rate(
    events: Mapping[str, float],
    exposure: Mapping[str, float],
    *,
    prior: tuple[float, float] = (1.0, 1.0),
    better: Literal["higher", "lower"] = "higher",
) -> BestOf:
    """Compare event rates under Gamma priors; events are Poisson with rate times exposure.

    Args:
        events: Events of each variant.
        exposure: Units, or time, of each variant.
        prior: Pseudo-events and pseudo-exposure, above 0.
        better: `"higher"`, or `"lower"` for what one would have less of.

    Raises:
        InvalidDataError: If the names differ or a number is negative or not finite.
        InvalidParameterError: If the prior is not above 0.
        UnknownNameError: If the direction is not known.

    Examples:
        >>> found = best_rate({"a": 9, "b": 14}, {"a": 100, "b": 110}, better="lower")
        >>> round(found.best["a"], 2)
        0.78
    """
    for value in prior:
        check.positive("prior", value)
    if events.keys() != exposure.keys() or not events:
        raise InvalidDataError(
            f"events and exposure must have one set of names, got {[*events]}, {[*exposure]}."
        )
    check_counts("events", events)
    check_counts("exposure", exposure)
    shape = np.array([prior[0] + events[name] for name in events])
    rate = np.array([prior[1] + exposure[name] for name in events])
    return _best(PosteriorRates(tuple(events), "gamma", shape, rate), better)


@final
@dataclass(frozen=True, slots=True, repr=False)
class NormalPosterior(Record):
    """Posterior of a difference under a normal prior.

    Attributes:
        mean: Posterior mean.
        deviation: Posterior standard deviation.

    Raises:
        InvalidParameterError: If the mean is not finite or the deviation not above 0.
    """

    mean: float
    deviation: float

    def __post_init__(self) -> None:
        _check_number("mean", self.mean)
        check.positive("deviation", self.deviation)

    @override
    def title(self) -> str:
        return f"Normal posterior {number(self.mean)} ± {number(self.deviation)}"

    @classmethod
    def of(
        cls, estimate: float, error: float, *, prior_deviation: float, prior_mean: float = 0.0
    ) -> NormalPosterior:
        """Return the posterior of an effect from its estimate and standard error.

        The precision is `1 / error² + 1 / prior_deviation²`: the prior shrinks what looks too
        good, which is what the winner of many comparisons needs.

        Raises:
            InvalidParameterError: If a deviation is not above 0, or a number is not finite.
        """
        _check_number("estimate", estimate)
        _check_number("prior_mean", prior_mean)
        data = 1 / check.positive("error", error) ** 2
        prior = 1 / check.positive("prior_deviation", prior_deviation) ** 2
        mean = (estimate * data + prior_mean * prior) / (data + prior)
        return cls(mean, float(1 / np.sqrt(data + prior)))

    @property
    def better(self) -> float:
        """Probability that the difference is above 0."""
        return float(special.ndtr(self.mean / self.deviation))

    def expected_loss(self) -> float:
        """Return what one expects to lose by shipping: `E max(-d, 0)`."""
        z = self.mean / self.deviation
        density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
        return float(self.deviation * density - self.mean * special.ndtr(-z))

    def within(self, low: float, high: float) -> float:
        """Return the probability that the difference lies in a region of practical equivalence.

        Raises:
            InvalidParameterError: If `high` is below `low`.
        """
        _check_region(low, high)
        ends = (np.array([low, high]) - self.mean) / self.deviation
        below = special.ndtr(ends)
        return float(below[1] - below[0])

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the credible interval of probability `confidence`."""
        check.share("confidence", confidence, open_ends=True)
        reach = normal_reach(1 - confidence)
        return self.mean - reach * self.deviation, self.mean + reach * self.deviation


def _check_number(name: str, value: float) -> None:
    if not np.isfinite(value):
        raise InvalidParameterError(name, value, "a finite number")


def _check_region(low: float, high: float) -> None:
    if not low <= high:
        raise InvalidParameterError("high", high, f"at least low, {low}")


def _best(rates: PosteriorRates, better: Literal["higher", "lower"]) -> BestOf:
    """Integrate P(a best) = ∫ ∏_{b≠a} F_b(Q_a(u)) du on the scale of normal deviates, u = Φ(z).

    There the ends are not steep, and the scale is cut at the quantiles of all variants, for each
    is smooth between two of its own: narrow posteriors beside wide ones cost no digits.
    """
    check.one_of("better", better, ("higher", "lower"))
    mean = rates.mean
    levels = special.ndtr(_DEVIATES)
    cuts = np.concatenate([rates.quantile(place, levels) for place in range(mean.size)])
    best, furthest = np.empty(mean.size), 0.0
    for place in range(mean.size):  # variants
        steps = np.clip(special.ndtri(rates.below(place, cuts)), -_FARTHEST, _FARTHEST)
        edges = np.unique([*_DEVIATES, *steps])
        half = np.diff(edges)[:, None] / 2
        z = (edges[:-1, None] + half * (1 + _FINE)).ravel()
        weight = (half * _FINE_WEIGHT).ravel() * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
        points, product = rates.quantile(place, special.ndtr(z)), np.ones(z.size)
        for other in range(mean.size):
            if other != place:
                below = rates.below(other, points)
                product = product * (below if better == "higher" else 1 - below)
        best[place] = float((weight * product).sum())
        furthest += float((weight * product * points).sum())
    total = best.sum()
    sign = 1 if better == "higher" else -1
    loss = np.maximum(sign * (furthest / total - mean), 0.0)
    return BestOf(
        dict(zip(rates.names, (best / total).tolist(), strict=True)),
        dict(zip(rates.names, loss.tolist(), strict=True)),
        dict(zip(rates.names, mean.tolist(), strict=True)),
        rates,
    )
