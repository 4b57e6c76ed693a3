"""From columns of rows to the moments of each metric: missing values, caps, units, folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from siamrec.data.moments import Moments, shift_of
from siamrec.errors import InvalidDataError
from siamrec.experiments.analysis._cross_fitting import fold_key, folds_of
from siamrec.experiments.analysis.report import Check
from siamrec.experiments.metrics import Count, ExperimentMetric, Mean, Proportion, Quantile
from siamrec.statistics.quantiles import OrderStatistics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.experiments.plan import Plan
    from siamrec.typing import BoolArray, FloatArray, IntArray

_SERIOUS = 0.05
"""Share of rows left out for a missing covariate above which a warning is given."""
ROWS = "#rows"
"""Denominator of a mean over rows where a unit has several."""


class Rows(NamedTuple):
    """The columns of a frame, and where its rows belong."""

    columns: Mapping[str, FloatArray]
    groups: IntArray
    clusters: IntArray | None
    uniforms: FloatArray | None
    n_groups: int


class UnitRows(NamedTuple):
    """The totals of each unit in a stratum.

    Attributes:
        unit: Number of the unit, the same in every stratum.
        group: Place of its variant.
        columns: Its totals, shape `(columns, units)`, in the order of the moments' names.
    """

    unit: IntArray
    group: IntArray
    columns: FloatArray


class Collected(NamedTuple):
    """Moments of each metric in each variant, and order statistics of each quantile."""

    moments: dict[str, tuple[Moments, ...]]
    orders: dict[str, tuple[OrderStatistics | None, ...]]


def _check_finite(values: FloatArray, name: str) -> None:
    """Refuse infinite numbers; NaN stands for a missing one."""
    if np.isinf(values).any():
        row = int(np.argmax(np.isinf(values)))
        raise InvalidDataError(f"{name} must be finite, got {values[row]} in row {row}.")


def collect(plan: Plan, rows: Rows, checks: list[Check]) -> Collected:
    """Return the moments of each metric in each variant; a model's wait apart by fold.

    Raises:
        InvalidDataError: If an outcome is infinite, missing where that is an error, or not 0 or
            1 for a proportion.
        MissingInputError: If a model has no units to be fitted across.
    """
    columns = rows.columns
    plain = [metric for metric in plan.metrics if _is_plain(metric, rows.clusters, columns)]
    found: dict[str, tuple[Moments, ...]] = {}
    orders: dict[str, tuple[OrderStatistics | None, ...]] = {}
    if plain:
        names = dict.fromkeys(name for metric in plain for name in metric.columns)
        chosen = {name: columns[name] for name in names}
        sets = [metric.columns for metric in plain]
        joint = Moments.of_sets(chosen, sets, rows.groups, rows.n_groups)
        for metric, each in zip(plain, joint or (), strict=False):
            found[metric.name] = tuple(each)
    if len(found) == len(plan.metrics):
        return Collected(found, orders)
    for name, values in columns.items():
        _check_finite(values, name)
    absent = {name: np.isnan(values) for name, values in columns.items()}
    for metric in plan.metrics:
        if metric.name not in found:
            read, kept = _rows(metric, columns, absent, checks)
            groups = np.where(kept, rows.groups, -1)
            if isinstance(metric, Quantile):
                orders[metric.name] = _orders(metric, read, groups, rows)
                found[metric.name] = tuple(
                    _moments_of_quantile(metric, each) for each in orders[metric.name]
                )
            else:
                found |= _by_fold(metric, read, groups, rows)
    return Collected(found, orders)


def unit_rows(plan: Plan, rows: Rows, ids: IntArray) -> dict[str, UnitRows]:
    """Return the totals of each unit for each metric.

    Args:
        plan: The plan; quantiles and models have no totals.
        rows: The rows.
        ids: Number of the unit of each row.
    """
    absent = {name: np.isnan(values) for name, values in rows.columns.items()}
    found = {}
    for metric in plan.metrics:
        read, kept = _rows(metric, rows.columns, absent, [])
        groups = np.where(kept, rows.groups, -1)
        totals, group, first = _totals(metric, read, groups, rows.clusters)
        found[metric.name] = UnitRows(ids[first], group, np.stack(list(totals.values())))
    return found


def _by_fold(
    metric: ExperimentMetric, read: Mapping[str, FloatArray], groups: IntArray, rows: Rows
) -> dict[str, tuple[Moments, ...]]:
    """Return the moments of a metric in each variant; with a model, for each of its folds."""
    n = rows.n_groups
    if metric.model is None:
        return {metric.name: _moments(metric, read, groups, rows.clusters, n)}
    folds = folds_of(metric.model, rows.uniforms)
    cells = np.where(groups >= 0, groups + n * folds, -1)
    found = _moments(metric, read, cells, rows.clusters, n * metric.model.folds)
    return {
        fold_key(metric, fold): found[n * fold : n * (fold + 1)]
        for fold in range(metric.model.folds)
    }


def _is_plain(
    metric: ExperimentMetric, clusters: IntArray | None, columns: Mapping[str, FloatArray]
) -> bool:
    """Whether a metric can share one pass with the others: one row per unit, no bounds."""
    if isinstance(metric, Proportion):
        _check_binary(metric, columns[metric.outcome.numerator])
    if isinstance(metric, Count):
        _check_counts(metric, columns[metric.outcome.numerator])
    special = isinstance(metric, Quantile) or (isinstance(metric, Mean) and metric.is_bounded)
    return clusters is None and not special and metric.model is None


def _check_binary(metric: Proportion, values: FloatArray) -> None:
    bad = (values != 0) & (values != 1) & ~np.isnan(values)
    if bad.any():
        row = int(np.argmax(bad))
        raise InvalidDataError(
            f"{metric.outcome.numerator} must be 0 or 1 for the proportion {metric.name!r}, got "
            f"{values[row]} in row {row}."
        )


def _check_counts(metric: Count, values: FloatArray) -> None:
    with np.errstate(invalid="ignore"):
        bad = (values < 0) | (values != np.floor(values)) & ~np.isnan(values)
    if bad.any():
        row = int(np.argmax(bad))
        raise InvalidDataError(
            f"{metric.outcome.numerator} must be whole and not negative for the count "
            f"{metric.name!r}, got {values[row]} in row {row}."
        )


def _rows(
    metric: ExperimentMetric,
    columns: Mapping[str, FloatArray],
    absent: Mapping[str, BoolArray],
    checks: list[Check],
) -> tuple[dict[str, FloatArray], BoolArray]:
    """Return the metric's columns after its missing policy and cap, and which rows stay."""
    gone = np.zeros(len(next(iter(columns.values()))), dtype=np.bool_)
    for name in metric.columns:
        gone |= absent[name]
    n_gone = int(gone.sum())
    if n_gone and metric.missing == "error":
        raise InvalidDataError(f"{metric.name} must not be missing, got {n_gone} rows without it.")
    rows = {name: columns[name] for name in metric.columns}
    if n_gone:
        checks.append(_missing_check(metric, absent, gone))
        rows = {name: np.where(absent[name], 0.0, values) for name, values in rows.items()}
    kept = ~gone if metric.missing == "drop" else np.ones_like(gone)
    if isinstance(metric, Mean) and metric.is_bounded:
        outcome = metric.outcome.numerator
        rows[outcome] = _bounded(metric, rows[outcome], kept, checks)
    return rows, kept


