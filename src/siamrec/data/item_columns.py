"""Per-item inputs, as arrays or mappings, brought into the order of a vocabulary of items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidDataError, shown

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.data.vocabulary import Vocabulary
    from siamrec.typing import FloatArray, IntArray

ItemNumbers: TypeAlias = "npt.ArrayLike | Mapping[Any, float]"
"""One number for each item: in the order of the items, or by item id."""

ItemVectors: TypeAlias = "npt.ArrayLike | Mapping[Any, npt.ArrayLike]"
"""One vector for each item: rows in the order of the items, or by item id."""

ItemNames: TypeAlias = "npt.ArrayLike | Mapping[Any, Any]"
"""Names of each item: a 0/1 matrix or a column in the order of the items, or by item id."""


def numbers(
    name: str, given: ItemNumbers, items: Vocabulary, n_listed: int, *, missing: float
) -> FloatArray:
    """Return one number for each item, shape `(n_items,)`.

    Args:
        name: Name of the input, for errors.
        given: Array in the order of the first `n_listed` items, or a mapping from item id.
        items: All items of the evaluation.
        n_listed: Number of items that the lists know.
        missing: Number of an item that a mapping leaves out, or that no list knows.

    Raises:
        siamrec.errors.InvalidDataError: If the length is wrong or a number negative or infinite.
    """
    if isinstance(given, Mapping):
        column = np.array([given.get(id_, missing) for id_ in items], dtype=np.float64)
    else:
        column = np.asarray(given, dtype=np.float64)
        if column.shape not in {(n_listed,), (len(items),)}:
            raise InvalidDataError(
                f"{name} must have one entry for each of the {n_listed} items of the rankings, "
                f"got shape {column.shape}."
            )
        column = np.concatenate((column, np.full(len(items) - column.size, missing)))
    check.finite(name, column)
    if (column < 0).any():
        raise InvalidDataError(f"{name} must not be negative, got {column.min()}.")
    return column


def vectors(given: ItemVectors, items: Vocabulary, n_listed: int) -> npt.NDArray[np.floating[Any]]:
    """Return the vector of each item, shape `(n_items, dim)`; NaN where there is none.

    Arrays of float32 stay as they are, without a copy; anything else becomes float64.

    Args:
        given: Array in the order of the first `n_listed` items, or a mapping from item id.
        items: All items.
        n_listed: Number of items that an array has rows for.

    Raises:
        siamrec.errors.InvalidDataError: If the shape is wrong or a given value is not finite.
    """
    if isinstance(given, Mapping):
        rows = {id_: np.asarray(row, dtype=np.float64) for id_, row in given.items()}
        dims = {row.shape for row in rows.values()}
        if len(dims) != 1 or len(next(iter(dims))) != 1:
            raise InvalidDataError(f"embeddings must have one length, got shapes {sorted(dims)}.")
        nothing = np.full(next(iter(dims)), np.nan)
        check.finite("embeddings", np.array(list(rows.values())))
        return np.array([rows.get(id_, nothing) for id_ in items]).reshape(len(items), -1)
    table: npt.NDArray[Any] = np.asarray(given)
    if table.dtype != np.float32:
        table = table.astype(np.float64)
    if table.ndim != 2 or table.shape[0] not in {n_listed, len(items)}:
        raise InvalidDataError(
            f"embeddings must be ({n_listed}, dim), one row for each item of the rankings, "
            f"got shape {table.shape}."
        )
    if not np.isfinite(table.sum()):  # a sum is quick; the slow check tells the place
        check.finite("embeddings", table)
    if table.shape[0] == len(items):
        return table
    padding = np.full((len(items) - table.shape[0], table.shape[1]), np.nan, dtype=table.dtype)
    return np.concatenate((table, padding))


def memberships(
    name: str, given: ItemNames, items: Vocabulary, n_listed: int
) -> tuple[tuple[Any, ...], FloatArray]:
    """Return names of categories and the membership of each item, shape `(n_items, n_names)`.

    An item of several categories belongs to each with equal parts that sum to 1.

    Raises:
        siamrec.errors.InvalidDataError: If a listed item belongs to none.
    """
    if isinstance(given, Mapping):
        lists = [_names(given.get(id_)) for id_ in items]
    else:
        array = np.asarray(given)
        if array.shape[0] not in {n_listed, len(items)}:
            raise InvalidDataError(
                f"{name} must have one row for each of the {n_listed} items of the rankings, "
                f"got shape {array.shape}."
            )
        if array.ndim == 2:
            lists = [np.flatnonzero(row).tolist() for row in array]
        else:
            lists = [[value] for value in array.tolist()]
        lists += [[] for _ in range(len(items) - len(lists))]
    known = tuple(sorted({value for row in lists for value in row}, key=str))
    place = {value: code for code, value in enumerate(known)}
    table = np.zeros((len(items), len(known)))
    for code, row in enumerate(lists):  # names are Python values; once for each item
        for value in row:
            table[code, place[value]] = 1.0 / len(row)
    bare = np.flatnonzero(table[:n_listed].sum(axis=1) == 0)
    if bare.size:
        raise InvalidDataError(
            f"{name} must name every item of the rankings, got none for "
            f"{shown(items[int(bare[0])])} ({bare.size} such items)."
        )
    return known, table


def _names(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [value]
    return list(dict.fromkeys(value))


def codes_of_groups(
    given: ItemNames, items: Vocabulary, n_listed: int
) -> tuple[tuple[Any, ...], IntArray]:
    """Return names of groups and the group of each item; -1 for items no list knows.

    Raises:
        siamrec.errors.InvalidDataError: If a listed item has no group or more than one.
    """
    names, table = memberships("groups", given, items, n_listed)
    several = np.flatnonzero((table > 0).sum(axis=1) > 1)
    if several.size:
        raise InvalidDataError(
            f"groups must name one group for each item, several for "
            f"{shown(items[int(several[0])])}."
        )
    return names, np.where(table.any(axis=1), table.argmax(axis=1), -1)
