"""One-line checks of arguments and columns, with one wording for every error."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from inspect import getattr_static
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt

    from siamrec.typing import FloatArray, Instant

T = TypeVar("T", bound=str)
Part = TypeVar("Part")
Number = TypeVar("Number", int, float)

_BITS_64 = 2**63
_MOST = 2**62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def real(name: str, value: Number, expected: str = "a number") -> Number:
    """Return `value` when it is one real number; a text that spells one, or a truth, is none.

    Raises:
        InvalidParameterError: If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or _no_float_holds(value):
        raise InvalidParameterError(name, value, expected)
    return value


def _no_float_holds(value: Real) -> bool:
    """Whether this is a whole number beyond what any column holds."""
    return isinstance(value, int) and value.bit_length() > sys.float_info.max_exp


def real_or_none(name: str, value: Number | None) -> Number | None:
    """Return `value` when it is None or one real number.

    Raises:
        InvalidParameterError: If it is not.
    """
    return None if value is None else real(name, value, "a number or None")


def flag(name: str, value: bool) -> bool:  # noqa: FBT001  (it is what is checked)
    """Return `value` when it is True or False.

    Raises:
        InvalidParameterError: If it is not; a text such as "no" would count as true.
    """
    if not isinstance(value, bool | np.bool_):
        raise InvalidParameterError(name, value, "True or False")
    return bool(value)


def positive(name: str, value: Number) -> Number:
    """Return `value` when it is finite and above zero.

    Raises:
        InvalidParameterError: If it is not.
    """
    expected = "a finite number above 0"
    if not (math.isfinite(real(name, value, expected)) and value > 0):
        raise InvalidParameterError(name, value, expected)
    return value


def not_negative(name: str, value: Number) -> Number:
    """Return `value` when it is finite and not below zero.

    Raises:
        InvalidParameterError: If it is not.
    """
    expected = "a finite number not below 0"
    if not (math.isfinite(real(name, value, expected)) and value >= 0):
        raise InvalidParameterError(name, value, expected)
    return value


def count(name: str, value: int, *, least: int = 1, most: int = _MOST) -> int:
    """Return `value` when it is a whole number from `least` to `most`.

    Raises:
        InvalidParameterError: If it is not (a bool is not a count).
    """
    whole: object = value
    if isinstance(whole, bool) or not isinstance(whole, int | np.integer) or value < least:
        raise InvalidParameterError(name, value, f"a whole number of at least {least}")
    if value > most:
        raise InvalidParameterError(name, value, f"a whole number of at most {most}")
    return int(value)


def share(name: str, value: float, *, open_ends: bool = False) -> float:
    """Return `value` when it lies in `[0, 1]`, or in `(0, 1)` with `open_ends`.

    Raises:
        InvalidParameterError: If it does not.
    """
    expected = "in (0, 1)" if open_ends else "in [0, 1]"
    real(name, value, expected)
    if not (0 < value < 1 if open_ends else 0 <= value <= 1):
        raise InvalidParameterError(name, value, expected)
    return value


def below_one(name: str, value: float) -> float:
    """Return `value` when it lies in `[0, 1)`.

    Raises:
        InvalidParameterError: If it does not.
    """
    if not 0 <= real(name, value, "in [0, 1)") < 1:
        raise InvalidParameterError(name, value, "in [0, 1)")
    return value


def one_of(name: str, value: T, known: Collection[str]) -> T:
    """Return `value` when it is among `known`.

    Raises:
        UnknownNameError: If it is not; the message offers the nearest names.
    """
    try:
        there = value in known
    except TypeError:  # a list and the like are no names
        there = False
    if not there:
        raise UnknownNameError(name, value, known)
    return value


def distinct(name: str, values: Sequence[str]) -> tuple[str, ...]:
    """Return `values` as a tuple when they are non-empty and all different.

    Raises:
        InvalidParameterError: If they are not.
    """
    try:
        differ = not isinstance(values, str) and 0 < len(set(values)) == len(values)
    except TypeError:  # lists and the like are no names
        differ = False
    if not differ:
        raise InvalidParameterError(name, values, "one or more different names")
    return tuple(values)


