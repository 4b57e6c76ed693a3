"""The best entries of score rows, what to leave out of them, and repeated entries of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.errors import InvalidDataError, InvalidParameterError

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.data.truth import Truth
    from siamrec.data.vocabulary import Vocabulary
    from siamrec.typing import BoolArray, CodeArray, FloatArray, IntArray

_BLOCK_BYTES = 1 << 23
_BLOCK_PLACES = 1 << 15


def best_first(
    scores: npt.NDArray[Any], k: int, left_out: BoolArray | tuple[IntArray, IntArray] | None
) -> tuple[CodeArray, FloatArray, IntArray]:
    """Return items and scores of the `k` best of each row, and how many each row has.

    Equal scores are ordered by column.

    Raises:
        siamrec.errors.InvalidDataError: If a score is NaN or plus infinity.
    """
    n_rows, n_columns = scores.shape
    rows = max(1, _BLOCK_BYTES // max(1, 8 * n_columns))
    items, values, counts = [], [], np.zeros(n_rows, dtype=np.int64)
    if isinstance(left_out, tuple):
        order = np.argsort(left_out[0], kind="stable")
        left_out = (left_out[0][order], left_out[1][order])
    for low in range(0, n_rows, rows):  # blocks keep the copy of the scores small
        block = scores[low : low + rows].astype(np.float64)
        if not (block < np.inf).all():
            raise InvalidDataError("scores must be finite or minus infinity, got NaN or infinity.")
        _leave_out(block, low, left_out)
        column = best_columns(block, min(k, n_columns))
        value = np.take_along_axis(block, column, axis=1)
        real = value > -np.inf
        items.append(column[real].astype(np.int32))
        values.append(value[real])
        counts[low : low + rows] = real.sum(axis=1)
    empty = np.empty(0)
    return (
        np.concatenate([empty.astype(np.int32), *items]),
        np.concatenate([empty, *values]),
        counts,
    )


def _leave_out(
    block: FloatArray, low: int, left_out: BoolArray | tuple[IntArray, IntArray] | None
) -> None:
    if isinstance(left_out, tuple):
        row, column = left_out
        first, last = np.searchsorted(row, (low, low + len(block)))
        block[row[first:last] - low, column[first:last]] = -np.inf
    elif left_out is not None:
        block[left_out[low : low + len(block)]] = -np.inf


def best_columns(block: FloatArray, k: int) -> IntArray:
    """Return the columns of the `k` highest values of each row, ties by column."""
    if k == 0:
        return np.empty((len(block), 0), dtype=np.int64)
    chosen: IntArray = np.argpartition(-block, k - 1, axis=1)[:, :k]
    value = np.take_along_axis(block, chosen, axis=1)
    edge = value.min(axis=1, keepdims=True)
    # argpartition picks any of several values equal to the last one: take the first columns.
    loose = np.flatnonzero((block == edge).sum(axis=1) > (value == edge).sum(axis=1))
    if loose.size:
        rows, limit = block[loose], edge[loose]
        above, equal = rows > limit, rows == limit
        room = k - above.sum(axis=1, keepdims=True)
        keep = above | (equal & (equal.cumsum(axis=1) <= room))
        chosen[loose] = np.nonzero(keep)[1].reshape(-1, k)
        value[loose] = np.take_along_axis(rows, chosen[loose], axis=1)
    order = np.lexsort((chosen, -value), axis=1)
    best: IntArray = np.take_along_axis(chosen, order, axis=1)
    return best


def repeated(item: CodeArray, start: IntArray) -> int:
    """Return how many entries of ragged rows stand in their row a second time or more."""
    length = np.diff(start)
    n_rows, depth = length.size, int(length.max(initial=0))
    if depth < 2:
        return 0
    even = n_rows * depth == item.size
    rows = max(1, _BLOCK_PLACES // depth)
    total = 0
    for low in range(0, n_rows, rows):  # blocks stay in the cache
        high = min(low + rows, n_rows)
        part = item[start[low] : start[high]]
        if even:
            table = np.sort(part.reshape(high - low, depth), axis=1)
        else:
            table = np.full((high - low, depth), -1, dtype=np.int32)
            table[np.arange(depth) < length[low:high, None]] = part
            table.sort(axis=1)
        same = table[:, 1:] == table[:, :-1]
        total += int(np.count_nonzero(same if even else same & (table[:, 1:] >= 0)))
    return total


def left_out(
    exclude: Truth | BoolArray | None, users: Vocabulary, items: Vocabulary
) -> BoolArray | tuple[IntArray, IntArray] | None:
    """Return what to leave out as a mask or as (row, column) pairs."""
    if exclude is None:
        return None
    if isinstance(exclude, np.ndarray):
        if exclude.shape != (len(users), len(items)) or exclude.dtype != np.bool_:
            raise InvalidParameterError(
                "exclude", exclude.shape, f"a mask of shape {(len(users), len(items))}"
            )
        return exclude
    row = np.repeat(exclude.users.translate(users), exclude.n_judged).astype(np.int64)
    column = exclude.items.translate(items)[exclude.item].astype(np.int64)
    known = (row >= 0) & (column >= 0)
    return row[known], column[known]
