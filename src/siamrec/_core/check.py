"""One-line checks of arguments and columns, with one wording for every error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt

    from siamrec.typing import FloatArray

T = TypeVar("T", bound=str)
Number = TypeVar("Number", int, float)


def positive(name: str, value: Number) -> Number:
    """Return `value` when it is finite and above zero.

    Raises:
        InvalidParameterError: If it is not.
    """
    if not (math.isfinite(value) and value > 0):
        raise InvalidParameterError(name, value, "a finite number above 0")
    return value


def not_negative(name: str, value: Number) -> Number:
    """Return `value` when it is finite and not below zero.

    Raises:
        InvalidParameterError: If it is not.
    """
    if not (math.isfinite(value) and value >= 0):
        raise InvalidParameterError(name, value, "a finite number not below 0")
    return value


def count(name: str, value: int, *, least: int = 1) -> int:
    """Return `value` when it is a whole number of at least `least`.

    Raises:
        InvalidParameterError: If it is not (a bool is not a count).
    """
    whole: object = value
    if isinstance(whole, bool) or not isinstance(whole, int | np.integer) or value < least:
        raise InvalidParameterError(name, value, f"a whole number of at least {least}")
    return int(value)


def share(name: str, value: float, *, open_ends: bool = False) -> float:
    """Return `value` when it lies in `[0, 1]`, or in `(0, 1)` with `open_ends`.

    Raises:
        InvalidParameterError: If it does not.
    """
    inside = 0 < value < 1 if open_ends else 0 <= value <= 1
    if not inside:
        raise InvalidParameterError(name, value, "in (0, 1)" if open_ends else "in [0, 1]")
    return value


def below_one(name: str, value: float) -> float:
    """Return `value` when it lies in `[0, 1)`.

    Raises:
        InvalidParameterError: If it does not.
    """
    if not 0 <= value < 1:
        raise InvalidParameterError(name, value, "in [0, 1)")
    return value


def one_of(name: str, value: T, known: Collection[str]) -> T:
    """Return `value` when it is among `known`.

    Raises:
        UnknownNameError: If it is not; the message offers the nearest names.
    """
    if value not in known:
        raise UnknownNameError(name, value, known)
    return value


def distinct(name: str, values: Sequence[str]) -> tuple[str, ...]:
    """Return `values` as a tuple when they are non-empty and all different.

    Raises:
        InvalidParameterError: If they are not.
    """
    if isinstance(values, str) or not values or len(set(values)) != len(values):
        raise InvalidParameterError(name, values, "one or more different names")
    return tuple(values)


def same_length(**columns: npt.NDArray[Any] | None) -> int:
    """Return the one length that all given columns have.

    Raises:
        InvalidDataError: If a column is not one-dimensional or the lengths differ.
    """
    given = {name: column for name, column in columns.items() if column is not None}
    lengths = {name: column.shape for name, column in given.items()}
    if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) > 1:
        raise InvalidDataError(f"Columns must have one length, got {lengths}.")
    return int(next(iter(lengths.values()))[0]) if lengths else 0


def finite(name: str, values: npt.NDArray[Any]) -> FloatArray:
    """Return `values` as float64 when every one is finite.

    Raises:
        InvalidDataError: If a value is NaN or infinite; the message tells the first row.
    """
    column: FloatArray = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(column))
    if bad.size:
        raise InvalidDataError(
            f"{name} must be finite, got {column.flat[bad[0]]} in row {bad[0]} "
            f"({bad.size} such values)."
        )
    return column


def frozen(values: npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
    """Return `values` in `dtype` as a contiguous read-only array, without a copy where possible.

    A view is returned, so that the caller's own array stays writable.
    """
    column = np.ascontiguousarray(values, dtype=dtype).view()
    column.flags.writeable = False
    return column