def many(name: str, values: object, *, what: str = "ids") -> list[Any]:
    """Return the things in `values` as a list; a text is one thing, not a list of letters.

    Args:
        name: Name of the argument, for the error message.
        values: A list, tuple, set, array, column or generator.
        what: What the things are.

    Raises:
        InvalidParameterError: If it is a text, bytes, a mapping, or no collection at all.

    Examples:
        >>> many("exclude", ("i1", "i2"))
        ['i1', 'i2']
        >>> many("exclude", "i1")
        Traceback (most recent call last):
        siamrec.errors.InvalidParameterError: exclude must be a list of ids such as ['i1'], ...
    """
    if isinstance(values, str | bytes):
        raise InvalidParameterError(name, values, f"a list of {what} such as [{values!r:.40}]")
    if isinstance(values, Mapping) or not isinstance(values, Iterable):
        raise InvalidParameterError(name, values, f"a list of {what}")
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            raise InvalidParameterError(name, values.shape, f"a list of {what}, one-dimensional")
        return list(values if values.dtype.kind in "mM" else values.tolist())
    return list(values)


def text(name: str, value: object, *, longest: int = 1_000_000) -> str:
    """Return `value` when it is a text that is not empty, can be stored and is not too long.

    Raises:
        InvalidParameterError: If it is not.
    """
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise InvalidParameterError(name, value, f"a text of 1 to {longest:,} letters")
    if "\0" in value:
        raise InvalidParameterError(name, value, "a text without NUL")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidParameterError(name, value, "valid Unicode") from None
    return value


def reason(value: object, *, longest: int = 1_000_000) -> str:
    """Return why something is done, when it says anything.

    Raises:
        InvalidParameterError: If it is not a text, or one without a letter.
    """
    if isinstance(value, str) and value and not value.strip():
        raise InvalidParameterError("reason", value, "a text that says why")
    return text("reason", value, longest=longest)


def kind(name: str, value: Part, *kinds: Any) -> Part:
    """Return `value` when it is an object of one of `kinds`.

    The usual slips are told with their remedy: a class for an object of it, a mapping for a
    value, a name for what it names.

    Args:
        name: Name of the argument, for the error message.
        value: What was handed in.
        kinds: Classes or runtime-checkable protocols.

    Raises:
        InvalidParameterError: If it is of another kind.

    Examples:
        >>> kind("day", datetime, datetime)
        Traceback (most recent call last):
        siamrec.errors.InvalidParameterError: day must be a datetime: make one by ...
    """
    if not isinstance(value, type):
        for each in kinds:
            if isinstance(value, each):
                return value
    wanted = " or ".join(dict.fromkeys(each.__name__ for each in kinds))
    article = "an" if wanted[0] in "AEIOU" else "a"
    first = value.__name__ if isinstance(value, type) else kinds[0].__name__
    if isinstance(value, type):
        remedy = f": make one by {first}(...), the class alone has no settings"
    elif isinstance(value, Mapping):
        maker = next((m for m in _MAKERS if hasattr(kinds[0], m)), None)
        remedy = f": make one by {first}.{maker}(...)" if maker else f": make one by {first}(...)"
    else:
        remedy = ""
    raise InvalidParameterError(name, value, f"{article} {wanted}{remedy}")


_MAKERS = ("from_lists", "from_frame", "from_json", "of")


def methods(name: str, value: object, needed: Sequence[str], *, what: str) -> None:
    """Pass when `value` is an object with every member that will be asked for.

    Args:
        name: Name of the argument, for the error message.
        value: What was handed in.
        needed: Names; one with dots, such as `"feedback.write"`, is a member's member.
        what: What the object should be.

    Raises:
        InvalidParameterError: If it is a class, or something is missing; all that is missing is
            named in one line.
    """
    if isinstance(value, type):
        raise InvalidParameterError(
            name, value, f"{what}: make one by {value.__name__}(...), a class is not enough"
        )
    missing = [each for each in needed if not _has(value, each)]
    if missing:
        raise InvalidParameterError(name, value, f"{what}, which also has {', '.join(missing)}")


def _has(value: object, path: str) -> bool:
    """Whether a member is there; the last one of a path is not worked out where it costs."""
    *parents, last = path.split(".")
    for parent in parents:
        value = getattr(value, parent, None)
    return getattr_static(value, last, None) is not None or hasattr(value, last)


