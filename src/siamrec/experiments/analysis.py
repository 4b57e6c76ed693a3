"""From data and a plan to effects, checks and a decision."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from siamrec.errors import InvalidDataError
from siamrec.experiments import _effects
from siamrec.experiments._adaptive import PropensityWatch, refuse_adaptive_plan
from siamrec.experiments._decision import decide
from siamrec.experiments._sample import Sample, control_of, samples_of
from siamrec.experiments.checks import sample_ratio_within
from siamrec.experiments.group_sequential import GroupSequential
from siamrec.experiments.metrics import Metric, Proportion
from siamrec.experiments.multiplicity import adjust
from siamrec.experiments.report import Check, Comparison, Effect, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siamrec.data.moments import Moments
    from siamrec.experiments._effects import Pair
    from siamrec.experiments.plan import Plan

_UNBALANCED = 1e-3
"""p-value of a covariate below which a warning is given."""


def analyze(
    data: object | Mapping[str, Moments] | Iterable[object],
    plan: Plan,
    *,
    variant: str = "variant",
    unit: str | None = None,
    control: str = "control",
    strata: str | None = None,
    propensity: str | None = None,
) -> Report:
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
            variant are mixed up: Simpson's paradox), or anything known before assignment.
        propensity: Column of the probability with which a row was given its variant, where it
            was logged. It must be one number within a variant (and stratum): where it is not, a
            bandit has assigned the units, and `adaptive_effect` is the test for that.

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
    if propensity is not None:
        data = PropensityWatch(variant, propensity, strata).watched(data)
    parts = samples_of(data, plan, variant, unit, strata)
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
            pair, sample = _compare(parts, metric, names, plan)
            found[metric.name, treatment] = _comparison(
                plan, sample, metric, pair, names=names, alpha=alpha
            )
            checks += _checks_of(metric, pair, treatment)
            checks += _balance(parts, metric, names)
    comparisons = _corrected(plan, found)
    checks.append(_check_of_ratio(plan, srm.p))
    n_units = sum(sum(part.n_units) for part in parts.values())
    verdict = decide(plan, comparisons, tuple(checks), n_units)
    return Report(
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


def _compare(
    parts: Mapping[str, Sample], metric: Metric, names: tuple[str, str], plan: Plan
) -> tuple[Pair, Sample | None]:
    """Return the pair of two variants over all strata that have both; a lone sample as well."""
    pairs = []
    for part in parts.values():
        if set(names) <= set(part.variants):
            treatment, control = (
                part.moments[metric.name][part.variants.index(name)] for name in names
            )
            terms = part.terms(metric)
            pairs.append(_effects.compare(treatment, control, terms, plan.adjustment))
    if not pairs:
        raise InvalidDataError(f"No stratum must lack one of {names}, but all of them do.")
    if len(pairs) == len(parts) == 1:
        return pairs[0], next(iter(parts.values()))
    return _effects.combined(pairs), None


def _balance(parts: Mapping[str, Sample], metric: Metric, names: tuple[str, str]) -> list[Check]:
    """Check that what was known before does not differ between the variants."""
    checks = []
    for place, term in enumerate(metric.covariates, 1):
        pairs = []
        for part in parts.values():
            if set(names) <= set(part.variants):
                treatment, control = (
                    part.moments[metric.name][part.variants.index(name)] for name in names
                )
                known = [part.terms(metric)[place]]
                pairs.append(_effects.compare(treatment, control, known, "none"))
        pair = _effects.combined(pairs)
        estimate, error = pair.contrast(1.0, -1.0)
        if pair.known and error > 0:
            p, _ = _effects.two_sided_t(estimate / error, pair.freedom)
            if p < _UNBALANCED:
                message = f"{term.numerator} differed before the experiment (p = {p:.2g})."
                checks.append(Check("balance", "warning", message))
    return checks


def _comparison(
    plan: Plan,
    sample: Sample | None,
    metric: Metric,
    pair: Pair,
    *,
    names: tuple[str, str],
    alpha: float,
) -> Comparison:
    fixed = _fixed(sample, metric, pair, alpha)
    absolute = fixed if plan.sequential is None else _sequential(plan, pair, alpha)
    reach = _reach(plan, pair, alpha)
    relative = Effect(
        estimate=_effects.relative(pair),
        interval=_effects.fieller(pair, reach),
        p=absolute.p,
        log_p=absolute.log_p,
        error=_relative_error(pair),
        rule=absolute.rule,
    )
    harmful, safe = _against_margin(metric, pair, reach)
    rule, error = plan.sequential, absolute.error
    futile = (
        isinstance(rule, GroupSequential)
        and 0 < error < np.inf
        and rule.is_futile(metric.sign * absolute.estimate / error, float(sum(pair.n)), alpha)
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


def _fixed(sample: Sample | None, metric: Metric, pair: Pair, alpha: float) -> Effect:
    estimate, error = pair.contrast(1.0, -1.0)
    rule = "fixed horizon, Welch t"
    if not pair.known:
        return _unknown(estimate, rule)
    plain = sample is not None and not sample.clustered
    if isinstance(metric, Proportion) and not metric.covariates and plain:
        wins = (pair.values[0] * pair.n[0], pair.values[1] * pair.n[1])
        p, log_p = _effects.two_sided_z(_effects.pooled_z(wins, pair.n))
        interval = _effects.newcombe(wins, pair.n, alpha)
        rule = "fixed horizon, pooled z and Newcombe interval"
        return Effect(
            estimate=estimate, interval=interval, p=p, log_p=log_p, error=error, rule=rule
        )
    if error == 0:
        return _certain(estimate, rule)
    reach = _effects.reach_of_t(pair.freedom, alpha)
    p, log_p = _effects.two_sided_t(estimate / error, pair.freedom)
    return Effect(
        estimate=estimate,
        interval=(estimate - reach * error, estimate + reach * error),
        p=p,
        log_p=log_p,
        error=error,
        rule=rule,
    )


def _sequential(plan: Plan, pair: Pair, alpha: float) -> Effect:
    looking = plan.sequential
    assert looking is not None
    estimate, error = pair.contrast(1.0, -1.0)
    if not pair.known:
        return _unknown(estimate, looking.name)
    if error == 0:
        return _certain(estimate, looking.name)
    n = float(sum(pair.n))
    reach = looking.multiplier(n, alpha)
    p, log_p = _effects.positive_p(looking.log_p(estimate / error, n, alpha))
    return Effect(
        estimate=estimate,
        interval=(estimate - reach * error, estimate + reach * error),
        p=p,
        log_p=log_p,
        error=error,
        rule=looking.name,
    )


def _unknown(estimate: float, rule: str) -> Effect:
    """One unit in a variant has no spread to judge by: anything is possible."""
    whole = (-np.inf, np.inf)
    return Effect(estimate=estimate, interval=whole, p=1.0, log_p=0.0, error=np.inf, rule=rule)


def _certain(estimate: float, rule: str) -> Effect:
    """Constant outcomes: no difference at all, or a difference without error."""
    p, log_p = (1.0, 0.0) if estimate == 0 else _effects.positive_p(-np.inf)
    point = (estimate, estimate)
    return Effect(estimate=estimate, interval=point, p=p, log_p=log_p, error=0.0, rule=rule)


def _reach(plan: Plan, pair: Pair, alpha: float) -> float:
    if not pair.known:
        return np.inf
    if plan.sequential is not None:
        return plan.sequential.multiplier(float(sum(pair.n)), alpha)
    return _effects.reach_of_t(pair.freedom, alpha)


def _relative_error(pair: Pair) -> float:
    """Return the delta-method standard error of `(t - c) / |c|`."""
    t, c = pair.values
    if c == 0 or not pair.known:
        return np.inf
    return pair.contrast(1.0, -t / c)[1] / abs(c)


def _against_margin(metric: Metric, pair: Pair, reach: float) -> tuple[bool, bool]:
    """Return whether it is certain that the metric is worse by the margin, and that it is not.

    A relative margin q is tested as the linear contrast `s t - s c + q |c|`, without a ratio.
    """
    if not pair.known:
        return False, False
    sign, shift, baseline = float(metric.sign), 0.0, 0.0
    if metric.margin is not None and metric.margin.relative is not None:
        baseline = metric.margin.relative * float(np.sign(pair.values[1]))
    elif metric.margin is not None:
        shift = metric.margin.absolute or 0.0
    estimate, error = pair.contrast(sign, baseline - sign)
    estimate += shift
    return estimate + reach * error < 0, estimate - reach * error > 0


def _checks_of(metric: Metric, pair: Pair, treatment: str) -> list[Check]:
    checks = []
    if not pair.known:
        message = f"{metric.name}: too few units in {treatment!r} or the control to judge."
        checks.append(Check("few units", "warning", message))
    elif pair.contrast(1.0, -1.0)[1] == 0:
        message = f"{metric.name}: constant in both variants."
        checks.append(Check("constant", "warning", message))
    if pair.known and abs(pair.values[1]) < 5 * math.sqrt(max(pair.covariance[1, 1], 0.0)):
        message = f"{metric.name}: the control is near 0, the relative difference is vague."
        checks.append(Check("baseline", "note", message))
    return checks


def _check_of_ratio(plan: Plan, p: float) -> Check:
    if p < plan.srm_alpha:
        message = f"the numbers of units do not fit the planned shares (p = {p:.2g})."
        return Check("sample ratio", "failure", message)
    return Check("sample ratio", "ok", f"p = {p:.2g}.")


def _corrected(
    plan: Plan, found: Mapping[tuple[str, str], Comparison]
) -> dict[tuple[str, str], Comparison]:
    primary = [key for key, each in found.items() if each.metric.role == "primary"]
    p = adjust(np.array([found[key].absolute.p for key in primary]), plan.correction)
    adjusted = dict(zip(primary, p.tolist(), strict=True))
    return {
        key: each.corrected(adjusted[key]) if key in adjusted else each
        for key, each in found.items()
    }
