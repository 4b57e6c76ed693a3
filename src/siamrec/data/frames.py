"""The door for data frames: anything that speaks the Arrow PyCapsule protocol comes in and out.

polars, pandas (2.2 or newer), pyarrow and DuckDB relations export `__arrow_c_stream__`; a
mapping of columns is taken as it is. pyarrow is imported on use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError, UnknownNameError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from siamrec.typing import CodeArray, FloatArray, IntArray

NO_TIME = np.iinfo(np.int64).min
"""The instant of an event whose time is not known."""

# pyarrow's own errors are ValueErrors, TypeErrors and NotImplementedErrors.
_UNREADABLE = (ValueError, TypeError, OverflowError, NotImplementedError)

_TO_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def table_of(frame: object) -> Any:
    """Return `frame` as a pyarrow table.

    Args:
        frame: An object with `__arrow_c_stream__`, or a mapping of equally long columns.

    Raises:
        InvalidDataError: If it is neither.
    """
    import pyarrow as pa  # takes its time

    if isinstance(frame, pa.Table):
        return frame
    try:
        if hasattr(frame, "__arrow_c_stream__") and not isinstance(frame, type):
            return pa.table(frame)
        if isinstance(frame, Mapping):
            return pa.table({str(name): _column(values) for name, values in frame.items()})
    except _UNREADABLE as error:
        raise InvalidDataError(
            f"A frame must have equally long columns of one kind each: {shown(str(error))}."
        ) from error
    raise InvalidDataError(
        "A frame must export __arrow_c_stream__ (polars, pandas, pyarrow, DuckDB) or map names "
        f"to columns, got {type(frame).__name__}."
    )


def _column(values: Any) -> Any:
    import pyarrow as pa

    if hasattr(values, "__arrow_c_stream__"):  # a polars series, an Arrow column
        return pa.chunked_array(values)
    if hasattr(values, "__array__"):  # NumPy, and a pandas series
        return np.asarray(values)
    return pa.array(list(values))


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
        InvalidDataError: If an id is null, or the column is of a kind that holds no ids.
    """
    if column.null_count:
        raise InvalidDataError(f"{name} must not be null, got {column.null_count} nulls.")
    try:
        encoded = column.dictionary_encode()
    except NotImplementedError as error:  # lists, structs, UUIDs
        raise InvalidDataError(f"{name} must be ids, got {column.type}.") from error
    if not hasattr(encoded, "indices"):  # a chunked column of several dictionaries
        encoded = encoded.unify_dictionaries().combine_chunks()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32)
    return Vocabulary(tuple(encoded.dictionary.to_pylist())), codes


def optional_codes_of(column: Any) -> tuple[Vocabulary, CodeArray]:
    """Return the vocabulary of a column that may hold nulls; a null has the code -1."""
    values = column.to_pylist()
    vocabulary = Vocabulary.of(value for value in values if value is not None)
    codes = vocabulary.encode(values, unknown="code")
    codes[[value is None for value in values]] = UNKNOWN
    return vocabulary, codes


def floats_of(column: Any, name: str) -> FloatArray:
    """Return a numeric column as float64; null becomes NaN.

    Raises:
        InvalidDataError: If it is not numeric.
    """
    try:
        values: FloatArray = column.cast("float64", safe=False).to_numpy(zero_copy_only=False)
    except (ValueError, NotImplementedError) as error:  # pyarrow's own errors are ValueErrors
        raise InvalidDataError(f"{name} must be numeric, got {column.type}.") from error
    return values


def instants_of(column: Any, name: str) -> IntArray:
    """Return a time column as nanoseconds since the epoch, UTC; null becomes `NO_TIME`.

    Timestamps keep their meaning (naive ones are taken as UTC), dates begin at midnight, text
    is read as ISO 8601, and plain numbers are seconds, milliseconds, microseconds or
    nanoseconds by their size (seconds below 1e11).

    Raises:
        InvalidDataError: If the column is of another kind or text cannot be read.
    """
    kind = str(column.type)
    if kind.startswith(("int", "uint", "float", "double", "half", "decimal")):
        return instants_of_numbers(floats_of(column, name), _exact(column, kind))
    if kind == "null":
        return np.full(len(column), NO_TIME)
    try:
        stamps = _stamps(column, kind)
    except (ValueError, NotImplementedError) as error:
        raise InvalidDataError(f"{name} must be times, got {kind}: {error}.") from error
    instants: IntArray = (
        stamps.cast("int64").fill_null(int(NO_TIME)).to_numpy(zero_copy_only=False)
    )
    return instants


def _stamps(column: Any, kind: str) -> Any:
    """Cast to nanoseconds; text may or may not name a zone, and a stamp keeps its own."""
    import pyarrow as pa  # takes its time

    if "string" in kind:
        try:
            return column.cast(pa.timestamp("ns", tz="UTC"))
        except ValueError:
            return column.cast(pa.timestamp("ns"))
    return column.cast(pa.timestamp("ns", tz=getattr(column.type, "tz", None)))


def _exact(column: Any, kind: str) -> IntArray | None:
    """Whole numbers beyond 2**53 would lose their last digits as floats."""
    if not kind.startswith(("int", "uint")):
        return None
    exact: IntArray = column.fill_null(0).cast("int64").to_numpy(zero_copy_only=False)
    return exact


def instants_of_numbers(values: FloatArray, exact: IntArray | None = None) -> IntArray:
    """Return plain numbers as instants; the unit follows from their median size."""
    known = np.isfinite(values)
    size = float(np.median(np.abs(values[known]))) if known.any() else 0.0
    unit = "s" if size < 1e11 else "ms" if size < 1e14 else "us" if size < 1e17 else "ns"
    scale = _TO_NANOSECONDS[unit]
    filled = np.where(known, values, 0.0)
    instants = exact * scale if exact is not None else np.round(filled * scale).astype(np.int64)
    return np.where(known, instants, NO_TIME)


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
