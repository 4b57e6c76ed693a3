"""Cells of Arrow columns as ids and numbers, and which of them cannot be read.

Every door for columns reads through this: a data frame is refused at the first bad cell, a file
loses the row. pyarrow is imported on use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from siamrec.errors import InvalidDataError, shown

if TYPE_CHECKING:
    from siamrec.typing import BoolArray, FloatArray

_BITS_64 = 2**63
_EXACT = 2**53


class Ids(NamedTuple):
    """A column of ids: texts or whole numbers, null where there is none; and what is no id."""

    column: Any
    bad: BoolArray


class Numbers(NamedTuple):
    """Numbers, NaN where there is none; and what is no number."""

    values: FloatArray
    bad: BoolArray


def simple(column: Any, name: str) -> Any:
    """Return a column as one chunk of a plain type: no dictionary, no view, no extension.

    Raises:
        InvalidDataError: If it holds lists, structs or other things that are no single value.
    """
    import pyarrow as pa  # takes its time
    from pyarrow import types

    try:
        if hasattr(column, "combine_chunks") and hasattr(column, "chunks"):
            column = column.combine_chunks()
            column = pa.concat_arrays(column.chunks) if hasattr(column, "chunks") else column
        if isinstance(column.type, pa.BaseExtensionType):
            column = _without_extension(column)
        if types.is_dictionary(column.type):
            column = simple(column.dictionary, name).take(column.indices)
        kind = column.type
        if types.is_string_view(kind) or types.is_large_string(kind):
            return _as(column, pa.string())
        if _is_binary(kind):
            return _as(_as(column, pa.binary()), pa.string())
    except (ValueError, NotImplementedError) as error:
        raise InvalidDataError(
            f"{name} must be one text, number or time a row, got {column.type}: {error}."
        ) from error
    if types.is_nested(kind) or types.is_run_end_encoded(kind):
        raise InvalidDataError(f"{name} must be one text, number or time a row, got {kind}.")
    return column


def _as(column: Any, kind: Any) -> Any:
    """Cast a column of texts or bytes; the first Arrow that knows views could not cast them."""
    import pyarrow as pa

    try:
        return column.cast(kind)
    except NotImplementedError:
        return pa.array(column.to_pylist(), kind)


def _is_binary(kind: Any) -> bool:
    from pyarrow import types

    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _without_extension(column: Any) -> Any:
    """An extension is what it is stored as, but for UUIDs, which have a spelling."""
    import pyarrow as pa

    if column.type.extension_name == "arrow.uuid":
        return pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())
    return column.storage


def ids(column: Any, name: str) -> Ids:
    """Return a column of ids as texts or whole numbers; whole floats below 2**53 are exact.

    Raises:
        InvalidDataError: If the column is of a kind that is no id: truths, times, lists.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    column = simple(column, name)
    kind = column.type
    none: BoolArray = np.zeros(len(column), dtype=np.bool_)
    if types.is_null(kind):
        return Ids(pa.nulls(len(column), pa.string()), none)
    if types.is_string(kind):
        return Ids(column, none)
    if types.is_uint64(kind):
        bad = mask(pc.greater(column, pa.scalar(_BITS_64 - 1, pa.uint64())))
        return Ids(pc.if_else(pa.array(bad), None, column).cast(pa.int64()), bad)
    if types.is_integer(kind):
        return Ids(column.cast(pa.int64()), none)
    if types.is_floating(kind) or types.is_decimal(kind):
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        missing = np.isnan(values)
        # Of floats beyond this size several whole numbers are one: two people would be.
        exact = np.abs(values) < (_EXACT if types.is_floating(kind) else _BITS_64)
        is_whole = values == np.floor(values)
        if types.is_decimal(kind):
            is_whole = mask(pc.equal(pc.floor(column), column))
        whole = is_whole & exact
        bad = ~missing & ~whole
        kept = pc.if_else(pa.array(missing | bad), None, column)
        return Ids(kept.cast(pa.int64()), bad)
    raise InvalidDataError(f"{name} must be texts or whole numbers, got {kind}.")


def numbers(column: Any, name: str) -> Numbers:
    """Return a column of numbers, or of texts that spell them, as float64; null becomes NaN.

    Raises:
        InvalidDataError: If the column is of a kind that is no number, such as times.
    """
    import pyarrow as pa
    from pyarrow import types

    column = simple(column, name)
    kind = column.type
    if types.is_null(kind):
        return Numbers(np.full(len(column), np.nan), np.zeros(len(column), dtype=np.bool_))
    if not (
        types.is_string(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_boolean(kind)
    ):
        raise InvalidDataError(f"{name} must be numeric, got {kind}.")
    found, bad = cast(column, pa.float64())
    return Numbers(found.to_numpy(zero_copy_only=False), bad)


def cast(column: Any, kind: Any) -> tuple[Any, BoolArray]:
    """Cast a column; a text that cannot be cast becomes null and is told."""
    import pyarrow as pa

    try:
        return column.cast(kind, safe=False), np.zeros(len(column), dtype=np.bool_)
    except ValueError:
        pass
    # Few texts are bad, and each is tried alone: those are told apart by their distinct values.
    encoded = column.dictionary_encode()
    cast = [_cast_one(text, kind) for text in encoded.dictionary]
    good = pa.array([each for each, _ in cast], kind).take(encoded.indices)
    failed = pa.array([fails for _, fails in cast], pa.bool_()).take(encoded.indices)
    return good, mask(failed)


def _cast_one(text: Any, kind: Any) -> tuple[Any, bool]:
    try:
        return text.cast(kind).as_py(), False
    except ValueError:
        return None, True


def mask(column: Any) -> BoolArray:
    """A truth that is not known is no."""
    held: BoolArray = np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)
    return held


def told(column: Any, row: int) -> str:
    """Return one cell as messages name it; a stamp that no calendar has as its number."""
    cell = column[row]
    try:
        return shown(cell.as_py())
    except (ValueError, OverflowError):
        return f"{cell.value} {column.type}"


def whole_numbers(texts: Any) -> Any:
    """Return texts as whole numbers of 64 bits; what spells none becomes null."""
    import pyarrow as pa

    return cast(texts, pa.int64())[0]