def _missing_check(
    metric: ExperimentMetric, absent: Mapping[str, BoolArray], gone: BoolArray
) -> Check:
    """Say what became of rows with nulls, and how many went for a covariate's sake."""
    fate = "counted as 0" if metric.missing == "zero" else "left out"
    message = f"{metric.name}: {gone.mean():.2%} of rows {fate}"
    outcome = np.zeros_like(gone)
    for name in metric.outcome:
        if name is not None:
            outcome |= absent[name]
    share = float((gone & ~outcome).mean())
    if share > 0:
        message += f" ({share:.2%} for a missing covariate alone)"
    serious = metric.missing == "drop" and share > _SERIOUS
    return Check("missing", "warning" if serious else "note", message + ".")


def _bounded(metric: Mean, values: FloatArray, kept: BoolArray, checks: list[Check]) -> FloatArray:
    """Return the outcome within its bounds; quantiles are those of all variants together."""
    low, high = metric.floor, metric.cap
    if metric.winsorize is not None and kept.any():
        low, high = np.quantile(values[kept], metric.winsorize).tolist()
    found = values
    if high is not None:
        share = float((found > high).mean())
        message = f"{metric.name}: {share:.2%} of rows capped at {high:g}."
        checks.append(Check("outliers", "note", message))
        found = np.minimum(found, high)
    if low is not None:
        share = float((values < low).mean())
        message = f"{metric.name}: {share:.2%} of rows raised to {low:g}."
        checks.append(Check("outliers", "note", message))
        found = np.maximum(found, low)
    return found


