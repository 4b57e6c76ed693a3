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

    from siamrec.typing import BoolArray, CodeArray, IntArray

_BLOCK_CELLS = 1 << 18
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
    rows = max(8, _BLOCK_CELLS // depth // 8 * 8)
    buffers = _Buffers.of(min(rows, n_users), depth, wanted.dtype)
    places, found = [], []
    for low in range(0, n_users, rows):
        block, first, sizes = table[low : low + rows], start[low:-1], counts[low : low + rows]
        few = sizes <= _FEW
        compared = sizes if few.all() else np.where(few, sizes, 0)
        marks: npt.NDArray[Any] = _mark_by_comparing(
            block, first[: len(block)], compared, wanted, buffers, entries=entries
        )
        if compared is not sizes:
            marks = _mark_by_table(block, first, sizes, item, many=~few, marks=marks)
        place = _set_places(marks)
        if entries:
            found.append(marks.reshape(-1)[place] - np.int64(1))
        places.append(place + low * depth)
    place = np.concatenate(places)
    user = place // depth
    return Hits(user, place - user * depth, np.concatenate(found) if entries else None)


class _Buffers(NamedTuple):
    """Memory that every block uses again, so that it stays in the cache."""

    codes: npt.NDArray[Any]
    lists: npt.NDArray[Any]
    same: BoolArray
    mark: npt.NDArray[np.uint8]
    marks: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, rows: int, depth: int, dtype: np.dtype[Any]) -> _Buffers:
        shape = (rows, depth)
        small = (np.empty(shape, dtype=np.uint8) for _ in range(2))
        return cls(
            np.empty(shape, dtype), np.empty(shape, dtype), np.empty(shape, dtype=np.bool_), *small
        )


def _set_places(marks: npt.NDArray[Any]) -> IntArray:
    """Return the flat places that are not 0; most are, so eight are looked at together."""
    flat = marks.reshape(-1)
    if flat.dtype != np.uint8 or flat.size % 8:
        return np.flatnonzero(flat)
    words = flat.view(np.uint64)
    touched = np.flatnonzero(words != 0)
    byte = np.flatnonzero(words[touched].view(np.uint8) != 0)
    places: IntArray = (touched[byte >> 3] << 3) + (byte & 7)
    return places


def _mark_by_comparing(
    block: CodeArray,
    start: IntArray,
    counts: IntArray,
    wanted: npt.NDArray[Any],
    buffers: _Buffers,
    *,
    entries: bool,
) -> npt.NDArray[np.uint8]:
    """Return 1 + the index of the relevant item at each place (or just 1), and 0 elsewhere."""
    size = len(block)
    codes, lists, same = (buffer[:size] for buffer in buffers[:3])
    mark, marks = buffers.mark[:size], buffers.marks[:size]
    order = np.argsort((-counts).astype(np.int16), kind="stable")  # a radix sort
    codes[:] = block
    np.take(codes, order, axis=0, out=lists, mode="clip")
    first, sizes = start[order], -counts[order]
    lead = np.searchsorted(sizes, -np.arange(-sizes[0])).tolist()
    mark[lead[0] if lead else 0 :] = 0
    for entry, n in enumerate(lead):  # the first n users have more than `entry` relevant items
        target = wanted.take(first[:n])[:, None]
        first[:n] += 1
        if not entry:
            np.equal(lists[:n], target, out=mark[:n].view(np.bool_))
            continue
        here = np.equal(lists[:n], target, out=same[:n]).view(np.uint8)
        if entries:
            np.multiply(here, np.uint8(entry + 1), out=here)
        np.bitwise_or(mark[:n], here, out=mark[:n])
    marks[order] = mark
    return marks


def _mark_by_table(
    block: CodeArray,
    start: IntArray,
    counts: IntArray,
    item: CodeArray,
    *,
    many: BoolArray,
    marks: npt.NDArray[np.uint8],
) -> npt.NDArray[Any]:
    """Add the marks of users with many relevant items, by a table over the catalogue."""
    wide: npt.NDArray[Any] = marks.astype(np.int32)
    size = max(int(block.max()), int(item.max())) + 2  # the last cell, for "no item", stays 0
    together = max(1, _TABLE_CELLS // size)
    users = np.flatnonzero(many)
    table = np.zeros((min(together, users.size), size), dtype=np.int32)
    flat = table.reshape(-1)
    for low in range(0, users.size, together):
        chosen = users[low : low + together]
        n_entries = counts[chosen]
        lane = np.repeat(np.arange(chosen.size), n_entries)
        entry = np.arange(lane.size) - np.repeat(n_entries.cumsum() - n_entries, n_entries)
        codes = item[start[chosen][lane] + entry]
        known = codes >= 0
        cell = (lane * size + codes)[known]
        flat[cell] = (entry + 1)[known]
        lists = np.where(block[chosen] < 0, size - 1, block[chosen])
        wide[chosen] = flat.take(lists + np.arange(chosen.size)[:, None] * size, mode="clip")
        flat[cell] = 0
    return wide
