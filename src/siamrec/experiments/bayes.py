"""Bayesian answers: probability of being best, expected loss, region of practical equivalence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from scipy import special

from siamrec._core import check
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.typing import FloatArray

_NODE, _WEIGHT = np.polynomial.legendre.leggauss(200)


@final
@dataclass(frozen=True, slots=True)
class BestOf:
    """What is believed about several variants.

    Attributes:
        best: Probability that each variant is the best.
        loss: How much one expects to lose by choosing each variant, in the metric's unit.
        mean: Posterior mean of each variant.
    """

    best: Mapping[str, float]
    loss: Mapping[str, float]
    mean: Mapping[str, float]


def best_proportion(
    wins: Mapping[str, int],
    n: Mapping[str, int],
    *,
    prior: tuple[float, float] = (1.0, 1.0),
) -> BestOf:
    """Compare success rates under Beta priors.

        P(a best) = ∫ f_a ∏_{b≠a} F_b,   loss(a) = E max theta - E theta_a.

    Args:
        wins: Successes of each variant.
        n: Trials of each variant.
        prior: Parameters of the Beta prior, above 0.

    Raises:
        InvalidDataError: If the names differ or a count is impossible.
        InvalidParameterError: If the prior is not above 0.

    Examples:
        >>> found = best_proportion({"a": 20, "b": 30}, {"a": 100, "b": 100})
        >>> round(found.best["b"], 3)
        0.948
    """
    for value in prior:
        check.positive("prior", value)
    if wins.keys() != n.keys() or not wins:
        raise InvalidDataError(f"wins and n must have one set of names, got {[*wins]}, {[*n]}.")
    if any(not 0 <= wins[name] <= n[name] for name in wins):
        raise InvalidDataError("wins must be at least 0 and at most n.")
    alpha = np.array([prior[0] + wins[name] for name in wins])
    beta = np.array([prior[1] + n[name] - wins[name] for name in wins])
    return _best(
        tuple(wins),
        alpha / (alpha + beta),
        lambda u: special.betaincinv(alpha[:, None], beta[:, None], u),
        lambda x: special.betainc(alpha[:, None], beta[:, None], x),
    )


def best_rate(
    events: Mapping[str, float],
    exposure: Mapping[str, float],
    *,
    prior: tuple[float, float] = (1.0, 1.0),
) -> BestOf:
    """Compare event rates under Gamma priors; events are Poisson with rate times exposure.

    Args:
        events: Events of each variant.
        exposure: Units, or time, of each variant.
        prior: Pseudo-events and pseudo-exposure, above 0.

    Raises:
        InvalidDataError: If the names differ or a number is negative.
        InvalidParameterError: If the prior is not above 0.
    """
    for value in prior:
        check.positive("prior", value)
    if events.keys() != exposure.keys() or not events:
        raise InvalidDataError("events and exposure must have one set of names.")
    if any(events[name] < 0 or exposure[name] < 0 for name in events):
        raise InvalidDataError("events and exposure must not be below 0.")
    shape = np.array([prior[0] + events[name] for name in events])
    rate = np.array([prior[1] + exposure[name] for name in events])
    return _best(
        tuple(events),
        shape / rate,
        lambda u: special.gammaincinv(shape[:, None], u) / rate[:, None],
        lambda x: special.gammainc(shape[:, None], x * rate[:, None]),
    )


@final
@dataclass(frozen=True, slots=True)
class NormalPosterior:
    """Posterior of a difference under a normal prior.

    Attributes:
        mean: Posterior mean.
        deviation: Posterior standard deviation.
    """

    mean: float
    deviation: float

    @classmethod
    def of(
        cls, estimate: float, error: float, *, prior_deviation: float, prior_mean: float = 0.0
    ) -> NormalPosterior:
        """Return the posterior of an effect from its estimate and standard error.

        The precision is `1 / error² + 1 / prior_deviation²`: the prior shrinks what looks too
        good, which is what the winner of many comparisons needs.

        Raises:
            InvalidParameterError: If a deviation is not above 0.
        """
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
        """Return the probability that the difference lies in a region of practical equivalence."""
        ends = (np.array([low, high]) - self.mean) / self.deviation
        below = special.ndtr(ends)
        return float(below[1] - below[0])

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Return the credible interval of probability `1 - alpha`."""
        reach = float(special.ndtri(1 - check.share("alpha", alpha, open_ends=True) / 2))
        return self.mean - reach * self.deviation, self.mean + reach * self.deviation


def _best(names: tuple[str, ...], mean: FloatArray, quantile: object, below: object) -> BestOf:
    """Integrate on the quantile scale of each variant: P(a best) = ∫ ∏_{b≠a} F_b(Q_a(u)) du."""
    assert callable(quantile)
    assert callable(below)
    u, weight = (_NODE + 1) / 2, _WEIGHT / 2
    points = quantile(np.repeat(u[None], mean.size, axis=0))
    best, highest = np.empty(mean.size), 0.0
    for place in range(mean.size):  # variants
        others = np.delete(below(np.repeat(points[place][None], mean.size, axis=0)), place, axis=0)
        product = others.prod(axis=0)
        best[place] = float((weight * product).sum())
        highest += float((weight * product * points[place]).sum())
    total = best.sum()
    loss = np.maximum(highest / total - mean, 0.0)
    return BestOf(
        dict(zip(names, (best / total).tolist(), strict=True)),
        dict(zip(names, loss.tolist(), strict=True)),
        dict(zip(names, mean.tolist(), strict=True)),
    )