def _moments(
    metric: ExperimentMetric,
    rows: Mapping[str, FloatArray],
    groups: IntArray,
    clusters: IntArray | None,
    n_groups: int,
) -> tuple[Moments, ...]:
    if clusters is None:
        return tuple(Moments.by_group(rows, groups, n_groups))
    totals, group, _ = _totals(metric, rows, groups, clusters)
    return tuple(Moments.by_group(totals, group, n_groups))


def _totals(
    metric: ExperimentMetric,
    rows: Mapping[str, FloatArray],
    groups: IntArray,
    clusters: IntArray | None,
) -> tuple[dict[str, FloatArray], IntArray, IntArray]:
    """Return the totals of each unit by column, its variant, and the place of its first row.

    Of a mean over rows, totals are of values less a shift: sums of great values and of numbers of
    rows would cancel.
    """
    kept = np.flatnonzero(groups >= 0)
    if clusters is None:
        return {name: rows[name][kept] for name in metric.columns}, groups[kept], kept
    unit, first, place = np.unique(clusters[kept], return_index=True, return_inverse=True)
    totals: dict[str, FloatArray] = {}
    for name in metric.columns:
        values = rows[name][kept] - _shift(metric, name, rows[name][kept])
        totals[name] = np.asarray(np.bincount(place, values, unit.size), dtype=np.float64)
    totals[ROWS] = np.bincount(place, minlength=unit.size).astype(np.float64)
    return totals, groups[kept][first], kept[first]


def _shift(metric: ExperimentMetric, name: str, values: FloatArray) -> float:
    """Return what the totals of a column leave out of every row."""
    in_ratio = {name for term in (metric.outcome, *metric.covariates) if term[1] for name in term}
    return shift_of(values) if values.size and name not in in_ratio else 0.0


def shifts(plan: Plan, rows: Rows) -> dict[str, float]:
    """Return by how much the outcome of each metric is more than its totals say of a row."""
    if rows.clusters is None:
        return {}
    absent = {name: np.isnan(values) for name, values in rows.columns.items()}
    found = {}
    for metric in plan.metrics:
        if not isinstance(metric, Quantile):
            read, kept = _rows(metric, rows.columns, absent, [])
            name = metric.outcome.numerator
            found[metric.name] = _shift(metric, name, read[name][kept & (rows.groups >= 0)])
    return found


def _orders(
    metric: Quantile, columns: Mapping[str, FloatArray], groups: IntArray, rows: Rows
) -> tuple[OrderStatistics | None, ...]:
    values = columns[metric.outcome.numerator]
    found: list[OrderStatistics | None] = []
    for group in range(rows.n_groups):
        chosen = groups == group
        units = None if rows.clusters is None else rows.clusters[chosen]
        own = values[chosen]
        found.append(OrderStatistics.of(own, metric.q, clusters=units) if own.size else None)
    return tuple(found)


def _moments_of_quantile(metric: Quantile, order: OrderStatistics | None) -> Moments:
    """Return moments whose mean is the quantile and whose standard error is the quantile's."""
    if order is None:
        return Moments.empty(metric.columns)
    error = order.error if np.isfinite(order.error) else 0.0
    product = np.array([[error**2 * order.n * max(order.n - 1, 1)]])
    return Moments(names=metric.columns, n=order.n, mean=np.array([order.value]), product=product)
