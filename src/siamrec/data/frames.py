"""The door for data frames: anything that speaks the Arrow PyCapsule protocol comes in and out.

polars, pandas (2.2 or newer), pyarrow and DuckDB relations export `__arrow_c_stream__`; a
mapping of columns is taken as it is. pyarrow is imported on use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.data import cells, times
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError, UnknownNameError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from siamrec.typing import BoolArray, CodeArray, FloatArray, IdArray, IntArray

_IDS = "texts or whole numbers within 64 bits (below 2**53 as floats)"


NO_TIME = times.NO_TIME
"""The instant of an event whose time is not known."""


def table_of(frame: object) -> Any:
    """Return `frame` as a pyarrow table.

    Args:
        frame: An object with `__arrow_c_stream__`, or a mapping of equally long columns.

    Raises:
        InvalidDataError: If it is neither.
    """
    import pyarrow as pa  # takes its time

    if isinstance(frame, pa.Table):
        return _named_once(frame)
    try:
        if hasattr(frame, "__arrow_c_stream__") and not isinstance(frame, type):
            return _named_once(pa.table(frame))
        if isinstance(frame, Mapping):
            return pa.table({str(name): _column(values) for name, values in frame.items()})
    except (ValueError, TypeError, OverflowError, NotImplementedError) as error:
        raise InvalidDataError(
            f"A frame must have equally long columns of one kind each: {shown(str(error))}."
        ) from error
    raise InvalidDataError(
        "A frame must export __arrow_c_stream__ (polars, pandas, pyarrow, DuckDB) or map names "
        f"to columns, got {type(frame).__name__}."
    )


def _named_once(table: Any) -> Any:
    if len(set(table.column_names)) < len(table.column_names):
        raise InvalidDataError(f"Names of columns must differ, got {shown(table.column_names)}.")
    return table


def _column(values: Any) -> Any:
    import pyarrow as pa

    if hasattr(values, "__arrow_c_stream__"):  # a polars series, an Arrow column
        return pa.chunked_array(values)
    if hasattr(values, "__arrow_c_array__"):
        return pa.array(values)
    if hasattr(values, "__array__"):  # NumPy, and a pandas series
        return np.asarray(values)
    return pa.array(list(values))


def joined(tables: Sequence[Any]) -> Any:
    """Return tables of the same columns as one.

    Raises:
        InvalidDataError: If a column is of another kind in one of them.
    """
    import pyarrow as pa

    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (ValueError, TypeError) as error:
        raise InvalidDataError(f"Columns must be of one kind throughout: {error}.") from error


def pick(table: Any, name: str, purpose: str) -> Any:
    """Return the one-chunk column called `name`.

    Raises:
        UnknownNameError: If there is none; the message lists what there is.
    """
    if name not in table.column_names:
        raise UnknownNameError(f"column for {purpose}", name, table.column_names)
    return table.column(name).combine_chunks()


def codes_of(column: Any, name: str) -> tuple[Vocabulary, CodeArray]:
    """Return the vocabulary of an id column in order of first appearance, and its codes.

    Raises:
        InvalidDataError: If an id is null, or neither text nor a whole number.
    """
    vocabulary, codes = optional_codes_of(column, name)
    missing = int((codes == UNKNOWN).sum())
    if missing:
        raise InvalidDataError(f"{name} must not be null, got {missing} nulls.")
    return vocabulary, codes


def optional_codes_of(column: Any, name: str = "id") -> tuple[Vocabulary, CodeArray]:
    """Return the vocabulary of a column that may hold nulls; a null has the code -1."""
    found = cells.ids(column, name)
    _all_good(found.bad, column, name, _IDS)
    encoded = found.column.dictionary_encode()
    codes = encoded.indices.fill_null(UNKNOWN).to_numpy(zero_copy_only=False).astype(np.int32)
    return Vocabulary(tuple(encoded.dictionary.to_pylist())), codes


def floats_of(column: Any, name: str) -> FloatArray:
    """Return a numeric column as float64; null becomes NaN.

    Raises:
        InvalidDataError: If it is not numeric.
    """
    found = cells.numbers(column, name)
    _all_good(found.bad, column, name, "numeric")
    return found.values


def instants_of(column: Any, name: str) -> IntArray:
    """Return a time column as nanoseconds since the epoch, UTC; null becomes `NO_TIME`.

    Timestamps keep their meaning (naive ones are taken as UTC), dates begin at midnight, text
    is read as ISO 8601, and plain numbers are seconds, milliseconds, microseconds or
    nanoseconds by their size (seconds below 1e11).

    Raises:
        InvalidDataError: If the column is of another kind, a cell cannot be read, or numbers are
            of two units or written as dates (20260131).
    """
    found = times.times(column, name)
    told = found.units - {"small"} if "s" in found.units else found.units
    if len(told) > 1:
        raise InvalidDataError(
            f"{name} must be times of one unit, got {' and '.join(sorted(told))}."
        )
    _all_good(found.bad, column, name, "times (ISO 8601, or numbers) of the years 1677 to 2262")
    if times.written_as_dates(found):
        raise InvalidDataError(f"{name} must be times, got numbers such as 20260131: write dates.")
    return found.values


def _all_good(bad: BoolArray, column: Any, name: str, expected: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise InvalidDataError(
            f"{name} must be {expected}, got {cells.told(column, row)} in row {row}."
        )


def positions_of(values: FloatArray, name: str) -> CodeArray:
    """Return places in lists, from 1, of numbers; 0 where there is none.

    Raises:
        InvalidDataError: If one is no such place.
    """
    filled: FloatArray = np.nan_to_num(values)
    bad = (filled < 0) | (filled != np.floor(filled)) | (filled >= 2**31)
    if bad.any():
        raise InvalidDataError(
            f"{name} must be whole positions from 1, got {filled[np.argmax(bad)]:g}."
        )
    return filled.astype(np.int32)


def decisions_of(column: Any, name: str) -> IdArray:
    """Return ids of decisions as text or whole numbers; where there was none the text is empty.

    Raises:
        InvalidDataError: If one is neither.
    """
    found = cells.ids(column, name)
    _all_good(found.bad, column, name, _IDS)
    ids = found.column
    if ids.null_count:
        ids = ids.cast("string").fill_null("")
    return np.asarray(ids.to_pylist()) if len(ids) else np.zeros(0, dtype=np.str_)


def plain_of(column: Any, name: str) -> npt.NDArray[Any]:
    """Return a column of anything as it is, lists included."""
    import pyarrow as pa

    read = column if pa.types.is_nested(column.type) else cells.simple(column, name)
    array: npt.NDArray[Any] = read.to_numpy(zero_copy_only=False)
    return array


def arrow_table(columns: Mapping[str, npt.NDArray[Any] | Sequence[Any]]) -> Any:
    """Return columns as a pyarrow table; object and string columns go through Python lists."""
    import pyarrow as pa  # takes its time

    return pa.table(
        {
            name: pa.array(values.tolist())
            if isinstance(values, np.ndarray) and values.dtype.kind in "OUST"
            else pa.array(values)
            for name, values in columns.items()
        }
    )


def with_instants(table: Any, name: str) -> Any:
    """Return the table with a column of nanoseconds as timestamps in UTC."""
    import pyarrow as pa  # takes its time

    stamps = table[name].cast("int64").cast(pa.timestamp("ns", tz="UTC"))
    return table.set_column(table.column_names.index(name), name, stamps)
