"""Frames in strata, also where units of one come back in another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from siamrec.data.frames import table_of
from siamrec.errors import InvalidDataError
from siamrec.experiments.analysis._columns import (
    compact,
    differs_within,
    mixed_check,
    name_codes,
    refuse_null_units,
    whole,
)
from siamrec.experiments.analysis._sample import (
    Sample,
    is_chunks,
    is_moments,
    of_table,
    predicted,
    sample_of,
)
from siamrec.experiments.analysis.report import Check
from siamrec.experiments.metrics import Quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.experiments.plan import Plan
    from siamrec.typing import BoolArray, IntArray


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
    return {name: predicted(of_table(part, plan, variant, unit), plan) for name, part, _ in pieces}


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
    refuse_null_units(units)
    numbers = compact(units)[1]
    n_units = int(numbers.max()) + 1 if numbers.size else 0
    stratum = np.empty(numbers.size, dtype=np.int64)
    for code, (_, _, rows) in enumerate(pieces):
        stratum[rows] = code
    if not differs_within(numbers, stratum, n_units).any():
        return None
    variants = whole(table, variant, "the variant")
    rows = np.flatnonzero(variants.is_valid().to_numpy(zero_copy_only=False))
    groups = name_codes(variants.drop_null())[1]
    _, first = np.unique(numbers[rows], return_index=True)
    mixed = differs_within(numbers[rows], groups, n_units)
    return _Returners(numbers, mixed, rows[first])


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
    checks += mixed_check(int(found.mixed.sum()), n_units)
    is_first = np.zeros(found.unit.size, dtype=np.bool_)
    is_first[found.first] = True
    samples = {}
    for name, part, rows in pieces:
        kept = ~found.mixed[found.unit[rows]]
        if not kept.any():
            continue
        ids = found.unit[rows][kept]
        sample = of_table(part.filter(kept), plan, variant, unit, ids=ids)
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
