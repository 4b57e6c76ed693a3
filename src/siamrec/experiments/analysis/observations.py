"""The rows of an experiment, read once: variants, units, strata, propensities and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Shown, Table, counted
from siamrec._core.units import Units
from siamrec.data.frames import floats_of, pick, table_of
from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from typing import Self

    import numpy.typing as npt

    from siamrec.typing import BoolArray, FloatArray, IntArray

_FEW = 16
"""Values of a column that are looked for one by one."""
_HEAD = 1_000
"""Rows in which they are looked for first."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Observations(Shown):
    """Rows that have a variant, as columns of numbers and codes.

    Attributes:
        variants: Names of the variants that some row has, sorted.
        variant: Code of each row's variant.
        numbers: The columns of numbers; NaN where one is missing.
        units: Different units, an Arrow array; None where rows are units.
        unit: Code of each row's unit.
        parts: Names of the strata in their own order; one without a name where there are none.
        part: Code of each row's stratum.
        propensity: Probability with which each row was given its variant.
        n_unassigned: Rows without a variant, which were left out.

    Examples:
        >>> frame = {"variant": ["new", "control", None], "y": [1.0, 2.0, 3.0]}
        >>> rows = Observations.read(frame, ["y"])
        >>> rows.variants, rows.variant.tolist(), rows.numbers["y"].tolist(), rows.n_unassigned
        (('control', 'new'), [1, 0], [1.0, 2.0], 1)
    """

    variants: tuple[str, ...]
    variant: IntArray
    numbers: Mapping[str, FloatArray]
    units: Any = None
    unit: IntArray | None = None
    parts: tuple[str, ...] = ("",)
    part: IntArray | None = None
    propensity: FloatArray | None = None
    n_unassigned: int = 0

    @classmethod
    def read(
        cls,
        frame: object,
        numbers: Iterable[str],
        *,
        variant: str = "variant",
        unit: str | None = None,
        strata: str | None = None,
        propensity: str | None = None,
    ) -> Self:
        """Return the rows of a frame; each argument names a column, or several of numbers.

        Raises:
            InvalidDataError: If the data are no frame, a number is none, or a unit or stratum is
                null.
            UnknownNameError: If a column is missing.
        """
        if is_chunks(frame) or is_moments(frame):
            what = "moments" if is_moments(frame) else "chunks"
            raise InvalidDataError(f"Rows of an experiment must be one frame here, got {what}.")
        table = table_of(frame)
        column = _whole(table, variant, "the variant")
        there = column.is_valid() if column.null_count else None

        def taken(name: str, purpose: str) -> Any:
            found = _whole(table, name, purpose)
            return found if there is None else found.filter(there)

        def given(name: str, purpose: str) -> FloatArray:
            return floats_of(taken(name, purpose), name)

        units = unit_codes = None
        if unit is not None:
            units, unit_codes = _codes(_not_null(taken(unit, "the unit"), unit))
        parts: tuple[str, ...] = ("",)
        part = None
        if strata is not None:
            parts, part = _names(_not_null(taken(strata, "strata or segments"), strata))
        names, codes = _names(taken(variant, "the variant"), as_text=True)
        return cls(
            variants=names,
            variant=codes,
            numbers={name: given(name, "a metric") for name in numbers},
            units=units,
            unit=unit_codes,
            parts=parts,
            part=part,
            propensity=None if propensity is None else given(propensity, "the propensity"),
            n_unassigned=column.null_count,
        )

    def __len__(self) -> int:
        return int(self.variant.size)

    @override
    def title(self) -> str:
        of_units = "" if self.units is None else f" of {counted(len(self.units), 'unit')}"
        rows = counted(len(self), "row")
        return f"Observations: {rows}{of_units}, {counted(len(self.numbers), 'column')}"

    @override
    def table(self) -> Table:
        """Return how many rows each variant has."""
        counts = np.bincount(self.variant, minlength=len(self.variants)).tolist()
        return Table(
            head=("variant", "rows"),
            rows=tuple(zip(self.variants, counts, strict=True)),
            title=self.title(),
        )

    def where(self, rows: BoolArray | IntArray) -> Self:
        """Return some of the rows, with the variants that they have; codes of units stay."""
        codes = self.variant[rows]
        present = _present(codes, len(self.variants))
        names = tuple(n for n, there in zip(self.variants, present, strict=True) if there)
        return replace(
            self,
            variants=names,
            variant=codes if present.all() else (np.cumsum(present) - 1)[codes],
            numbers={name: column[rows] for name, column in self.numbers.items()},
            unit=None if self.unit is None else self.unit[rows],
            part=None if self.part is None else self.part[rows],
            propensity=None if self.propensity is None else self.propensity[rows],
        )

    def by_part(self) -> dict[str, IntArray]:
        """Return the places of the rows of each stratum."""
        if self.part is None:
            return {"": np.arange(len(self))}
        return {name: np.flatnonzero(self.part == code) for code, name in enumerate(self.parts)}

    def uniforms(self, salt: str) -> FloatArray:
        """Return a number in [0, 1) for the unit of each row; a unit keeps it for ever."""
        values: FloatArray = Units(self.units).uniforms(salt)
        return values[self.unit]

    def fingerprints(self) -> npt.NDArray[np.uint64]:
        """Return 8 bytes of each unit, by which a unit is known again in another chunk.

        Two independent numbers of 32 bits; among 10 million units two have the same with a
        probability below 1e-5, and the result is a refusal.
        """
        units = Units(self.units)
        two = (units.uniforms(salt) for salt in ("fingerprint, high", "fingerprint, low"))
        high, low = ((each * 2.0**32).astype(np.uint64) for each in two)
        found: npt.NDArray[np.uint64] = ((high << np.uint64(32)) | low)[self.unit]
        return found


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


