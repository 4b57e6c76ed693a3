"""From data and a plan to effects, checks and a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec.errors import InvalidDataError
from siamrec.experiments.analysis import _effects
from siamrec.experiments.analysis._adaptive import refuse_adaptive_plan
from siamrec.experiments.analysis._comparing import balance, compared
from siamrec.experiments.analysis._decision import decide
from siamrec.experiments.analysis._ratio_check import check_of_ratio
from siamrec.experiments.analysis._samples import Sample, control_of, samples_of
from siamrec.experiments.analysis.checks import sample_ratio_within
from siamrec.experiments.analysis.report import Check, Comparison, ExperimentReport
from siamrec.experiments.metrics import ExperimentMetric, Proportion, Quantile
from siamrec.experiments.sequential.group_sequential import GroupSequential
from siamrec.statistics.corrections import adjust
from siamrec.statistics.difference import Hybrid
from siamrec.statistics.effect import Effect
from siamrec.statistics.proportions import pooled_z
from siamrec.statistics.tails import normal_reach, positive_p, two_sided_t, two_sided_z

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siamrec.data.moments import Moments
    from siamrec.experiments.plan import Plan
    from siamrec.experiments.sequential.confidence_sequences import Sequence as LookingRule
    from siamrec.statistics.difference import TwoValues

_WHOLE = (-np.inf, np.inf)
_FEW = 5
"""Expected events below which tests of proportions by a normal approximation are rough."""


def analyze(
    data: object | Mapping[str, Moments] | Iterable[object],
    plan: Plan,
    *,
    variant: str = "variant",
    unit: str | None = None,
    control: str = "control",
    strata: str | None = None,
    propensity: str | None = None,
) -> ExperimentReport:
    """Analyse an experiment by its plan.

    Args:
        data: A frame (anything with `__arrow_c_stream__`, or a mapping of columns), an iterator
            of such frames with one row per unit, or `Moments` by variant.
        plan: The plan.
        variant: Column of the variant; rows without one are left out.
        unit: Column of the unit of assignment. Where units repeat, everything is clustered by
            unit; without it rows are taken as independent, and the report says so.
        control: Name of the variant to compare with.
        strata: Column whose values are compared within, and then averaged by their units: the
            version of the allocation when shares were changed on the way (without it, time and
            variant are mixed up: Simpson's paradox), or anything known before assignment. Units
            that come back in other strata (named by `unit`) are one unit each; those that met
            several variants are left out.
        propensity: Column of the probability with which a row was given its variant, where it
            was logged. It must be one number within a variant (and stratum): where it is not, a
            bandit has assigned the units, and `adaptive_effect` is the test for that: it takes
            the same column as `given=`.

    Raises:
        InvalidDataError: If a variant has no unit with a metric, an outcome is infinite, a
            denominator sums to 0, or the data cannot be read.
        MissingInputError: If a metric has a cross-fitted covariate, and no unit is named.
        UnknownNameError: If a column or the control is missing; the message offers the nearest.
        UnsupportedEstimate: If a bandit assigned the units, by the plan or by the propensities.

    Examples:
        >>> from siamrec.experiments import Mean, Plan
        >>> rng = np.random.default_rng(0)
        >>> arm = np.repeat(["control", "new"], 500)
        >>> frame = {"variant": arm, "minutes": rng.normal(10 + (arm == "new"), 2)}
        >>> report = analyze(frame, Plan(metrics=[Mean("minutes")]))
        >>> report.decision, report["minutes"].absolute.p < 0.001
        ('ship', True)
    """
    refuse_adaptive_plan(plan)
    parts = samples_of(
        data, plan, variant=variant, unit=unit, strata=strata, propensity=propensity
    )
    return report_of(parts, plan, control)


def report_of(parts: Mapping[str, Sample], plan: Plan, control: str) -> ExperimentReport:
    """Return what the samples of strata say."""
    variants = tuple(sorted({name for part in parts.values() for name in part.variants}))
    control_of(variants, control)
    treatments = [name for name in variants if name != control]
    if not treatments:
        raise InvalidDataError(
            f"There must be a variant beside the control {control!r}, got {variants}."
        )
    counts = {
        stratum: dict(zip(part.variants, part.n_units, strict=True))
        for stratum, part in parts.items()
        if any(part.n_units)  # a stratum may have none but units that came in another first
    }
    srm = sample_ratio_within(counts, plan.shares, plan.stratum_shares)
    found: dict[tuple[str, str], Comparison] = {}
    checks = list(dict.fromkeys(check for part in parts.values() for check in part.checks))
    n_primary = sum(metric.role == "primary" for metric in plan.metrics) * len(treatments)
    for metric in plan.metrics:
        shared = metric.role == "primary" and plan.correction != "none"
        alpha = plan.alpha / n_primary if shared else plan.alpha
        for treatment in treatments:
            names = (treatment, control)
            pair, lone, noticed = compared(parts, metric, names, plan)
            comparison = _comparison(plan, metric, pair, names=names, alpha=alpha, lone=lone)
            found[metric.name, treatment] = comparison
            checks += [*noticed, *_checks_of(comparison, pair)]
            checks += balance(parts, metric, names)
    comparisons = _corrected(plan, found)
    checks.append(check_of_ratio(plan, srm, counts))
    verdict = decide(plan, comparisons, tuple(checks), _units_of_pairs(counts, control))
    return ExperimentReport(
        plan=plan,
        control=control,
        comparisons=comparisons,
        srm=srm,
        checks=tuple(checks),
        decision=verdict.decision,
        winner=verdict.winner,
        reasons=verdict.reasons,
        days_left=verdict.days_left,
    )


def _units_of_pairs(
    counts: Mapping[str, Mapping[str, int]], control: str
) -> dict[str, tuple[int, int]]:
    """Return the units of each treatment with the control, and of all variants."""
    total: dict[str, int] = {}
    for each in counts.values():
        for name, n in each.items():
            total[name] = total.get(name, 0) + n
    every = sum(total.values())
    shared = total[control]
    return {name: (n + shared, every) for name, n in total.items() if name != control}


def _comparison(
    plan: Plan,
    metric: ExperimentMetric,
    pair: TwoValues,
    *,
    names: tuple[str, str],
    alpha: float,
    lone: bool,
) -> Comparison:
    reach = _reach(plan, pair, alpha)
    span, relative_span = pair.spans(reach) if pair.known else (_WHOLE, _WHOLE)
    told = _tells(pair, span)
    relatively = told and relative_span[0] < relative_span[1]  # all 0 is -100 %, of any control
    if plan.rule is None:
        absolute = fixed = _fixed(metric, pair, span, lone=lone)
    else:
        once = pair.span(1.0, -1.0, normal_reach(alpha)) if pair.known else _WHOLE
        fixed = _fixed(metric, pair, once, lone=lone)
        absolute = _sequential(plan.rule, pair, alpha, span)
    relative = Effect(
        estimate=_effects.relative(pair),
        interval=relative_span if relatively else _WHOLE,
        p=absolute.p,
        log_p=absolute.log_p,
        error=_relative_error(pair) if relatively else np.inf,
        rule=absolute.rule,
        freedom=absolute.freedom,
        anytime=absolute.anytime,
    )
    harmful, safe = _against_margin(metric, pair, absolute, reach) if told else (False, False)
    rule = plan.rule
    futile = (
        isinstance(rule, GroupSequential)
        and 0 < absolute.error < np.inf
        and rule.is_futile(metric.sign * pair.deviate(), float(sum(pair.n)), alpha)
    )
    return Comparison(
        metric=metric,
        treatment=names[0],
        control=names[1],
        n=pair.n,
        values=pair.values,
        absolute=absolute,
        relative=relative,
        fixed=fixed,
        adjusted_p=absolute.p,
        variance_reduction=pair.reduction,
        harmful=harmful,
        safe=safe,
        futile=futile,
    )


def _fixed(
    metric: ExperimentMetric, pair: TwoValues, span: tuple[float, float], *, lone: bool
) -> Effect:
    estimate, error = pair.contrast(1.0, -1.0)
    rule, hybrid = "fixed horizon, Welch t", isinstance(pair, Hybrid)
    if hybrid:
        quantile = isinstance(metric, Quantile)
        rule = "fixed horizon, order statistics" if quantile else "fixed horizon, Newcombe"
    if not _tells(pair, span):
        return _unknown(estimate, rule)
    if not hybrid:
        p, log_p = two_sided_t(estimate / error, pair.freedom)
    elif lone and isinstance(metric, Proportion):
        wins = (pair.values[0] * pair.n[0], pair.values[1] * pair.n[1])
        p, log_p = two_sided_z(pooled_z(wins, pair.n))
        rule = "fixed horizon, pooled z and Newcombe interval"
    else:
        p, log_p = two_sided_z(pair.deviate())
    return Effect(
        estimate=estimate,
        interval=span,
        p=p,
        log_p=log_p,
        error=error,
        rule=rule,
        freedom=pair.freedom,
    )


def _sequential(
    looking: LookingRule, pair: TwoValues, alpha: float, span: tuple[float, float]
) -> Effect:
    estimate, error = pair.contrast(1.0, -1.0)
    if not _tells(pair, span):
        return _unknown(estimate, looking.name, anytime=True)
    n = float(sum(pair.n))
    p, log_p = positive_p(looking.log_p(pair.deviate(), n, alpha))
    return Effect(
        estimate=estimate,
        interval=span,
        p=p,
        log_p=log_p,
        error=error,
        rule=looking.name,
        freedom=pair.freedom,
        anytime=True,
    )


def _tells(pair: TwoValues, span: tuple[float, float]) -> bool:
    """Whether there are units enough, and any variation, to judge by."""
    return pair.known and pair.contrast(1.0, -1.0)[1] > 0 and span[0] < span[1]


def _unknown(estimate: float, rule: str, *, anytime: bool = False) -> Effect:
    """Units too few, or all the same, have no spread to judge by: anything is possible."""
    return Effect(
        estimate=estimate,
        interval=_WHOLE,
        p=1.0,
        log_p=0.0,
        error=np.inf,
        rule=rule,
        anytime=anytime,
    )


def _reach(plan: Plan, pair: TwoValues, alpha: float) -> float:
    if plan.rule is not None:
        return plan.rule.multiplier(float(sum(pair.n)), alpha)
    return normal_reach(alpha)


def _relative_error(pair: TwoValues) -> float:
    """Return the delta-method standard error of `(t - c) / |c|`."""
    t, c = pair.values
    if c == 0 or not pair.known:
        return np.inf
    return pair.contrast(1.0, -t / c)[1] / abs(c)


def _against_margin(
    metric: ExperimentMetric, pair: TwoValues, absolute: Effect, reach: float
) -> tuple[bool, bool]:
    """Return whether it is certain that the metric is worse by the margin, and that it is not.

    A relative margin q is tested as the linear contrast `s t - s c + q |c|`, without a ratio; of
    one in which nothing varies, neither is certain.
    """
    if metric.margin is None:
        below, above = absolute.interval[1] < 0, absolute.interval[0] > 0
        return (below, above) if metric.sign > 0 else (above, below)
    sign, shift, baseline = float(metric.sign), 0.0, 0.0
    if metric.margin.relative is not None:
        baseline = metric.margin.relative * float(np.sign(pair.values[1]))
    else:
        shift = metric.margin.absolute or 0.0
    low, high = pair.span(sign, baseline - sign, reach)
    if not low < high:
        return False, False
    return high + shift < 0, low + shift > 0


def _checks_of(found: Comparison, pair: TwoValues) -> list[Check]:
    metric, treatment = found.metric, found.treatment
    checks, binary = [], isinstance(metric, Proportion)
    if not pair.known:
        message = f"{metric.name}: too few units in {treatment!r} or the control to judge."
        checks.append(Check("few units", "warning", message))
    elif found.absolute.error != pair.contrast(1.0, -1.0)[1]:  # it was not to be believed
        message = f"{metric.name}: no variation in {treatment!r} and the control: no interval."
        checks.append(Check("constant", "warning", message))
    elif binary and set(pair.values) in ({0.0}, {1.0}):
        message = f"{metric.name}: constant in both variants."
        checks.append(Check("constant", "warning", message))
    elif binary and _least_expected(pair) < _FEW:
        message = (
            f"{metric.name}: fewer than {_FEW} events are expected in a variant, so that normal "
            "approximations are rough; Fisher's test (two_proportions) and, at any time, "
            "sequential_sample_ratio of the events are exact."
        )
        checks.append(Check("few events", "warning", message))
    if pair.known and abs(pair.values[1]) < 5 * pair.contrast(0.0, 1.0)[1]:
        message = f"{metric.name}: the control is near 0, the relative difference is vague."
        checks.append(Check("baseline", "note", message))
    return checks


def _least_expected(pair: TwoValues) -> float:
    """Return the least number of events, or of their absence, expected without a difference."""
    share = sum(value * n for value, n in zip(pair.values, pair.n, strict=True)) / sum(pair.n)
    return min(pair.n) * min(share, 1 - share)


def _corrected(
    plan: Plan, found: Mapping[tuple[str, str], Comparison]
) -> dict[tuple[str, str], Comparison]:
    primary = [key for key, each in found.items() if each.metric.role == "primary"]
    if len(primary) < 2:  # a lone p-value stays as it is
        return dict(found)
    p = adjust(np.array([found[key].absolute.p for key in primary]), plan.correction)
    adjusted = dict(zip(primary, p.tolist(), strict=True))
    return {
        key: each.corrected(adjusted[key]) if key in adjusted else each
        for key, each in found.items()
    }
