"""Where the relevant items of each user stand in its list: the one hot loop of the room.

Users are taken in blocks that stay in the cache. A user with few relevant items is served by
comparing its list with each of them (one vector instruction for many places), a user with many
by a table over the catalogue. Both give the same hits, in order of user and rank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    from siamrec.typing import CodeArray, IntArray

_BLOCK_CELLS = 1 << 17
_TABLE_CELLS = 1 << 20
_FEW = 32
_SHORT_CODES = np.iinfo(np.uint16).max - 1
_NO_MATCH = 2**16 - 2


class Hits(NamedTuple):
    """Relevant items in the lists, in order of user and rank.

    Attributes:
        user: Row of the user, shape `(n_hits,)`.
        rank: Rank from 0, shape `(n_hits,)`.
        entry: Place of the item among the user's relevant items, shape `(n_hits,)`; None where
            it was not asked for.
    """

    user: IntArray
    rank: IntArray
    entry: IntArray | None


def find_hits(
    table: CodeArray, start: IntArray, item: CodeArray, n_items: int, *, entries: bool
) -> Hits:
    """Return the hits of padded lists against compressed rows of relevant items.

    Args:
        table: Item codes, shape `(n_users, depth)`, -1 where a list has ended; no row repeats an
            item.
        start: Row bounds of the relevant items, shape `(n_users + 1,)`.
        item: Codes of the relevant items, distinct within a row, -1 for one outside the lists'
            catalogue, shape `(n_relevant,)`.
        n_items: Size of the lists' catalogue.
        entries: Whether to tell which relevant item each hit is.
    """
    n_users, depth = table.shape
    if not n_users or not depth or not item.size:
        none = np.empty(0, dtype=np.int64)
        return Hits(none, none, none if entries else None)
    short = n_items <= _SHORT_CODES
    wanted = np.where(item < 0, _NO_MATCH if short else -2, item)  # pads are -1: never equal
    wanted = wanted.astype(np.uint16 if short else np.int32)
    counts = np.diff(start)
    rows = max(1, _BLOCK_CELLS // depth)
    places, found = [], []
    for low in range(0, n_users, rows):
        block = table[low : low + rows]
        marks = _marks(block, start[low : low + rows], counts[low : low + rows], wanted, item)
        flat = marks.reshape(-1)
        place = np.flatnonzero(flat)
        places.append(place + low * depth)
        if entries:
            found.append(flat[place] - 1)
    place = np.concatenate(places)
    user = place // depth
    entry = np.concatenate(found).astype(np.int64) if entries else None
    return Hits(user, place - user * depth, entry)


def _marks(
    block: CodeArray, start: IntArray, counts: IntArray, wanted: npt.NDArray[Any], item: CodeArray
) -> npt.NDArray[Any]:
    """Return, for each place of a block, 1 + the index of the relevant item there, or 0."""
    most = int(counts.max())
    marks = np.zeros(block.shape, dtype=np.uint8 if most < 256 else np.int32)  # noqa: PLR2004
    few = counts <= _FEW
    if not few.all():
        many = np.flatnonzero(~few)
        _mark_by_table(block, start, counts, item, many, marks)
        counts = np.where(few, counts, 0)
    _mark_by_comparing(block.astype(wanted.dtype), start, counts, wanted, marks)
    return marks


def _mark_by_comparing(
    block: npt.NDArray[Any],
    start: IntArray,
    counts: IntArray,
    wanted: npt.NDArray[Any],
    marks: npt.NDArray[Any],
) -> None:
    order = np.argsort((-counts).astype(np.int16), kind="stable")  # a radix sort
    lists, first, sizes = block[order], start[order], -counts[order]
    mark = np.zeros(block.shape, dtype=np.uint8)
    same = np.empty(block.shape, dtype=np.bool_)
    for entry in range(-int(sizes[0])):  # users with more than `entry` relevant items lead
        n = int(np.searchsorted(sizes, -entry))
        target = wanted.take(first[:n])
        first[:n] += 1
        np.equal(lists[:n], target[:, None], out=same[:n])
        here = same[:n].view(np.uint8)
        if entry:
            np.multiply(here, np.uint8(entry + 1), out=here)
        np.bitwise_or(mark[:n], here, out=mark[:n])
    counted = counts[order] > 0
    marks[order[counted]] = mark[counted]


def _mark_by_table(
    block: CodeArray,
    start: IntArray,
    counts: IntArray,
    item: CodeArray,
    many: IntArray,
    marks: npt.NDArray[Any],
) -> None:
    """Look every place of the lists up in a table over the catalogue, some users at a time."""
    largest = max(int(block.max()), int(item.max()))
    size = largest + 2  # the last cell is for "no item" and never marked
    together = max(1, _TABLE_CELLS // size)
    table = np.zeros((min(together, many.size), size), dtype=marks.dtype)
    flat = table.reshape(-1)
    for low in range(0, many.size, together):
        chosen = many[low : low + together]
        n_entries = counts[chosen]
        lane = np.repeat(np.arange(chosen.size), n_entries)
        entry = np.arange(lane.size) - np.repeat(n_entries.cumsum() - n_entries, n_entries)
        codes = item[start[chosen][lane] + entry]
        known = codes >= 0
        cell = (lane * size + codes)[known]
        flat[cell] = (entry + 1)[known]
        lists = np.where(block[chosen] < 0, size - 1, block[chosen])
        marks[chosen] = flat.take(lists + np.arange(chosen.size)[:, None] * size, mode="clip")
        flat[cell] = 0
