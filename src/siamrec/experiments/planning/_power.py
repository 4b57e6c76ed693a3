"""Probability that a comparison finds what is there, for each hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from siamrec._core import special
from siamrec.experiments.sequential.group_sequential import GroupSequential
from siamrec.statistics.tails import normal_reach, reach_of_t

if TYPE_CHECKING:
    from siamrec.experiments.sequential.confidence_sequences import Sequence as LookingRule

Hypothesis: TypeAlias = Literal["two-sided", "one-sided", "non-inferiority", "equivalence"]

HYPOTHESES = ("two-sided", "one-sided", "non-inferiority", "equivalence")

_SMALL_SAMPLE = 2000.0
"""Degrees of freedom up to which the noncentral t distribution is used."""
_NODE, _WEIGHT = np.polynomial.legendre.leggauss(200)


class AssumedEffect(NamedTuple):
    """What is there, against what is to be ruled out.

    Attributes:
        lead: How far the truth lies from the edge of the null hypothesis, in standard errors.
        room: For equivalence, how far it lies from the other edge.
        scale: Standard error that the test takes over the one that the estimate has.
        n: Units of both variants.
        freedom: Degrees of freedom of the test; infinite where it takes normal quantiles.
    """

    lead: float
    room: float
    scale: float
    n: float
    freedom: float


def power_of(
    truth: AssumedEffect, hypothesis: Hypothesis, alpha: float, rule: LookingRule | None
) -> float:
    """Return the probability that the null hypothesis is refused.

    At a fixed horizon the one-sided hypothesis has alpha on its side, equivalence on each of its
    two sides, as their tests have; non-inferiority is judged by the interval at alpha, which has
    half of it on each side. With a looking rule all are judged by the rule's interval.
    """
    if rule is not None:
        return _by_rule(truth, hypothesis, alpha, rule)
    if hypothesis == "equivalence":
        return _between(truth, alpha)
    two_sided = hypothesis == "two-sided"
    tail = alpha if hypothesis == "one-sided" else alpha / 2
    if truth.freedom > _SMALL_SAMPLE:
        reach = normal_reach(2 * tail) * truth.scale
        other = float(special.ndtr(-truth.lead - reach)) if two_sided else 0.0
        return float(special.ndtr(truth.lead - reach)) + other
    reach = reach_of_t(truth.freedom, 2 * tail)
    found = 1 - special.nctdtr(truth.freedom, truth.lead, reach)
    if two_sided:
        found += special.nctdtr(truth.freedom, truth.lead, -reach)
    return float(found) if np.isfinite(found) else 1.0


def _by_rule(
    truth: AssumedEffect, hypothesis: Hypothesis, alpha: float, rule: LookingRule
) -> float:
    grouped = isinstance(rule, GroupSequential)
    if isinstance(rule, GroupSequential) and hypothesis != "equivalence":
        return rule.power(truth.lead, alpha)
    planned = rule.planned_units if grouped and rule.planned_units else truth.n
    reach = rule.multiplier(planned, alpha)
    if hypothesis == "equivalence":
        return _inside(truth, reach)
    return float(special.ndtr(truth.lead - reach))


def _between(truth: AssumedEffect, alpha: float) -> float:
    """Two one-sided tests; over the estimated error where that matters (Owen's integral)."""
    if truth.freedom > _SMALL_SAMPLE:
        return _inside(truth, normal_reach(2 * alpha) * truth.scale)
    tail = (_NODE + 1) / 2
    error = np.sqrt(special.chdtri(truth.freedom, tail) / truth.freedom)
    reach = reach_of_t(truth.freedom, 2 * alpha) * error
    found = special.ndtr(truth.room - reach) - special.ndtr(reach - truth.lead)
    return float(np.maximum(found, 0.0) @ _WEIGHT / 2)


def _inside(truth: AssumedEffect, reach: float) -> float:
    found = special.ndtr(truth.room - reach) - special.ndtr(reach - truth.lead)
    return max(float(found), 0.0)
