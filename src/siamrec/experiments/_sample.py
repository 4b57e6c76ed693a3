"""From data frames to the moments of each metric in each variant, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard, final

import numpy as np

from siamrec._core import check
from siamrec.data.frames import floats_of, pick, table_of
from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.experiments._collect import ROWS, Rows, collect
from siamrec.experiments._crossfit import fold_uniforms, with_predictions
from siamrec.experiments.metrics import Metric, Quantile, Term
from siamrec.experiments.report import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.experiments.plan import Plan
    from siamrec.typing import IntArray

_MOST_VARIANTS = 100


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
    """

    variants: tuple[str, ...]
    n_units: tuple[int, ...]
    moments: Mapping[str, tuple[Moments, ...]]
    clustered: bool
    checks: tuple[Check, ...]

    def terms(self, metric: Metric) -> tuple[Term, ...]:
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
        return _predicted(_of_chunks(data, plan, variant, unit), plan)
    return _predicted(_of_table(table_of(data), plan, variant, unit), plan)


def samples_of(
    data: object, plan: Plan, variant: str, unit: str | None, strata: str | None
) -> dict[str, Sample]:
    """Return the sample of each stratum of a frame, or the one sample of any data.

    Raises:
        InvalidDataError: If the data cannot be read this way, or a stratum is null.
        UnknownNameError: If a column is missing.
    """
    if strata is None:
        return {"": sample_of(data, plan, variant, unit)}
    return {
        name: _predicted(_of_table(part, plan, variant, unit), plan)
        for name, part in split_table(data, strata)
    }


def split_table(data: object, column: str) -> list[tuple[str, Any]]:
    """Return the rows of each value of a column, in the order of the values' names.

    Raises:
        InvalidDataError: If the data are no frame, or a value is null.
        UnknownNameError: If there is no such column.
    """
    if is_chunks(data):
        raise InvalidDataError("Strata and segments need one frame, got chunks.")
    table = table_of(data)
    values = whole(table, column, "strata or segments")
    if values.null_count:
        raise InvalidDataError(f"{column} must not be null, got {values.null_count} nulls.")
    names, codes = name_codes(values)
    return [(name, table.take(np.flatnonzero(codes == code))) for code, name in enumerate(names)]


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


def _predicted(sample: Sample, plan: Plan) -> Sample:
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
        if metric.model is not None:
            raise InvalidDataError(
                f"The model of {metric.name!r} needs the rows, got moments; pass one frame."
            )
    names = tuple(sorted(map(str, data)))
    by_name = {str(name): moments for name, moments in data.items()}
    for moments in by_name.values():
        for column in plan.columns:
            check.one_of("column for a metric", column, moments.names)
    chosen = {metric.name: tuple(by_name[name] for name in names) for metric in plan.metrics}
    return Sample(names, tuple(by_name[name].n for name in names), chosen, False, ())


def _of_chunks(data: Any, plan: Plan, variant: str, unit: str | None) -> Sample:
    _refuse_quantiles(plan, "chunks")
    total: Sample | None = None
    for chunk in data:
        part = _of_table(table_of(chunk), plan, variant, unit)
        if part.clustered:
            raise InvalidDataError(
                "Units must not repeat when data come in chunks; pass one frame, or aggregate "
                "to one row per unit first."
            )
        total = part if total is None else _merged(total, part)
    if total is None:
        raise InvalidDataError("The data must hold at least one row.")
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


def _of_table(table: Any, plan: Plan, variant: str, unit: str | None) -> Sample:
    checks: list[Check] = []
    column = whole(table, variant, "the variant")
    if column.null_count:
        note = f"{column.null_count} rows without a variant were left out."
        checks.append(Check("variant", "note", note))
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
        groups, clusters = _units(whole(table, unit, "the unit"), groups, checks)
    modelled = unit is not None and any(metric.model is not None for metric in plan.metrics)
    uniforms = fold_uniforms(whole(table, unit, "the unit")) if unit and modelled else None
    n_units = _count_units(groups, clusters, len(names))
    columns = {name: floats_of(whole(table, name, "a metric"), name) for name in plan.columns}
    rows = Rows(columns, groups, clusters, uniforms, len(names))
    moments = collect(plan, rows, checks)
    return Sample(names, n_units, moments, clusters is not None, tuple(checks))


def whole(table: Any, name: str, purpose: str) -> Any:
    """Return a column as one array, without a copy where it is one already."""
    if name in table.column_names and table.column(name).num_chunks == 1:
        return table.column(name).chunk(0)
    return pick(table, name, purpose)


def name_codes(column: Any) -> tuple[tuple[str, ...], IntArray]:
    """Return the different values of a column as sorted text, and each row's place among them."""
    encoded = column.dictionary_encode() if not hasattr(column, "indices") else column
    listed = [str(value) for value in encoded.dictionary.to_pylist()]
    order = sorted(range(len(listed)), key=listed.__getitem__)
    small = len(listed) <= np.iinfo(np.int8).max  # an eighth of the memory
    place = np.empty(len(listed), dtype=np.int8 if small else np.int64)
    place[order] = np.arange(len(listed))
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return tuple(listed[code] for code in order), place[codes] if listed else codes


def _units(column: Any, groups: IntArray, checks: list[Check]) -> tuple[IntArray, IntArray | None]:
    """Return the groups without units seen in several variants, and clusters if units repeat."""
    if column.null_count:
        raise InvalidDataError(f"Units must not be null, got {column.null_count} nulls.")
    encoded = column.dictionary_encode() if not hasattr(column, "indices") else column
    clusters = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    n_units = int(clusters.max()) + 1 if clusters.size else 0
    if n_units == clusters.size:
        return groups, None
    one = np.zeros(n_units, dtype=np.int64)
    one[clusters] = groups
    mixed = np.zeros(n_units, dtype=np.bool_)
    mixed[clusters[one[clusters] != groups]] = True
    n_mixed = int(mixed.sum())
    checks.append(
        Check("unit", "note", f"{clusters.size} rows of {n_units} units: clustered by unit.")
    )
    if n_mixed:
        share = n_mixed / n_units
        message = f"{n_mixed} units ({share:.2%}) met several variants and were left out."
        serious = share > 0.01  # noqa: PLR2004
        checks.append(Check("multiple exposure", "failure" if serious else "warning", message))
        groups = np.where(mixed[clusters], -1, groups)
    return groups, clusters


def _count_units(groups: IntArray, clusters: IntArray | None, n_groups: int) -> tuple[int, ...]:
    if clusters is None:
        return tuple(int(np.count_nonzero(groups == group)) for group in range(n_groups))
    kept = groups >= 0
    _, first = np.unique(clusters[kept], return_index=True)
    counts = np.bincount(groups[kept][first], minlength=n_groups)
    return tuple(counts.tolist())


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
