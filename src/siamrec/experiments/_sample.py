"""From data frames to the moments of each metric in each variant, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard, final

import numpy as np

from siamrec._core import check
from siamrec.data.frames import floats_of, pick, table_of
from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.experiments._collect import ROWS, Rows, collect, unit_rows
from siamrec.experiments._crossfit import fold_uniforms, with_predictions
from siamrec.experiments._units import Units
from siamrec.experiments.metrics import Mean, Metric, Proportion, Quantile, Term
from siamrec.experiments.report import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.experiments._returning import UnitRows
    from siamrec.experiments.plan import Plan
    from siamrec.experiments.quantiles import OrderStatistics
    from siamrec.typing import BoolArray, IntArray

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
    pieces = split_rows(data, strata)
    returners = None if unit is None else _returners(data, pieces, variant, unit)
    if returners is not None:
        return _with_returners(pieces, returners, plan, variant, unit)
    return {
        name: _predicted(_of_table(part, plan, variant, unit), plan) for name, part, _ in pieces
    }


class _Returners(NamedTuple):
    """Units of a frame whose strata share some: number and variant of each, and who is mixed."""

    unit: IntArray
    mixed: BoolArray
    first: IntArray


def _returners(
    data: object, pieces: Sequence[tuple[str, Any, IntArray]], variant: str, unit: str
) -> _Returners | None:
    """Return the units of all rows, if some unit is in several strata."""
    table = table_of(data)
    units = whole(table, unit, "the unit")
    _refuse_null_units(units)
    numbers = compact(units)[1]
    n_units = int(numbers.max()) + 1 if numbers.size else 0
    stratum = np.empty(numbers.size, dtype=np.int64)
    for code, (_, _, rows) in enumerate(pieces):
        stratum[rows] = code
    if not _differs_within(numbers, stratum, n_units).any():
        return None
    variants = whole(table, variant, "the variant")
    rows = np.flatnonzero(variants.is_valid().to_numpy(zero_copy_only=False))
    groups = name_codes(variants.drop_null())[1]
    _, first = np.unique(numbers[rows], return_index=True)
    mixed = _differs_within(numbers[rows], groups, n_units)
    return _Returners(numbers, mixed, rows[first])


def _differs_within(unit: IntArray, value: IntArray, n_units: int) -> BoolArray:
    """Return for each unit whether its rows have different values."""
    one = np.zeros(n_units, dtype=np.int64)
    one[unit] = value
    differs = np.zeros(n_units, dtype=np.bool_)
    differs[unit[one[unit] != value]] = True
    return differs


def _with_returners(
    pieces: Sequence[tuple[str, Any, IntArray]],
    found: _Returners,
    plan: Plan,
    variant: str,
    unit: str | None,
) -> dict[str, Sample]:
    """Return the samples of strata that share units, which are counted where they came first."""
    for metric in plan.metrics:
        if isinstance(metric, Quantile) or metric.model is not None:
            raise InvalidDataError(
                f"Units must not come back in another stratum for {metric.name!r}: its error "
                "over strata that share units is not known."
            )
    n_units = found.mixed.size
    checks = [Check("unit", "note", f"Units come back in other strata: {n_units} in all.")]
    checks += _mixed_check(int(found.mixed.sum()), n_units)
    is_first = np.zeros(found.unit.size, dtype=np.bool_)
    is_first[found.first] = True
    samples = {}
    for name, part, rows in pieces:
        kept = ~found.mixed[found.unit[rows]]
        if not kept.any():
            continue
        ids = found.unit[rows][kept]
        sample = _of_table(part.filter(kept), plan, variant, unit, ids=ids)
        first = part.filter(kept & is_first[rows])
        new = dict.fromkeys(sample.variants, 0)
        names, groups = name_codes(whole(first, variant, "the variant").drop_null())
        new |= dict(zip(names, np.bincount(groups, minlength=len(names)).tolist(), strict=True))
        samples[name] = replace(
            sample, n_units=tuple(new.values()), checks=(*checks, *sample.checks)
        )
    return samples


def split_table(data: object, column: str) -> list[tuple[str, Any]]:
    """Return the rows of each value of a column, in the order of the values' names.

    Raises:
        InvalidDataError: If the data are no frame, or a value is null.
        UnknownNameError: If there is no such column.
    """
    return [(name, part) for name, part, _ in split_rows(data, column)]


def split_rows(data: object, column: str) -> list[tuple[str, Any, IntArray]]:
    """Return each value of a column by its name, with its rows and their places.

    Raises:
        InvalidDataError: If the data are no frame, or a value is null.
        UnknownNameError: If there is no such column.
    """
    if is_chunks(data) or is_moments(data):
        what = "moments" if is_moments(data) else "chunks"
        raise InvalidDataError(f"Strata and segments need one frame, got {what}.")
    table = table_of(data)
    values = whole(table, column, "strata or segments")
    if values.null_count:
        raise InvalidDataError(f"{column} must not be null, got {values.null_count} nulls.")
    names, codes = name_codes(values)
    places = [np.flatnonzero(codes == code) for code in range(len(names))]
    return [(name, table.take(rows), rows) for name, rows in zip(names, places, strict=True)]


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
        if isinstance(metric, Mean) and metric.is_bounded:
            raise InvalidDataError(
                f"The bounds of {metric.name!r} need the rows, got moments; pass one frame."
            )
        if metric.missing == "zero":
            raise InvalidDataError(
                f"missing='zero' of {metric.name!r} needs the rows, got moments."
            )
    names = tuple(sorted(map(str, data)))
    by_name = {str(name): moments for name, moments in data.items()}
    for moments in by_name.values():
        for column in plan.columns:
            check.one_of("column for a metric", column, moments.names)
    for metric in plan.metrics:
        if isinstance(metric, Proportion):
            for name, moments in by_name.items():
                _check_binary_moments(metric, name, moments)
    chosen = {
        metric.name: tuple(by_name[name].select(metric.columns) for name in names)
        for metric in plan.metrics
    }
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
        part = _of_table(table, plan, variant, unit)
        if part.clustered:
            raise InvalidDataError(_REPEATED)
        if unit is not None:
            seen.append(_fingerprints(whole(table, unit, "the unit")))
        total = part if total is None else _merged(total, part)
    if total is None:
        raise InvalidDataError("The data must hold at least one row.")
    if len(seen) > 1:
        every = np.sort(np.concatenate(seen))
        if (every[1:] == every[:-1]).any():
            raise InvalidDataError(_REPEATED)
    return total


def _fingerprints(column: Any) -> IntArray:
    """Return 8 bytes of each unit, by which a unit is known again in another chunk.

    Two independent numbers of 32 bits; among 10 million units two have the same with a
    probability below 1e-5, and the result is a refusal.
    """
    encoded = column.dictionary_encode() if not hasattr(column, "indices") else column
    units = Units(encoded.dictionary)
    two = (units.uniforms(salt) for salt in ("fingerprint, high", "fingerprint, low"))
    high, low = ((each * 2.0**32).astype(np.uint64) for each in two)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    found: IntArray = ((high << np.uint64(32)) | low)[codes]
    return found


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


def _of_table(
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
        groups, clusters = _units(whole(table, unit, "the unit"), groups, checks)
    modelled = unit is not None and any(metric.model is not None for metric in plan.metrics)
    uniforms = fold_uniforms(whole(table, unit, "the unit")) if unit and modelled else None
    n_units = _count_units(groups, clusters, len(names))
    columns = {name: floats_of(whole(table, name, "a metric"), name) for name in plan.columns}
    rows = Rows(columns, groups, clusters, uniforms, len(names))
    moments, orders = collect(plan, rows, checks)
    kept = None if ids is None else unit_rows(plan, rows, ids)
    return Sample(names, n_units, moments, clusters is not None, tuple(checks), orders, kept)


def whole(table: Any, name: str, purpose: str) -> Any:
    """Return a column as one array, without a copy where it is one already."""
    if name in table.column_names and table.column(name).num_chunks == 1:
        return table.column(name).chunk(0)
    return pick(table, name, purpose)


def compact(column: Any) -> tuple[list[Any], IntArray]:
    """Return the values that a column really holds, and each row's place among them.

    Dictionaries of categories keep values that no row has any more, or have the same one twice.
    """
    if hasattr(column, "indices") and column.dictionary.null_count:
        column = column.cast(column.type.value_type)
    encoded = column.dictionary_encode() if not hasattr(column, "indices") else column
    codes: IntArray = encoded.indices.to_numpy(zero_copy_only=False)
    if encoded is not column:
        return encoded.dictionary.to_pylist(), codes
    again = encoded.dictionary.dictionary_encode()
    codes = again.indices.to_numpy(zero_copy_only=False)[codes]
    listed = again.dictionary.to_pylist()
    present = np.zeros(len(listed), dtype=np.bool_)
    present[codes] = True
    place = np.cumsum(present) - 1
    return [value for value, there in zip(listed, present, strict=True) if there], place[codes]


def name_codes(column: Any) -> tuple[tuple[str, ...], IntArray]:
    """Return the different values of a column as sorted text, and each row's place among them."""
    values, codes = compact(column)
    listed = [str(value) for value in values]
    names = sorted(set(listed))
    where = {name: number for number, name in enumerate(names)}
    small = len(names) <= np.iinfo(np.int8).max  # an eighth of the memory
    place = np.array([where[name] for name in listed], dtype=np.int8 if small else np.int64)
    return tuple(names), np.asarray(place[codes]) if listed else codes


def _refuse_null_units(column: Any) -> None:
    if column.null_count:
        raise InvalidDataError(f"Units must not be null, got {column.null_count} nulls.")


def _units(column: Any, groups: IntArray, checks: list[Check]) -> tuple[IntArray, IntArray | None]:
    """Return the groups without units seen in several variants, and clusters if units repeat."""
    _refuse_null_units(column)
    clusters = compact(column)[1].astype(np.int64, copy=False)
    n_units = int(clusters.max()) + 1 if clusters.size else 0
    if n_units == clusters.size:
        return groups, None
    mixed = _differs_within(clusters, groups, n_units)
    checks.append(
        Check("unit", "note", f"{clusters.size} rows of {n_units} units: clustered by unit.")
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
    serious = share > 0.01  # noqa: PLR2004
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
