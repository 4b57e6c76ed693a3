"""Cells of Arrow columns as instants: timestamps, dates, ISO texts, numbers of any unit."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from siamrec.data.cells import cast, ids, mask, simple
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.typing import BoolArray, FloatArray, IntArray

NO_TIME = np.iinfo(np.int64).min
"""The instant of an event whose time is not known."""
NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""Nanoseconds of each unit of time."""


_BITS_64 = 2**63
_UNITS = (("s", 10**8), ("ms", 10**11), ("us", 10**14), ("ns", 10**17))
"""A number of this size or above is of that unit; below all of them it could be anything."""
_NUMBER = r"^[+-]?\d+(\.\d+)?$"
_SHORT = r"^[+-]?\d+(\.\d+)?[eE][+-]?\d{1,2}$"
_ZONED = r"^\d{4}-\d\d-\d\d[T ]\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?(Z|[+-]\d\d(:?\d\d)?)$"
_NAIVE = r"^\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,9})?)?)?)?$"


class Times(NamedTuple):
    """Instants, `NO_TIME` where there is none; what is no time; and how they were told.

    Attributes:
        values: Nanoseconds since the epoch, UTC.
        bad: Cells that are no time, or one beyond the years 1677 to 2262.
        units: `"time"`, `"text"`, or the units of numbers: `"s"`, `"ms"`, `"us"`, `"ns"`, and
            `"small"` where a number could be of any.
    """

    values: IntArray
    bad: BoolArray
    units: frozenset[str]


def times(column: Any, name: str, *, unit: str | None = None, pattern: str | None = None) -> Times:
    """Return a column of times as nanoseconds since the epoch, UTC.

    Timestamps keep their meaning (naive ones are taken as UTC), dates begin at midnight, text is
    read as ISO 8601, and plain numbers are seconds, milliseconds, microseconds or nanoseconds by
    their size. Whole numbers and decimal texts are exact; a float is rounded to a microsecond,
    which is what it can hold.

    Args:
        column: The column.
        name: Its name, for messages.
        unit: What numbers count, where it is known.
        pattern: How texts are written, as `strptime` spells it; read as UTC without a zone.

    Raises:
        InvalidDataError: If the column is of a kind that is no time.
    """
    import pyarrow as pa
    from pyarrow import types

    column = simple(column, name)
    kind = column.type
    n = len(column)
    if types.is_null(kind):
        return Times(np.full(n, NO_TIME), np.zeros(n, dtype=np.bool_), frozenset())
    if types.is_timestamp(kind) or types.is_date(kind):
        return _of_stamps(column.cast(pa.timestamp("s")) if types.is_date(kind) else column)
    if pattern is not None:
        return _by_pattern(column.cast(pa.string()), pattern)
    if types.is_string(kind) or types.is_decimal(kind):
        return _of_texts(column.cast(pa.string()), unit)
    if types.is_integer(kind):
        whole = ids(column, name)
        values, told = _of_whole(whole.column, unit)
        return Times(values, whole.bad | _lost(values, whole.column), told)
    if types.is_floating(kind):
        return _of_floats(column.to_numpy(zero_copy_only=False).astype(np.float64), unit)
    raise InvalidDataError(f"{name} must be times, got {kind}.")


def _of_stamps(stamps: Any) -> Times:
    import pyarrow as pa

    counts = stamps.cast(pa.int64())
    values = _scaled(counts, NANOSECONDS[stamps.type.unit])
    return Times(values, _lost(values, counts), frozenset({"time"}))


