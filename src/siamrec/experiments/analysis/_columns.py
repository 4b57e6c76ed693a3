"""Columns of names and units as numbers: what a frame really holds, and who comes twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec._core.units import Units
from siamrec.data.frames import pick
from siamrec.errors import InvalidDataError
from siamrec.experiments.analysis.report import Check

if TYPE_CHECKING:
    from siamrec.typing import BoolArray, IntArray


_FEW = 16
"""Values of a column that are looked for one by one."""
_HEAD = 1_000
"""Rows in which they are looked for first."""


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
    merged = again.indices.to_numpy(zero_copy_only=False)
    if merged.size != len(again.dictionary):
        codes = merged[codes]
    listed = again.dictionary.to_pylist()
    present = _present(codes, len(listed))
    if present.all():
        return listed, codes
    place = np.cumsum(present) - 1
    return [value for value, there in zip(listed, present, strict=True) if there], place[codes]


def _present(codes: IntArray, n: int) -> BoolArray:
    """Return which of `n` codes occur; a few are found faster by looking for each."""
    if n <= _FEW:
        seen = set(codes[:_HEAD].tolist())
        return np.array([code in seen or (codes == code).any() for code in range(n)], np.bool_)
    present = np.zeros(n, dtype=np.bool_)
    present[codes] = True
    return present


def name_codes(column: Any) -> tuple[tuple[str, ...], IntArray]:
    """Return the different values of a column as sorted text, and each row's place among them."""
    values, codes = compact(column)
    listed = [str(value) for value in values]
    names = sorted(set(listed))
    where = {name: number for number, name in enumerate(names)}
    small = len(names) <= np.iinfo(np.int8).max  # an eighth of the memory
    place = np.array([where[name] for name in listed], dtype=np.int8 if small else np.int64)
    if np.array_equal(place, np.arange(place.size)):
        return tuple(names), codes.astype(place.dtype, copy=False)
    return tuple(names), np.asarray(place[codes])


def refuse_null_units(column: Any) -> None:
    if column.null_count:
        raise InvalidDataError(f"Units must not be null, got {column.null_count} nulls.")


def clusters_of(
    column: Any, groups: IntArray, checks: list[Check]
) -> tuple[IntArray, IntArray | None]:
    """Return the groups without units seen in several variants, and clusters if units repeat."""
    refuse_null_units(column)
    clusters = compact(column)[1].astype(np.int64, copy=False)
    n_units = int(clusters.max()) + 1 if clusters.size else 0
    if n_units == clusters.size:
        return groups, None
    mixed = differs_within(clusters, groups, n_units)
    checks.append(
        Check("unit", "note", f"{clusters.size} rows of {n_units} units: clustered by unit.")
    )
    n_mixed = int(mixed.sum())
    if n_mixed:
        checks += mixed_check(n_mixed, n_units)
        groups = np.where(mixed[clusters], -1, groups)
    return groups, clusters


def mixed_check(n_mixed: int, n_units: int) -> list[Check]:
    if not n_mixed:
        return []
    share = n_mixed / n_units
    message = f"{n_mixed} units ({share:.2%}) met several variants and were left out."
    serious = share > 0.01
    return [Check("multiple exposure", "failure" if serious else "warning", message)]


def differs_within(unit: IntArray, value: IntArray, n_units: int) -> BoolArray:
    """Return for each unit whether its rows have different values."""
    one = np.zeros(n_units, dtype=np.int64)
    one[unit] = value
    differs = np.zeros(n_units, dtype=np.bool_)
    differs[unit[one[unit] != value]] = True
    return differs


def count_units(groups: IntArray, clusters: IntArray | None, n_groups: int) -> tuple[int, ...]:
    if clusters is None:
        return tuple(int(np.count_nonzero(groups == group)) for group in range(n_groups))
    kept = groups >= 0
    _, first = np.unique(clusters[kept], return_index=True)
    counts = np.bincount(groups[kept][first], minlength=n_groups)
    return tuple(counts.tolist())


def fingerprints(column: Any) -> IntArray:
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
