"""Lists and truth of different vocabularies, brought into one order of users and items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec.data.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siamrec.data.rankings import Rankings
    from siamrec.data.vocabulary import Vocabulary
    from siamrec.typing import CodeArray, FloatArray, Id, IntArray

_BLOCK_CELLS = 1 << 16


@final
@dataclass(frozen=True, slots=True)
class Rows:
    """Compressed rows of items for the users of an evaluation, in its item codes.

    Attributes:
        start: Row bounds, shape `(n_users + 1,)`.
        item: Item codes; -1 for an item that is not in the vocabulary.
        grade: Grade of each entry.
    """

    start: IntArray
    item: CodeArray
    grade: FloatArray

    @property
    def owner(self) -> IntArray:
        """User of each entry."""
        return np.repeat(np.arange(self.start.size - 1), np.diff(self.start))

    def where(self, keep: np.typing.NDArray[np.bool_]) -> Rows:
        """Return the rows with only the entries of a mask."""
        if keep.all():
            return self
        counts = np.bincount(self.owner[keep], minlength=self.start.size - 1)
        return Rows(bounds(counts), self.item[keep], self.grade[keep])

    def sum_of(self, of_item: FloatArray) -> FloatArray:
        """Return the sum of grade times a row of `of_item`, in the order of the entries."""
        from scipy.sparse import csr_array  # costs 0.2 s at import

        shape = (self.start.size - 1, of_item.shape[0])
        table: FloatArray = csr_array((self.grade, self.item, self.start), shape=shape) @ of_item
        return table


def bounds(counts: IntArray) -> IntArray:
    """Return row bounds from row lengths."""
    return np.concatenate(([0], counts.cumsum()))


def joint_users(rankings: Rankings, truth: Truth | None) -> Vocabulary:
    """Return the users of the lists, followed by users who have a truth but no list."""
    if truth is None or rankings.users.ids == truth.users.ids:
        return rankings.users
    absent = (truth.users.translate(rankings.users) < 0) & (truth.n_judged > 0)
    return rankings.users.extend(truth.users.decode(np.flatnonzero(absent)))


def joint_items(rankings: Rankings, truth: Truth | None, known: Iterable[Id] = ()) -> Vocabulary:
    """Return the items of the lists, then judged items no list knows, then other known ones."""
    items = rankings.items
    if truth is not None and items.ids != truth.items.ids:
        absent = truth.items.translate(items) < 0
        if absent.any():
            items = items.extend(truth.items.decode(np.flatnonzero(absent)))
    others = [id_ for id_ in known if id_ not in items]
    return items.extend(others) if others else items


def rows_of(truth: Truth, users: Vocabulary, items: Vocabulary) -> Rows:
    """Return the rows of a truth in the given order of users, in the given codes of items.

    Users of the truth who are not among `users` are dropped; a user without truth has an empty
    row; an item that is not among `items` has the code -1.
    """
    item = truth.item
    if truth.items.ids != items.ids:
        item = truth.items.translate(items)[item]
    if truth.users.ids == users.ids:
        return Rows(truth.start, item, truth.grade)
    source = users.translate(truth.users).astype(np.int64)
    counts = np.where(source >= 0, truth.n_judged[source], 0) if len(truth) else source * 0
    start = bounds(counts)
    first = truth.start[:-1][source] if len(truth) else source
    entry = np.arange(start[-1]) + np.repeat(first - start[:-1], counts)
    return Rows(start, item[entry], truth.grade[entry])


def as_truth(rankings: Rankings) -> Truth:
    """Return the items of lists as judged items of grade 1."""
    return Truth.from_arrays(
        user=rankings.owner, item=rankings.item, users=rankings.users, items=rankings.items
    )


def lists_as_rows(rankings: Rankings, users: Vocabulary) -> IntArray:
    """Return the row bounds of the lists for the joint users: those at the end have none."""
    extra = len(users) - len(rankings)
    return np.concatenate((rankings.start, np.full(extra, rankings.start[-1])))


def falling_within(values: FloatArray, start: IntArray) -> FloatArray:
    """Return the values of compressed rows with each row sorted from high to low."""
    counts = np.diff(start)
    order = np.argsort(counts, kind="stable")
    ordered = np.empty_like(values)
    low = int(np.searchsorted(counts[order], 1))  # empty rows lead
    while low < order.size:  # blocks of rows of about equal length
        width = int(counts[order[low]])
        high = low + max(1, _BLOCK_CELLS // width)
        rows = order[low:high]
        width = int(counts[rows[-1]])
        filled = np.arange(width) < counts[rows][:, None]
        place = start[rows][:, None] + np.arange(width)
        table = np.full(filled.shape, -np.inf)
        table[filled] = values[place[filled]]
        table.sort(axis=1)
        ordered[place[filled]] = table[:, ::-1][filled]
        low = high
    return ordered