def instant(name: str, value: object) -> Instant:
    """Return a point in time as nanoseconds since the epoch, UTC.

    Args:
        name: Name of the argument, for the error message.
        value: Whole nanoseconds, a `datetime` that knows its zone, or a `datetime64`.

    Raises:
        InvalidParameterError: If it is something else, a `datetime` without a zone, or beyond 64
            bits (the years 1677 to 2262).

    Examples:
        >>> instant("since", datetime(2026, 1, 1, tzinfo=UTC))
        1767225600000000000
    """
    expected = "nanoseconds since 1970, or a datetime with a zone, of the years 1677 to 2262"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidParameterError(name, value, f"{expected}; this one has no zone")
        away = value - _EPOCH
        found = (away.days * 86_400 + away.seconds) * 10**9 + away.microseconds * 1_000
    elif isinstance(value, np.datetime64) and not np.isnat(value):
        if abs(int(value.astype("datetime64[s]").astype(np.int64))) >= _BITS_64 // 10**9:
            raise InvalidParameterError(name, value, expected)  # nanoseconds would wrap around
        found = int(value.astype("datetime64[ns]").astype(np.int64))
    elif isinstance(value, int | np.integer) and not isinstance(value, bool):
        found = int(value)
    else:
        raise InvalidParameterError(name, value, expected)
    if not -_BITS_64 < found < _BITS_64:
        raise InvalidParameterError(name, value, expected)
    return found


def instants(name: str, values: object) -> npt.NDArray[np.int64]:
    """Return points in time, or one, as nanoseconds since the epoch, UTC.

    Args:
        name: Name of the argument, for the error message.
        values: Whole nanoseconds, `datetime64` of any unit (NaT is no time), or what `instant`
            takes; one or many, also as a column of polars or pandas.

    Raises:
        InvalidParameterError: If they are something else; fractions, texts and truth values are
            never read as times.

    Examples:
        >>> instants("time", np.array(["1970-01-02", "NaT"], "datetime64[D]")).tolist()
        [86400000000000, -9223372036854775808]
    """
    array = np.asarray(values)
    if array.dtype.kind == "i" or (array.dtype.kind == "u" and array.dtype.itemsize < 8):
        return array.astype(np.int64, copy=False)
    if array.dtype.kind == "M":
        exact: npt.NDArray[np.int64] = array.astype("datetime64[ns]").view(np.int64)
        seconds = array.astype("datetime64[s]").view(np.int64)
        beyond = (np.abs(seconds) >= _BITS_64 // 10**9) & ~np.isnat(array)
        if beyond.any():  # nanoseconds would wrap around
            instant(name, array[beyond].flat[0])
        return exact
    each = [instant(name, value) for value in np.asarray(values, dtype=object).flat]
    return np.asarray(each, dtype=np.int64).reshape(array.shape)


def rows(name: str, chosen: object, n: int) -> npt.NDArray[Any]:
    """Return a choice of `n` rows as something that indexes columns.

    Args:
        name: Name of the argument, for the error message.
        chosen: A mask of length `n`, or row numbers in any order, counted from the end where
            they are below 0.
        n: Number of rows.

    Raises:
        InvalidDataError: If it is neither, or a number is outside of the rows.
    """
    picked: npt.NDArray[Any] = np.asarray(chosen)
    if picked.ndim != 1 or (picked.size and picked.dtype.kind not in "biu"):
        raise InvalidDataError(f"{name} must be a mask or row numbers, got {shown(chosen)}.")
    if picked.dtype == np.bool_:
        if picked.size != n:
            raise InvalidDataError(f"{name} must be a mask of {n} rows, got {picked.size}.")
        return picked
    if picked.size and not (-n <= picked.min() and picked.max() < n):
        raise InvalidDataError(
            f"{name} must hold row numbers below {n}, got {picked.min()} to {picked.max()}."
        )
    return picked.astype(np.int64, copy=False)


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
    try:
        column: FloatArray = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidDataError(f"{name} must be numbers, got {shown(values)}.") from error
    bad = np.flatnonzero(~np.isfinite(column))
    if bad.size:
        place = f" in row {bad[0]} ({bad.size} such values)" if column.ndim else ""
        raise InvalidDataError(f"{name} must be finite, got {column.flat[bad[0]]}{place}.")
    return column


def frozen(values: npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
    """Return `values` in `dtype` as a contiguous read-only array, without a copy where possible.

    A view is returned, so that the caller's own array stays writable.
    """
    column = np.ascontiguousarray(values, dtype=dtype).view()
    column.flags.writeable = False
    return column