def _scaled(counts: Any, scale: int) -> IntArray:
    """Whole counts as nanoseconds; what is null or does not fit is `NO_TIME`."""
    whole: IntArray = counts.fill_null(0).to_numpy(zero_copy_only=False)
    known = ~mask(counts.is_null()) & (np.abs(whole) < _BITS_64 // scale)
    scaled: IntArray = np.where(known, whole * np.where(known, scale, 0), NO_TIME)
    return scaled


def _lost(values: IntArray, cells: Any) -> BoolArray:
    """Cells that say something of which no instant came."""
    lost: BoolArray = (values == NO_TIME) & ~mask(cells.is_null())
    return lost


def units_of(sizes: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """Return the unit of each number by its size: 0 small, 1 s, 2 ms, 3 us, 4 ns."""
    return np.searchsorted([float(least) for _, least in _UNITS], sizes, side="right").astype(
        np.int8
    )


def written_as_dates(found: Times) -> bool:
    """Whether numbers that could be of any unit are all written as dates, such as 20260131."""
    if found.units != {"small"}:
        return False
    written = found.values[(found.values != NO_TIME) & (found.values != 0)] // NANOSECONDS["s"]
    year, month, day = written // 10_000, written // 100 % 100, written % 100
    like = (year >= 1900) & (year < 2200) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    return bool(like.size and like.all())


def _unit(sizes: npt.NDArray[Any], unit: str | None) -> tuple[str, frozenset[str]]:
    """The unit of all numbers, and the units that their sizes tell of; nought tells nothing."""
    if unit is not None:
        return unit, frozenset({unit})
    counts = np.bincount(units_of(sizes[sizes != 0]), minlength=len(_UNITS) + 1)
    names = ("small", *(name for name, _ in _UNITS))
    told = frozenset(name for name, count in zip(names, counts, strict=True) if count)
    most = names[int(np.argmax(counts[1:])) + 1] if counts[1:].any() else "s"
    return most, told


def _of_whole(column: Any, unit: str | None) -> tuple[IntArray, frozenset[str]]:
    whole: IntArray = column.fill_null(0).to_numpy(zero_copy_only=False)
    found, told = _unit(np.abs(whole.astype(np.float64)), unit)
    return _scaled(column, NANOSECONDS[found]), told


def _of_floats(values: FloatArray, unit: str | None) -> Times:
    missing = np.isnan(values)
    sizes = np.abs(np.where(np.isfinite(values), values, 0.0))
    found, told = _unit(sizes, unit)
    scale = NANOSECONDS[found]
    fits = np.isfinite(values) & (sizes < _BITS_64 / scale)
    filled = np.where(fits, values, 0.0)
    # A float of today's seconds is known to a quarter of a microsecond, a small one to more.
    step = np.where(np.abs(filled) * scale < 2**53, 1, 1_000)
    micros = np.round(filled * scale / step).astype(np.int64) * step
    exact = np.round(filled).astype(np.int64) * scale
    whole = filled == np.round(filled)
    return Times(np.where(fits, np.where(whole, exact, micros), NO_TIME), ~fits & ~missing, told)


def _of_texts(column: Any, unit: str | None) -> Times:
    """Numbers where a text spells one, else ISO 8601."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        whole = column.cast(pa.int64())
    except ValueError:
        column = _without_exponents(column)
        numeric = mask(pc.match_substring_regex(column, _NUMBER))
        if numeric.any():
            return _of_mixed(column, numeric, unit)
        return _of_dates(column)
    values, told = _of_whole(whole, unit)
    return Times(values, _lost(values, column), told)


def _without_exponents(column: Any) -> Any:
    """Write `1.7e9` out, which few files have."""
    import pyarrow as pa
    import pyarrow.compute as pc

    short = mask(pc.match_substring_regex(column, _SHORT))
    if not short.any():
        return column
    whole = [
        format(Decimal(text), "f") if is_short else text
        for text, is_short in zip(column.to_pylist(), short.tolist(), strict=True)
    ]
    return pa.array(whole, pa.string())


def _of_mixed(column: Any, numeric: BoolArray, unit: str | None) -> Times:
    """Decimal numbers exactly, by their digits; the texts among them as dates."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = pc.extract_regex(
        pc.if_else(pa.array(numeric), column, None),
        r"^(?P<sign>[+-]?)(?P<whole>\d+)(?:\.(?P<part>\d+))?$",
    )
    whole, _ = cast(pc.struct_field(parts, "whole"), pa.int64())
    values, told = _of_whole(whole, unit)
    found, _ = _unit(np.abs(whole.fill_null(0).to_numpy(zero_copy_only=False)), unit)
    digits = pc.utf8_slice_codeunits(
        pc.utf8_rpad(pc.struct_field(parts, "part"), 9, "0"), 0, 9
    ).cast(pa.int64())
    part = digits.fill_null(0).to_numpy(zero_copy_only=False) * NANOSECONDS[found] // 10**9
    minus = mask(pc.equal(pc.struct_field(parts, "sign"), "-"))
    exact = np.where(values == NO_TIME, NO_TIME, np.where(minus, -1, 1) * (values + part))
    dates = _of_dates(pc.if_else(pa.array(numeric), None, column))
    return Times(
        np.where(numeric, exact, dates.values),
        np.where(numeric, exact == NO_TIME, dates.bad),
        told | dates.units,
    )


def _of_dates(column: Any) -> Times:
    """ISO 8601 with or without a zone, taken as UTC without one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    n = len(column)
    values = np.full(n, NO_TIME)
    # `2026/01/31` and `… UTC` say the same in other letters
    column = pc.replace_substring_regex(column, r"^(\d{4})/(\d\d)/(\d\d)", r"\1-\2-\3")
    column = pc.replace_substring_regex(column, r" UTC$", "Z")
    for shape, kind in ((_ZONED, pa.timestamp("ns", tz="UTC")), (_NAIVE, pa.timestamp("ns"))):
        fits = mask(pc.match_substring_regex(column, shape)) & _of_this_age(column)
        if fits.any():
            stamps, _ = _cast_stamps(column.filter(pa.array(fits)), kind)
            found = stamps.cast(pa.int64()).fill_null(int(NO_TIME))
            values[fits] = found.to_numpy(zero_copy_only=False)
    bad = _lost(values, column)
    told = frozenset({"text"}) if (values != NO_TIME).any() else frozenset[str]()
    return Times(values, bad, told)


def _of_this_age(column: Any) -> BoolArray:
    """Whether the year of each date can hold nanoseconds; older pyarrow wraps the others round."""
    import pyarrow.compute as pc

    year = pc.utf8_slice_codeunits(column, 0, 4)
    return mask(pc.and_(pc.greater_equal(year, "1677"), pc.less_equal(year, "2262")))


def _cast_stamps(column: Any, kind: Any) -> tuple[Any, BoolArray]:
    """As `_cast`, but a bad one is told by a number: nanoseconds are no `datetime`."""
    import pyarrow as pa

    try:
        return column.cast(kind), np.zeros(len(column), dtype=np.bool_)
    except ValueError:
        pass
    whole = []
    for text in column:  # a date that no calendar has, such as 30 February
        try:
            whole.append(text.cast(kind).value)
        except ValueError:
            whole.append(None)
    return pa.array(whole, pa.int64()).cast(kind), np.asarray([v is None for v in whole])


def _by_pattern(column: Any, pattern: str) -> Times:
    """Texts of a stated form, each distinct one read once."""
    from datetime import UTC, datetime

    encoded = column.dictionary_encode()
    found = np.full(len(encoded.dictionary) + 1, NO_TIME)
    for place, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            stamp = datetime.strptime(text, pattern)  # noqa: DTZ007  a zone is set below
        except ValueError:
            continue
        away = (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)) - datetime(
            1970, 1, 1, tzinfo=UTC
        )
        nanoseconds = ((away.days * 86_400 + away.seconds) * 10**6 + away.microseconds) * 1_000
        if abs(nanoseconds) < _BITS_64:
            found[place] = nanoseconds
    codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    values = found[codes]
    return Times(values, _lost(values, column), frozenset({"text"}))
