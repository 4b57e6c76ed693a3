"""What people did, as a fitted arm sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from scipy import sparse

from siamrec._core import check
from siamrec._core.table import Arrays
from siamrec.data import Feedback
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from siamrec.data import Vocabulary
    from siamrec.typing import BoolArray, CodeArray, IntArray

__all__ = ["Histories"]


@final
@dataclass(frozen=True, slots=True, repr=False)
class Histories(Arrays):
    """What people did, as the fitted arm sees it: rows of events over its items.

    Attributes:
        value: Ratings or strengths, shape `(n_people, n_items)`; every stored entry is a seen
            item, whatever its value.
        order: When each entry of `value` came, as whole numbers that rise with time within a
            person, over the same entries as `value`; None where it is not known.
        user: Code of the training user that each row is, -1 for others, shape `(n_people,)`;
            None where nobody is from training.
    """

    value: sparse.csr_array
    order: sparse.csr_array | None = None
    user: CodeArray | None = None

    @classmethod
    def of(cls, feedback: Feedback, users: Vocabulary, items: Vocabulary) -> Histories:
        """Return the last value of every user and item; items unknown to the arm are dropped."""
        check.kind("feedback", feedback, Feedback)
        by_time = np.argsort(feedback.time, kind="stable")
        row = feedback.users.translate(users)[feedback.user[by_time]].astype(np.int64)
        column = feedback.items.translate(items)[feedback.item[by_time]].astype(np.int64)
        known = (row >= 0) & (column >= 0)
        key = row[known] * max(len(items), 1) + column[known]
        distinct, from_end = np.unique(key[::-1], return_index=True)
        last = key.size - 1 - from_end
        value = feedback.value[by_time][known][last].astype(np.float32)
        shape = (len(users), len(items))
        row, column = np.divmod(distinct, max(len(items), 1))
        start = np.searchsorted(row, np.arange(len(users) + 1))
        code = column.astype(np.int32)
        return cls(
            sparse.csr_array((value, code, start), shape=shape),
            sparse.csr_array((last.astype(np.int64), code, start), shape=shape),
        )

    def liked(self, positive: float | None) -> sparse.csr_array:
        """Return ones where the value is at least `positive`, or everywhere with None."""
        liked = self.value.copy()
        liked.data = self._counts(positive).astype(np.float32)
        liked.eliminate_zeros()
        return liked

    def _counts(self, positive: float | None) -> BoolArray:
        """Return which entries count as liking."""
        if positive is None:
            return np.ones(self.value.nnz, bool)
        counts: BoolArray = self.value.data >= check.real("positive", positive)
        return counts

    def some_liked(self, positive: float | None, whose: str) -> sparse.csr_array:
        """Return what `liked` does, for an arm that learns nothing where nothing is liked.

        Raises:
            siamrec.errors.InvalidDataError: If nothing is.
        """
        liked = self.liked(positive)
        if liked.nnz == 0:
            raise InvalidDataError(f"{whose} needs at least one liked item.")
        return liked

    def sequences(self, positive: float | None = None) -> tuple[CodeArray, CodeArray]:
        """Return person and item of every liked entry, person by person in order of time."""
        counts = self._counts(positive)
        owner = np.repeat(np.arange(len(self)), np.diff(self.value.indptr))[counts]
        when = (np.arange(self.value.nnz) if self.order is None else self.order.data)[counts]
        order = np.lexsort((when, owner))
        item: CodeArray = self.value.indices[counts][order].astype(np.int32)
        return owner[order].astype(np.int32), item

    def latest(self, n: int, positive: float | None = None) -> tuple[CodeArray, BoolArray]:
        """Return the last `n` liked items of each person in order of time, left-aligned.

        Args:
            n: Most items of one person.
            positive: Smallest value that counts as liking; None counts every event.

        Returns:
            Item codes and whether there is one, both of shape `(n_people, n)`; a person with
            fewer has the code 0 behind them.

        Examples:
            >>> from siamrec.data import Feedback
            >>> feedback = Feedback.of(user=["a"] * 3, item=["x", "y", "z"], time=[3, 1, 2])
            >>> history = Histories.of(feedback, feedback.users, feedback.items)
            >>> history.latest(2)[0].tolist()  # z, then x
            [[2, 0]]
        """
        owner, item = self.sequences(positive)
        length = np.bincount(owner, minlength=len(self))
        place = np.arange(owner.size) - np.repeat(np.cumsum(length) - length, length)
        place -= np.maximum(length - n, 0)[owner]
        table = np.zeros((len(self), n), dtype=np.int32)
        table[owner[place >= 0], place[place >= 0]] = item[place >= 0]
        return table, np.arange(n) < length[:, None]

    def rows(self, start: int, stop: int) -> Histories:
        """Return the people from `start` up to `stop`."""
        return self.at(slice(start, stop))

    def at(self, rows: IntArray | slice) -> Histories:
        """Return the people at these places, in this order."""
        return Histories(
            self.value[rows],
            None if self.order is None else self.order[rows],
            None if self.user is None else self.user[rows],
        )

    def grown(self, n_users: int, n_items: int) -> Histories:
        """Return the same people and items with room for more behind them."""
        new_rows = n_users - len(self)

        def wider(matrix: sparse.csr_array) -> sparse.csr_array:
            start = np.append(matrix.indptr, np.full(new_rows, matrix.indptr[-1]))
            return sparse.csr_array((matrix.data, matrix.indices, start), shape=(n_users, n_items))

        return Histories(wider(self.value), None if self.order is None else wider(self.order))

    def extended(self, newer: Histories) -> Histories:
        """Return `newer` where it has an entry and these elsewhere.

        `newer` may have more people and items behind those here.
        """
        n_users, n_items = newer.value.shape
        upper, lower = newer.value.tocoo(), self.value.tocoo()
        row, column = np.append(upper.row, lower.row), np.append(upper.col, lower.col)
        _, first = np.unique(row.astype(np.int64) * n_items + column, return_index=True)
        where, shape = (row[first], column[first]), (n_users, n_items)
        value = sparse.csr_array((np.append(upper.data, lower.data)[first], where), shape=shape)
        if self.order is None or newer.order is None:
            return Histories(value)
        after = newer.order.data + self.order.data.max(initial=0) + 1
        order = np.append(after, self.order.data)[first]
        return Histories(value, sparse.csr_array((order, where), shape=shape))

    def people(self, users: CodeArray) -> Histories:
        """Return the training users of these codes, marked as such."""
        order = None if self.order is None else self.order[users]
        return Histories(self.value[users], order, users)

    def __len__(self) -> int:
        return int(self.value.shape[0])
