"""From samples to the difference of two variants: in one stratum, in several, with returners."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from siamrec.errors import InvalidDataError
from siamrec.experiments.analysis import _effects
from siamrec.experiments.analysis._returning_units import returning
from siamrec.experiments.analysis.report import Check
from siamrec.experiments.metrics import Proportion, Quantile
from siamrec.statistics.proportions import proportions
from siamrec.statistics.quantiles import quantiles
from siamrec.statistics.tails import two_sided_t

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.data.moments import Moments
    from siamrec.experiments.analysis._effects import Pair
    from siamrec.experiments.analysis._samples import Sample
    from siamrec.experiments.metrics import ExperimentMetric
    from siamrec.experiments.plan import Plan
    from siamrec.statistics.difference import TwoValues

_UNBALANCED = 1e-3
"""p-value of a covariate below which a warning is given."""


class Compared(NamedTuple):
    """A difference, how it was made, and what was noticed."""

    difference: TwoValues
    lone: bool
    checks: list[Check]


def compared(
    parts: Mapping[str, Sample], metric: ExperimentMetric, names: tuple[str, str], plan: Plan
) -> Compared:
    """Return the difference of a treatment and a control over all strata that can be judged.

    Raises:
        InvalidDataError: If every stratum lacks one of the two.
    """
    there, checks = _judged(parts, metric, names)
    if any(part.unit_rows is not None for part in there.values()):
        used = {name: part.terms(metric) for name, part in there.items()}
        pair = returning(there, metric.name, names, used, plan.adjustment)
        sides = [(part, each) for part in there.values() for each in _moments(part, metric, names)]
        return Compared(_with_spread(pair, metric, sides), False, checks)
    found = [_difference(part, metric, names, plan, checks) for part in there.values()]
    lone = len(found) == len(parts) == 1
    return Compared(_effects.combined(found), lone, checks)


def balance(
    parts: Mapping[str, Sample], metric: ExperimentMetric, names: tuple[str, str]
) -> list[Check]:
    """Check that what was known before does not differ between the variants."""
    checks: list[Check] = []
    if not metric.covariates:
        return checks
    there, _ = _judged(parts, metric, names)
    for place, term in enumerate(metric.covariates, 1):
        known = {name: (part.terms(metric)[place],) for name, part in there.items()}
        if any(part.unit_rows is not None for part in there.values()):
            pair: TwoValues = returning(there, metric.name, names, known, "none")
        else:
            pair = _effects.combined(
                [
                    _effects.compare(*_moments(part, metric, names), known[name], "none")
                    for name, part in there.items()
                ]
            )
        estimate, error = pair.contrast(1.0, -1.0)
        if pair.known and error > 0:
            p, _ = two_sided_t(estimate / error, pair.freedom)
            if p < _UNBALANCED:
                message = f"{term.numerator} differed before the experiment (p = {p:.2g})."
                checks.append(Check("balance", "warning", message))
    return checks


def _judged(
    parts: Mapping[str, Sample], metric: ExperimentMetric, names: tuple[str, str]
) -> tuple[dict[str, Sample], list[Check]]:
    """Return the strata with both variants and units enough, and a check of those left out."""
    both = {
        name: part
        for name, part in parts.items()
        if names[0] in part.variants and names[1] in part.variants
    }
    if not both:
        raise InvalidDataError(f"No stratum must lack one of {names}, but all of them do.")
    if len(parts) == 1:
        return both, []
    least = 2 + len(metric.covariates)
    enough = {
        name: part
        for name, part in both.items()
        if min(moments.n for moments in _moments(part, metric, names)) >= least
    }
    there = enough or both
    absent = [name for name in parts if name not in there]
    if not absent:
        return there, []
    n = sum(sum(each.n for each in parts[name].moments[metric.name]) for name in absent)
    listed = ", ".join(map(repr, absent[:5])) + (", …" if len(absent) > 5 else "")
    message = (
        f"{metric.name}: {len(absent)} strata ({listed}) of {n} units have fewer than {least} "
        f"units of {names[0]!r} or {names[1]!r} and were left out."
    )
    return there, [Check("strata", "warning", message)]


def _moments(
    part: Sample, metric: ExperimentMetric, names: tuple[str, str]
) -> tuple[Moments, Moments]:
    found = part.moments[metric.name]
    treatment = found[part.variants.index(names[0])]
    control = found[part.variants.index(names[1])]
    for name, n in zip(names, (treatment.n, control.n), strict=True):
        if not n:
            raise InvalidDataError(
                f"{name!r} must have at least one unit with {', '.join(metric.columns)}, which "
                f"{metric.name!r} needs, got none."
            )
    return treatment, control


def _difference(
    part: Sample, metric: ExperimentMetric, names: tuple[str, str], plan: Plan, checks: list[Check]
) -> TwoValues:
    treatment, control = _moments(part, metric, names)
    if isinstance(metric, Quantile):
        orders = [part.orders[metric.name][part.variants.index(name)] for name in names]
        return quantiles(*(each for each in orders if each is not None))
    if isinstance(metric, Proportion) and not part.clustered and not metric.covariates:
        return proportions(treatment, control, metric.outcome.numerator)
    plain = _effects.compare(treatment, control, part.terms(metric), plan.adjustment)
    plain = plain.moved(part.shifts.get(metric.name, 0.0))
    pair = _with_spread(plain, metric, [(part, treatment), (part, control)])
    if pair is not plain:
        message = (
            f"{metric.name}: constant in each variant, but not the same; its error is that of "
            "both variants taken together."
        )
        checks.append(Check("constant", "warning", message))
    return pair


def _with_spread(
    pair: Pair, metric: ExperimentMetric, sides: Sequence[tuple[Sample, Moments]]
) -> Pair:
    """Return the pair with an error where its values are constant, and not lost in rounding."""
    found = pair.with_spread()
    if found is pair:
        return pair
    lost = (
        _effects.is_rounding(pair.gap[0], moments, part.terms(metric)[0])
        for part, moments in sides
    )
    return pair if any(lost) else found
