"""What people did, as a fitted arm sees it."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from scipy import sparse

from siamrec._core import check
from siamrec._core.table import Arrays
from siamrec.data import NO_TIME, Feedback, FeedbackKind
from siamrec.data.liking import liked, speakers, tells, threshold, voice
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from siamrec.data import Vocabulary
    from siamrec.data.liking import Threshold
    from siamrec.typing import BoolArray, CodeArray, Float32Array, FloatArray, IntArray

__all__ = ["Histories", "Strength"]

Strength = Literal["once", "events", "value"]
"""What a liking counts: its weight, or as often as it came, or as its value says."""
STRENGTHS = ("once", "events", "value")

_COLUMNS = ("value", "order", "kind", "time", "weight", "events")
COLUMN_TYPES: dict[str, Any] = {
    "value": np.float32,
    "order": np.int64,
    "kind": np.int8,
    "time": np.int64,
    "weight": np.float32,
    "events": np.float32,
}
"""The matrices of histories, by name, and what they hold."""


@final
@dataclass(frozen=True, slots=True, repr=False)
class Histories(Arrays):
    """What people did, as the fitted arm sees it: rows of events over its items.

    Of what a person said of an item the strongest speaks (see `siamrec.data.liking`): the last
    opinion, else the last act, else the last view. Every stored entry is a seen item, whatever its
    value. All matrices have the entries of `value`.

    Attributes:
        value: Ratings or strengths, shape `(n_people, n_items)`.
        order: When each entry came, as whole numbers that rise with time within a person; None
            where it is not known.
        user: Code of the training user that each row is, -1 for others, shape `(n_people,)`;
            None where nobody is from training.
        kind: `FeedbackKind` of each entry; None where all are ratings.
        time: Instant of each entry, `NO_TIME` where it is not known; None where none is.
        weight: How much each entry counts, above 0; None where all count 1.
        events: Sum of the weights of all events behind each entry; None where each has none but
            the one that speaks.
    """

    value: sparse.csr_array
    order: sparse.csr_array | None = None
    user: CodeArray | None = None
    kind: sparse.csr_array | None = None
    time: sparse.csr_array | None = None
    weight: sparse.csr_array | None = None
    events: sparse.csr_array | None = None

    @classmethod
    def of(cls, feedback: Feedback, users: Vocabulary, items: Vocabulary) -> Histories:
        """Return what speaks for every user and item; items unknown to the arm are dropped.

        Impressions and events of weight 0 do not count: it is as if they were not there.
        """
        check.kind("feedback", feedback, Feedback)
        row = feedback.users.translate(users)[feedback.user].astype(np.int64)
        column = feedback.items.translate(items)[feedback.item].astype(np.int64)
        pair = np.where((row >= 0) & (column >= 0), row * max(len(items), 1) + column, -1)
        said = speakers(feedback)
        order = np.arange(said.size)
        known = pair[said] >= 0
        said, order = said[known], order[known]
        by_pair = np.argsort(pair[said], kind="stable")
        said, order = said[by_pair], order[by_pair]
        counted = (pair >= 0) & tells(feedback)
        place = np.searchsorted(pair[said], pair[counted])
        events = np.bincount(place, weights=feedback.weight[counted], minlength=said.size)
        return cls._over(
            pair[said],
            (len(users), len(items)),
            value=feedback.value[said],
            order=order,
            kind=feedback.kind[said],
            time=feedback.time[said],
            weight=feedback.weight[said],
            events=events,
        )

    @classmethod
    def _over(
        cls, pair: IntArray, shape: tuple[int, int], **columns: npt.NDArray[Any]
    ) -> Histories:
        """Return histories of rising numbers of pairs; what is the same everywhere is left out."""
        row, column = np.divmod(pair, max(shape[1], 1))
        start = np.searchsorted(row, np.arange(shape[0] + 1))
        code = column.astype(np.int32)
        plain = {
            "kind": (columns["kind"] == FeedbackKind.RATING).all(),
            "time": (columns["time"] == NO_TIME).all(),
            "weight": (columns["weight"] == 1).all(),
            "events": (columns["events"] == columns["weight"]).all(),
        }
        told = {name: col for name, col in columns.items() if not plain.get(name, False)}
        value = told.pop("value").astype(COLUMN_TYPES["value"])
        first = sparse.csr_array((value, code, start), shape=shape)
        made = {name: _alike(first, col.astype(COLUMN_TYPES[name])) for name, col in told.items()}
        return cls(value=first, **made)

    def among(self, n_items: int) -> Histories:
        """Return what was done on the first items alone; the same where that is all of it."""
        if n_items == self.value.shape[1]:
            return self
        if (self.value.indices >= n_items).any():
            return self._each(lambda matrix: matrix[:, :n_items].tocsr())

        first = self.value
        columns = (first.data, first.indices, first.indptr)  # nothing of them is cut away
        narrow = sparse.csr_array(columns, shape=(len(self), n_items))
        return self._each(lambda matrix: _alike(narrow, matrix.data))

    @property
    def kinds(self) -> npt.NDArray[np.int8]:
        """`FeedbackKind` of each entry, shape `(n_entries,)`."""
        ratings = np.full(self.value.nnz, FeedbackKind.RATING, dtype=np.int8)
        return ratings if self.kind is None else self.kind.data

    @property
    def weights(self) -> Float32Array:
        """How much each entry counts, shape `(n_entries,)`."""
        ones = np.ones(self.value.nnz, dtype=np.float32)
        return ones if self.weight is None else np.asarray(self.weight.data, np.float32)

    @property
    def ratings(self) -> Histories:
        """The entries that are ratings, alone."""
        return self if self.kind is None else self.kept(self.kinds == FeedbackKind.RATING)

    def threshold(self, positive: Threshold) -> float | None:
        """Return the number that `positive` means for what is told here."""
        return threshold(positive, self.kinds, self.value.data)

    def is_liked(self, positive: float | None) -> BoolArray:
        """Return which entries are likes, shape `(n_entries,)`."""
        return liked(self.kinds, self.value.data, positive)

    def liked(self, positive: float | None, *, strength: Strength = "once") -> sparse.csr_array:
        """Return what each liking counts, 1 where nothing is weighed.

        Args:
            positive: Smallest rating that is a like; thumbs up, clicks and conversions are likes,
                views, dwells and comments are none. None counts every event but a thumb down.
            strength: `"once"` counts the weight of the event that speaks; `"events"` counts
                `log2(1 + n)` with `n` the weights of all events on the item, so that one play
                counts 1 and 300 count 8.2; `"value"` the weight times `log2(1 + value)`.

        Raises:
            siamrec.errors.InvalidDataError: If a value is below 0 where values are strengths.
        """
        counted = (self.is_liked(positive) * self._strengths(strength)).astype(np.float32)
        if counted.all():
            return _alike(self.value, counted)
        likes = self.value.copy()
        likes.data = counted
        likes.eliminate_zeros()
        return likes

    def _strengths(self, strength: Strength) -> npt.NDArray[Any]:
        if strength == "events":
            n = self.weights if self.events is None else self.events.data
            counted: FloatArray = np.log2(1.0 + n)
            return counted
        if strength == "value":
            if (self.value.data < 0).any():
                raise InvalidDataError(
                    f"strength='value' needs values of at least 0, got {self.value.data.min():g}."
                )
            amount: FloatArray = self.weights * np.log2(1.0 + self.value.data)
            return amount
        return self.weights

    def some_liked(
        self, positive: float | None, whose: str, *, strength: Strength = "once"
    ) -> sparse.csr_array:
        """Return what `liked` does, for an arm that learns nothing where nothing is liked.

        Raises:
            siamrec.errors.InvalidDataError: If nothing is.
        """
        likes = self.liked(positive, strength=strength)
        if likes.nnz == 0:
            told = f" in {self.value.nnz} entries"
            raise InvalidDataError(
                f"{whose} needs at least one liked item, got none{told}: positive ({positive}) is "
                "the least rating that is a like; a view, a dwell or a comment is none "
                "(LabelRules reads them)."
            )
        return likes

    def require_even(self, whose: str) -> Histories:
        """Return these histories, for an arm that has no place for weights.

        Raises:
            siamrec.errors.InvalidDataError: If some events count more than others.
        """
        weights = self.weights
        if weights.size and weights.min() != weights.max():
            raise InvalidDataError(
                f"weight must be the same for all events for {whose}, which has no place for it, "
                f"got {weights.min():g} to {weights.max():g}; take an arm that weighs events "
                "(EASE, IALS, ItemKNN, ExplicitMF …), or drop events below some weight and set "
                "the others to 1."
            )
        return self

    def sequences(self, positive: float | None = None) -> tuple[CodeArray, CodeArray]:
        """Return person and item of every liked entry, person by person in order of time."""
        counts = self.is_liked(positive)
        owner = self.owner[counts]
        when = (np.arange(self.value.nnz) if self.order is None else self.order.data)[counts]
        order = np.lexsort((when, owner))
        item: CodeArray = self.value.indices[counts][order].astype(np.int32)
        return owner[order].astype(np.int32), item

    @property
    def owner(self) -> IntArray:
        """The row of each entry, shape `(n_entries,)`."""
        owner: IntArray = np.repeat(np.arange(len(self)), np.diff(self.value.indptr))
        return owner

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
        user = None if self.user is None else self.user[rows]
        return replace(self._each(lambda matrix: matrix[rows]), user=user)

    def people(self, users: CodeArray) -> Histories:
        """Return the training users of these codes, marked as such."""
        return replace(self._each(lambda matrix: matrix[users]), user=users)

    def over(self, items: CodeArray, user: CodeArray | None) -> Histories:
        """Return the same people over the items of these codes, in this order."""
        return replace(self._each(lambda matrix: matrix[:, items].tocsr()), user=user)

    def kept(self, entries: BoolArray) -> Histories:
        """Return the same people with only these entries, given as a mask over all."""
        count = np.bincount(self.owner[entries], minlength=len(self))
        start = np.concatenate(([0], np.cumsum(count)))

        def cut(matrix: sparse.csr_array) -> sparse.csr_array:
            columns = (matrix.data[entries], matrix.indices[entries], start)
            return sparse.csr_array(columns, matrix.shape)

        return self._each(cut)

    def grown(self, n_users: int, n_items: int) -> Histories:
        """Return the same people and items with room for more behind them."""
        new_rows = n_users - len(self)

        def wider(matrix: sparse.csr_array) -> sparse.csr_array:
            start = np.append(matrix.indptr, np.full(new_rows, matrix.indptr[-1]))
            return sparse.csr_array((matrix.data, matrix.indices, start), shape=(n_users, n_items))

        return replace(self._each(wider), user=None)

    def _each(self, change: Callable[[sparse.csr_array], sparse.csr_array]) -> Histories:
        """Return these histories with each matrix changed."""
        held = {name: getattr(self, name) for name in _COLUMNS}
        return replace(
            self, **{name: change(matrix) for name, matrix in held.items() if matrix is not None}
        )

    def extended(self, newer: Histories) -> Histories:
        """Return both together: of each person and item the stronger and later entry speaks.

        Which of the two was delivered first does not matter where the times are known; of one
        instant, or without times, an entry of `newer` is the later one. `newer` may have more
        people and items behind those here.
        """
        n_users, n_items = newer.value.shape
        parts = (self, newer)
        pair = np.concatenate(
            [part.owner * max(n_items, 1) + part.value.indices.astype(np.int64) for part in parts]
        )
        column = {name: np.concatenate([part.column(name) for part in parts]) for name in _COLUMNS}
        source = np.repeat([0, 1], [part.value.nnz for part in parts])
        # `time` decides, then what came later to us: an order known here holds within one part
        by_time = np.lexsort((column["order"], source, column["time"]))
        column["order"][by_time] = np.arange(pair.size)
        last = np.lexsort((column["order"], voice(column["kind"]), pair))
        pair, speaks = pair[last], np.append(np.diff(pair[last]) != 0, True)[: pair.size]
        total = np.bincount(np.cumsum(speaks) - speaks, weights=column["events"][last])
        made = {name: values[last][speaks] for name, values in column.items()}
        made["events"] = total
        made["order"] = np.argsort(np.argsort(made["order"]))
        joined = self._over(pair[speaks], (n_users, n_items), **made)
        known = all(part.order is not None for part in parts)
        return joined if known else replace(joined, order=None)

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return the column of a matrix, of what its absence means where it is absent."""
        matrix: sparse.csr_array | None = getattr(self, name)
        if matrix is not None:
            return np.array(matrix.data)
        if name == "kind":
            return self.kinds
        if name in {"weight", "events"}:
            return self.weights
        if name == "time":
            return np.full(self.value.nnz, NO_TIME)
        return np.zeros(self.value.nnz, dtype=np.int64)

    def __len__(self) -> int:
        return int(self.value.shape[0])


def _alike(matrix: sparse.csr_array, data: npt.NDArray[Any]) -> sparse.csr_array:
    """Return a matrix with other data at the same places, without looking at them again."""
    other = copy(matrix)
    other.data = data
    return other
