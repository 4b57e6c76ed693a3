"""From data frames to the moments of each metric in each variant, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeGuard, final

import numpy as np

from siamrec._core import check
from siamrec.data.frames import floats_of, pick, table_of
from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.experiments.analysis._collect import ROWS, Rows, collect, unit_rows
from siamrec.experiments.analysis._columns import (
    clusters_of,
    count_units,
    fingerprints,
    name_codes,
    whole,
)
from siamrec.experiments.analysis._crossfit import fold_uniforms, with_predictions
from siamrec.experiments.analysis.report import Check
from siamrec.experiments.metrics import Count, ExperimentMetric, Mean, Proportion, Quantile, Term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.experiments.analysis._returning import UnitRows
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
    """

    variants: tuple[str, ...]
    n_units: tuple[int, ...]
    moments: Mapping[str, tuple[Moments, ...]]
    clustered: bool
    checks: tuple[Check, ...]
    orders: Mapping[str, tuple[OrderStatistics | None, ...]] = field(default_factory=dict)
    unit_rows: Mapping[str, UnitRows] | None = None

    def terms(self, metric: ExperimentMetric) -> tuple[Term, ...]:
        """Return the outcome and the covariates of a metric as its moments hold them."""
        plain = (metric.outcome, *metric.covariates)
        return plain if isinstance(metric, Quantile) else self.per_row(plain)

    def per_row(self, terms: Sequence[Term]) -> tuple[Term, ...]:
        """Return terms as means over rows where units have several."""
        if not self.clustered:
            return tuple(terms)
        return tuple(Term(term.numerator, term.denominator or ROWS) for term in terms)


def sample_of(data: object, plan: Plan, variant: str, unit: str | None) -> Sample:
    """Return the sample in a frame, in an iterator of frames, or in moments by variant.

    Raises:
        InvalidDataError: If the data cannot be read this way; the message says why.
        UnknownNameError: If a column is missing.
    """
    if is_moments(data):
        return _of_moments(data, plan)
    if is_chunks(data):
        return predicted(_of_chunks(data, plan, variant, unit), plan)
    return predicted(of_table(table_of(data), plan, variant, unit), plan)


def is_moments(data: object) -> TypeGuard[Mapping[Any, Moments]]:
    """Whether data are moments by variant."""
    return (
        isinstance(data, Mapping)
        and bool(data)
        and all(isinstance(each, Moments) for each in data.values())
    )


def is_chunks(data: object) -> TypeGuard[Iterable[object]]:
    """Whether data are parts of a frame, one after the other."""
    framed = hasattr(data, "__arrow_c_stream__") or isinstance(data, Mapping)
    return isinstance(data, Iterable) and not framed


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


def _of_chunks(data: Any, plan: Plan, variant: str, unit: str | None) -> Sample:
    _refuse_quantiles(plan, "chunks")
    _refuse_winsorizing(plan)
    total: Sample | None = None
    seen: list[IntArray] = []
    for chunk in data:
        table = table_of(chunk)
        if not table.num_rows:
            continue
        part = of_table(table, plan, variant, unit)
        if part.clustered:
            raise InvalidDataError(_REPEATED)
        if unit is not None:
            seen.append(fingerprints(whole(table, unit, "the unit")))
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


def of_table(
    table: Any, plan: Plan, variant: str, unit: str | None, *, ids: IntArray | None = None
) -> Sample:
    """Return the sample of a table; with the totals of its units where they have numbers."""
    checks: list[Check] = []
    column = whole(table, variant, "the variant")
    if column.null_count:
        note = f"{column.null_count} rows without a variant were left out."
        checks.append(Check("variant", "note", note))
        ids = None if ids is None else ids[column.is_valid().to_numpy(zero_copy_only=False)]
        table = table.filter(column.is_valid())
        column = pick(table, variant, "the variant")
    names, groups = name_codes(column)
    if not names:
        raise InvalidDataError("The data must hold at least one row with a variant.")
    if len(names) > _MOST_VARIANTS:
        raise InvalidDataError(
            f"{variant!r} must hold names of variants, got {len(names)} different values."
        )
    clusters: IntArray | None = None
    if unit is None:
        checks.append(Check("unit", "note", "No unit column: rows are taken as independent."))
    else:
        groups, clusters = clusters_of(whole(table, unit, "the unit"), groups, checks)
    modelled = unit is not None and any(metric.model is not None for metric in plan.metrics)
    uniforms = fold_uniforms(whole(table, unit, "the unit")) if unit and modelled else None
    n_units = count_units(groups, clusters, len(names))
    columns = {name: floats_of(whole(table, name, "a metric"), name) for name in plan.columns}
    rows = Rows(columns, groups, clusters, uniforms, len(names))
    moments, orders = collect(plan, rows, checks)
    kept = None if ids is None else unit_rows(plan, rows, ids)
    return Sample(names, n_units, moments, clusters is not None, tuple(checks), orders, kept)


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