def differs_within(unit: IntArray, value: IntArray, n_units: int) -> BoolArray:
    """Return for each unit whether its rows have different values."""
    one = np.zeros(n_units, dtype=np.int64)
    one[unit] = value
    differs = np.zeros(n_units, dtype=np.bool_)
    differs[unit[one[unit] != value]] = True
    return differs


def _whole(table: Any, name: str, purpose: str) -> Any:
    """Return a column as one array, without a copy where it is one already."""
    if name in table.column_names and table.column(name).num_chunks == 1:
        return table.column(name).chunk(0)
    return pick(table, name, purpose)


def _not_null(column: Any, name: str) -> Any:
    if column.null_count:
        raise InvalidDataError(f"{name} must not be null, got {column.null_count} nulls.")
    return column


def _codes(column: Any) -> tuple[Any, IntArray]:
    """Return the values that a column really holds, an Arrow array, and each row's place.

    Dictionaries of categories keep values that no row has any more, or have the same one twice.
    """
    if hasattr(column, "indices") and column.dictionary.null_count:
        column = column.cast(column.type.value_type)
    encoded = column.dictionary_encode() if not hasattr(column, "indices") else column
    codes: IntArray = encoded.indices.to_numpy(zero_copy_only=False)
    if encoded is not column:
        return encoded.dictionary, codes
    again = encoded.dictionary.dictionary_encode()
    merged = again.indices.to_numpy(zero_copy_only=False)
    if merged.size != len(again.dictionary):
        codes = merged[codes]
    present = _present(codes, len(again.dictionary))
    if present.all():
        return again.dictionary, codes
    return again.dictionary.filter(present), (np.cumsum(present) - 1)[codes]


def _names(column: Any, *, as_text: bool = False) -> tuple[tuple[str, ...], IntArray]:
    """Return the different values of a column as text, and each row's place among them.

    Values stand in their own order, 9 before 10, or in that of their text.
    """
    dictionary, codes = _codes(column)
    listed = dictionary.to_pylist()
    if not listed:
        return (), codes
    texts = [str(value) for value in listed]
    order = sorted(range(len(listed)), key=texts.__getitem__ if as_text else listed.__getitem__)
    names = tuple(dict.fromkeys(texts[code] for code in order))
    where = {name: number for number, name in enumerate(names)}
    small = len(names) <= np.iinfo(np.int8).max  # an eighth of the memory
    place = np.array([where[text] for text in texts], dtype=np.int8 if small else np.int64)
    if np.array_equal(place, np.arange(place.size)):
        return names, codes.astype(place.dtype, copy=False)
    return names, np.asarray(place[codes])


def _present(codes: IntArray, n: int) -> BoolArray:
    """Return which of `n` codes occur; a few are found faster by looking for each."""
    if n <= _FEW:
        seen = set(codes[:_HEAD].tolist())
        return np.array([code in seen or (codes == code).any() for code in range(n)], np.bool_)
    present = np.zeros(n, dtype=np.bool_)
    present[codes] = True
    return present
