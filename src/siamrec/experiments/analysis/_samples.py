"""From rows to the moments of each metric in each variant, stratum by stratum, in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec._core import check
from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.experiments.analysis._adaptive import PropensityWatch
from siamrec.experiments.analysis._cross_fitting import FOLDS, with_predictions
from siamrec.experiments.analysis._metric_moments import ROWS, Rows, collect, shifts, unit_rows
from siamrec.experiments.analysis.observations import (
    Observations,
    differs_within,
    is_chunks,
    is_moments,
)
from siamrec.experiments.analysis.report import Check
from siamrec.experiments.metrics import Count, ExperimentMetric, Mean, Proportion, Quantile, Term

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from siamrec.experiments.analysis._metric_moments import UnitRows
    from siamrec.experiments.plan import Plan
    from siamrec.statistics.quantiles import OrderStatistics
    from siamrec.typing import IntArray

_MOST_VARIANTS = 100
_REPEATED = (
    "Units must not repeat when data come in chunks; pass one frame, or aggregate to one row per "
    "unit first."
)


@final
@dataclass(frozen=True, slots=True)
class Sample:
    """What analysis needs of the data.

    Attributes:
        variants: Names of the variants, sorted.
        n_units: Number of units of each variant.
        moments: For each metric, its moments in each variant.
        clustered: Whether units have several rows, so that terms without a denominator are
            means over rows.
        checks: What was noticed on the way.
        orders: For each quantile, its order statistics in each variant.
        unit_rows: For each metric the totals of its units, where units come back in other
            strata.
        shifts: What is to be added to the outcome of a metric, where its moments left it out.
    """

    variants: tuple[str, ...]
    n_units: tuple[int, ...]
    moments: Mapping[str, tuple[Moments, ...]]
    clustered: bool
    checks: tuple[Check, ...]
    orders: Mapping[str, tuple[OrderStatistics | None, ...]] = field(default_factory=dict)
    unit_rows: Mapping[str, UnitRows] | None = None
    shifts: Mapping[str, float] = field(default_factory=dict)

    def terms(self, metric: ExperimentMetric) -> tuple[Term, ...]:
        """Return the outcome and the covariates of a metric as its moments hold them."""
        plain = (metric.outcome, *metric.covariates)
        return plain if isinstance(metric, Quantile) else self.per_row(plain)

    def per_row(self, terms: Sequence[Term]) -> tuple[Term, ...]:
        """Return terms as means over rows where units have several."""
        if not self.clustered:
            return tuple(terms)
        return tuple(Term(term.numerator, term.denominator or ROWS) for term in terms)


def samples_of(
    data: object,
    plan: Plan,
    *,
    variant: str,
    unit: str | None,
    strata: str | None,
    propensity: str | None = None,
) -> dict[str, Sample]:
    """Return the sample of each stratum of a frame, or the one sample of any data.

    Raises:
        InvalidDataError: If the data cannot be read this way; the message says why.
        UnknownNameError: If a column is missing.
        UnsupportedEstimate: If propensities differ within a variant.
    """
    if is_moments(data):
        if propensity is not None:
            raise InvalidDataError("A propensity needs the rows, got moments; pass one frame.")
        if strata is not None:
            raise InvalidDataError("Strata and segments need one frame, got moments.")
        return {"": _of_moments(data, plan)}
    watch = None if propensity is None else PropensityWatch(propensity)

    def read(frame: object) -> Observations:
        rows = Observations.read(
            *(frame, plan.columns),
            variant=variant,
            unit=unit,
            strata=strata,
            propensity=propensity,
        )
        return rows if watch is None else watch.see(rows)

    if not is_chunks(data):
        return samples_within(read(data), plan)
    if strata is not None:
        raise InvalidDataError("Strata and segments need one frame, got chunks.")
    return {"": predicted(_of_chunks(map(read, data), plan), plan)}


def samples_within(rows: Observations, plan: Plan) -> dict[str, Sample]:
    """Return the sample of each stratum; units that come back in another are told."""
    if rows.part is None:
        return {"": sample_of(rows, plan)}
    unit = rows.unit
    if unit is not None and differs_within(unit, rows.part, len(rows.units)).any():
        return _with_returners(rows, unit, plan)
    return {name: sample_of(rows.where(places), plan) for name, places in rows.by_part().items()}


def _with_returners(rows: Observations, unit: IntArray, plan: Plan) -> dict[str, Sample]:
    """Return the samples of strata that share units, which are counted where they came first."""
    for metric in plan.metrics:
        if isinstance(metric, Quantile) or metric.model is not None:
            raise InvalidDataError(
                f"Units must not come back in another stratum for {metric.name!r}: its error "
                "over strata that share units is not known."
            )
    n_units = len(rows.units)
    mixed = differs_within(unit, rows.variant, n_units)
    checks = [Check("unit", "note", f"Units come back in other strata: {n_units} in all.")]
    checks += _mixed_check(int(mixed.sum()), n_units)
    is_first = np.zeros(len(rows), dtype=np.bool_)
    is_first[np.unique(unit, return_index=True)[1]] = True
    samples = {}
    for name, places in rows.by_part().items():
        kept = places[~mixed[unit[places]]]
        if not kept.size:
            continue
        part = rows.where(kept)
        sample = predicted(_sample(part, plan, returning=True), plan)
        new = np.bincount(part.variant[is_first[kept]], minlength=len(part.variants))
        samples[name] = replace(
            sample, n_units=tuple(new.tolist()), checks=(*checks, *sample.checks)
        )
    return samples


def sample_of(rows: Observations, plan: Plan) -> Sample:
    """Return the sample of rows without strata.

    Raises:
        InvalidDataError: If there is no row, or the variants are too many to be some.
    """
    return predicted(_sample(rows, plan), plan)


def predicted(sample: Sample, plan: Plan) -> Sample:
    """Put the prediction of each model in the place of its features, now that all data are in."""
    models = {metric.name: metric.model for metric in plan.metrics if metric.model is not None}
    if not models:
        return sample
    moments: dict[str, tuple[Moments, ...]] = {}
    for metric in plan.metrics:
        model = models.get(metric.name)
        if model is None:
            moments[metric.name] = sample.moments[metric.name]
            continue
        terms = sample.per_row((metric.outcome, *map(Term, model.columns)))
        moments[metric.name] = with_predictions(metric, model, sample.moments, terms)
    return replace(sample, moments=moments)


def _of_moments(data: Mapping[Any, Moments], plan: Plan) -> Sample:
    _refuse_quantiles(plan, "moments")
    for metric in plan.metrics:
        what = None
        if metric.model is not None:
            what = "The model"
        elif isinstance(metric, Mean) and metric.is_bounded:
            what = "A bound"
        elif metric.missing == "zero" and not isinstance(metric, Count):
            what = "missing='zero'"
        if what is not None:
            raise InvalidDataError(
                f"{what} of {metric.name!r} needs the rows, got moments; pass one frame."
            )
    names = tuple(sorted(map(str, data)))
    by_name = {str(name): moments for name, moments in data.items()}
    shares = [metric for metric in plan.metrics if isinstance(metric, Proportion)]
    for name, moments in by_name.items():
        for column in plan.columns:
            check.one_of("column for a metric", column, moments.names)
        for metric in shares:
            _check_binary_moments(metric, name, moments)
    whole = tuple(by_name[name] for name in names)
    chosen = dict.fromkeys(plan.by_name, whole)
    return Sample(names, tuple(by_name[name].n for name in names), chosen, False, ())


def _check_binary_moments(metric: Proportion, variant: str, moments: Moments) -> None:
    """Refuse moments that no column of 0 and 1 can have: their variance follows from the mean."""
    place = moments.names.index(metric.outcome.numerator)
    mean, product = float(moments.mean[place]), float(moments.product[place, place])
    expected = moments.n * mean * (1 - mean)
    if not 0 <= mean <= 1 or abs(product - expected) > 1e-6 * max(moments.n * mean, 1e-12):
        raise InvalidDataError(
            f"{metric.outcome.numerator} must be 0 or 1 for the proportion {metric.name!r}, got "
            f"moments of other values in {variant!r}."
        )


def _of_chunks(chunks: Iterable[Observations], plan: Plan) -> Sample:
    _refuse_quantiles(plan, "chunks")
    _refuse_winsorizing(plan)
    total: Sample | None = None
    seen: list[npt.NDArray[np.uint64]] = []
    for rows in chunks:
        if not len(rows) and not rows.n_unassigned:
            continue
        part = _sample(rows, plan)
        if part.clustered:
            raise InvalidDataError(_REPEATED)
        if rows.unit is not None:
            seen.append(rows.fingerprints())
        total = part if total is None else _merged(total, part)
    if total is None:
        raise InvalidDataError("The data must hold at least one row.")
    if len(seen) > 1:
        every = np.sort(np.concatenate(seen))
        if (every[1:] == every[:-1]).any():
            raise InvalidDataError(_REPEATED)
    return total


def _merged(left: Sample, right: Sample) -> Sample:
    names = tuple(sorted({*left.variants, *right.variants}))

    def counted(sample: Sample, name: str) -> int:
        there = name in sample.variants
        return sample.n_units[sample.variants.index(name)] if there else 0

    def found(sample: Sample, metric: str, name: str) -> Moments:
        moments = sample.moments[metric]
        if name in sample.variants:
            return moments[sample.variants.index(name)]
        return Moments.empty(moments[0].names)

    return Sample(
        names,
        tuple(counted(left, name) + counted(right, name) for name in names),
        {
            metric: tuple(found(left, metric, name) + found(right, metric, name) for name in names)
            for metric in left.moments
        },
        False,
        tuple(dict.fromkeys((*left.checks, *right.checks))),
    )


def _sample(rows: Observations, plan: Plan, *, returning: bool = False) -> Sample:
    """Return the sample of rows; with the totals of units that come back in other strata."""
    checks: list[Check] = []
    if rows.n_unassigned:
        note = f"{rows.n_unassigned} rows without a variant were left out."
        checks.append(Check("variant", "note", note))
    if not rows.variants:
        raise InvalidDataError("The data must hold at least one row with a variant.")
    n_variants = len(rows.variants)
    if n_variants > _MOST_VARIANTS:
        raise InvalidDataError(
            f"The variant must be one of a few names, got {n_variants} different values."
        )
    groups, clusters = rows.variant, None
    if rows.unit is None:
        checks.append(Check("unit", "note", "No unit column: rows are taken as independent."))
    else:
        groups, clusters = _clusters_of(rows.unit, groups, checks)
    modelled = any(metric.model is not None for metric in plan.metrics)
    uniforms = rows.uniforms(FOLDS) if rows.unit is not None and modelled else None
    read = Rows(rows.numbers, groups, clusters, uniforms, n_variants)
    moments, orders = collect(plan, read, checks)
    return Sample(
        rows.variants,
        _count_units(groups, clusters, n_variants),
        moments,
        clusters is not None,
        tuple(checks),
        orders,
        unit_rows(plan, read, rows.unit) if returning and rows.unit is not None else None,
        shifts(plan, read),
    )


def _clusters_of(
    unit: IntArray, groups: IntArray, checks: list[Check]
) -> tuple[IntArray, IntArray | None]:
    """Return the groups without units seen in several variants, and clusters if units repeat."""
    counts = np.bincount(unit)
    n_units = int(np.count_nonzero(counts))
    if n_units == unit.size:
        return groups, None
    clusters = unit.astype(np.int64, copy=False)
    mixed = differs_within(clusters, groups, counts.size)
    checks.append(
        Check("unit", "note", f"{unit.size} rows of {n_units} units: clustered by unit.")
    )
    n_mixed = int(mixed.sum())
    if n_mixed:
        checks += _mixed_check(n_mixed, n_units)
        groups = np.where(mixed[clusters], -1, groups)
    return groups, clusters


def _mixed_check(n_mixed: int, n_units: int) -> list[Check]:
    if not n_mixed:
        return []
    share = n_mixed / n_units
    message = f"{n_mixed} units ({share:.2%}) met several variants and were left out."
    serious = share > 0.01
    return [Check("multiple exposure", "failure" if serious else "warning", message)]


def _count_units(groups: IntArray, clusters: IntArray | None, n_groups: int) -> tuple[int, ...]:
    if clusters is None:
        return tuple(int(np.count_nonzero(groups == group)) for group in range(n_groups))
    kept = groups >= 0
    _, first = np.unique(clusters[kept], return_index=True)
    counts = np.bincount(groups[kept][first], minlength=n_groups)
    return tuple(counts.tolist())


def _refuse_winsorizing(plan: Plan) -> None:
    for metric in plan.metrics:
        if isinstance(metric, Mean) and metric.winsorize is not None:
            raise InvalidDataError(
                f"The bounds of {metric.name!r} are quantiles of all rows, got chunks; pass one "
                "frame, or give floor= and cap=."
            )


def _refuse_quantiles(plan: Plan, what: str) -> None:
    for metric in plan.metrics:
        if isinstance(metric, Quantile):
            raise InvalidDataError(
                f"The quantile {metric.name!r} needs the rows, got {what}; pass one frame."
            )


def control_of(variants: tuple[str, ...], control: str) -> int:
    """Return the place of the control.

    Raises:
        UnknownNameError: If no row has it.
    """
    if control not in variants:
        raise UnknownNameError("variant (control)", control, variants)
    return variants.index(control)
