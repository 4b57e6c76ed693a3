"""Lists of a block of people while they are made: some from few scores, the rest from all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, final

import numpy as np

from siamrec._core import check
from siamrec.data import Rankings
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from scipy import sparse

    from siamrec.data import Vocabulary
    from siamrec.models.recommenders.histories import Histories
    from siamrec.typing import BoolArray, CodeArray, Float32Array, FloatArray, IntArray

_BLOCK, _FEWEST = 1024, 64  # people scored at a time, at most and at least
_CELLS = 1 << 22  # scores of a block, where items are many
_WIDE = 1 << 16  # items of which one person's few scores are quicker found than all


class Scores(Protocol):
    """What lists are made of: a fitted arm."""

    items: Vocabulary
    history: Histories
    members: tuple[str, ...]

    def traced(self, histories: Histories) -> tuple[Float32Array, CodeArray | None]:
        """Return the scores, and the place in `members` of the arm that each comes from."""

    def score_query(self, query: str) -> Float32Array:
        """Return the score of every item for the text of a query."""

    def few_scores(self, histories: Histories) -> sparse.csr_array | None:
        """Return the scores as sparse rows where most are 0, else None."""


def make_lists(
    arm: Scores,
    histories: Histories,
    users: Vocabulary,
    *,
    k: int,
    allowed: BoolArray,
    exclude_seen: bool,
) -> Rankings:
    """Return the best `k` of what may be shown to each person.

    Where all of it scores alike, the list is by popularity, and says so.

    Args:
        arm: Scores items.
        histories: What each person did.
        users: The people.
        k: Longest list.
        allowed: Items that may be shown, shape `(n_items,)`.
        exclude_seen: Whether what a person met is left out.
    """
    check.count("k", k)
    blocks, sources, fallen = [], [], []
    step = max(_FEWEST, min(_BLOCK, _CELLS // max(len(arm.items), 1)))
    for first in range(0, len(histories), step):
        block = histories.rows(first, first + step)
        few, seen = arm.few_scores(block), block.value if exclude_seen else None
        done = Lists.none(len(block)) if few is None else Lists.few(few, seen, allowed, k)
        rest = np.flatnonzero(done.length < 0)
        if rest.size:
            some = block if rest.size == len(block) else block.at(rest)
            table, origin = _masked(arm, some, allowed, exclude_seen=exclude_seen)
            silent = _silent(table)
            if silent.size:
                met = np.bincount(arm.history.value.indices, minlength=len(arm.items))
                table[silent] = np.where(table[silent] == -np.inf, -np.inf, met)
                fallen.append(first + rest[silent])
            made = Rankings.from_scores(table, k=k, items=arm.items)
            if origin is not None:  # an arm of several has no few scores: all its lists are here
                owner = np.repeat(np.arange(len(some)), made.length)
                sources.append(origin[owner, made.item])
            done = done.with_rows(rest, made)
        blocks.append(done)
    lists = Rankings(
        users=users,
        items=arm.items,
        item=np.concatenate([np.empty(0, np.int32), *(block.item for block in blocks)]),
        start=np.concatenate([[0], *(block.length for block in blocks)]).cumsum(),
        score=np.concatenate([np.empty(0), *(block.score for block in blocks)]),
        source=np.concatenate(sources) if sources else None,
        arms=arm.members if sources else (),
    )
    return _flagged(arm, lists, np.concatenate(fallen)) if fallen else lists


def best_of(
    arm: Scores, histories: Histories, *, k: int, allowed: BoolArray, exclude_seen: bool
) -> tuple[IntArray, FloatArray]:
    """Return codes and scores of the best of what may be shown to one person.

    Both are empty where all of it scores alike.

    Args:
        arm: Scores items.
        histories: What the person did; one row.
        k: Most items.
        allowed: Items that may be shown, shape `(n_items,)`.
        exclude_seen: Whether what the person met is left out.
    """
    check.count("k", k)
    few = arm.few_scores(histories) if len(arm.items) > _WIDE else None
    if few is not None:
        done = Lists.few(few, histories.value if exclude_seen else None, allowed, k)
        if done.length[0] >= 0:
            return done.item.astype(np.int64), done.score
    scores = arm.traced(histories)[0] if few is None else few.toarray()
    row = np.where(allowed, _sized(arm, scores, 1)[0], -np.inf)
    if exclude_seen:
        row[histories.value.indices] = -np.inf
    return _best_of_row(arm, row, k)


def best_answers(
    arm: Scores, query: str, *, k: int, allowed: BoolArray
) -> tuple[IntArray, FloatArray]:
    """Return codes and scores of the best of what may be shown for a query; see `best_of`."""
    check.count("k", k)
    scores = _sized(arm, np.asarray(arm.score_query(query))[None, :], 1)
    return _best_of_row(arm, np.where(allowed, scores[0], -np.inf), k)


def _best_of_row(arm: Scores, row: Float32Array, k: int) -> tuple[IntArray, FloatArray]:
    """Return places and values of the `k` best of a row; none where all of it is alike."""
    k = min(k, row.size)
    edge = np.partition(row, row.size - k)[row.size - k] if k else np.inf
    item = np.flatnonzero(row >= edge)  # NaN is the highest of a partition
    worth = row[item]
    best = worth.max(initial=-np.inf)
    if not (edge < np.inf and best < np.inf):
        raise InvalidDataError(f"score of {type(arm).__name__} must not be NaN or infinite.")
    if best == -np.inf or (edge in (best, -np.inf) and _alike(row, best)):
        return np.empty(0, dtype=np.int64), np.empty(0)
    first = np.argsort(-worth, kind="stable")[:k]
    first = first[worth[first] > -np.inf]
    return item[first], worth[first].astype(np.float64)


def _alike(row: Float32Array, best: float) -> bool:
    """Whether several items can be shown and all of them have the score `best`."""
    shown = row[row > -np.inf]
    return shown.size > 1 and bool((shown == best).all())


def _masked(
    arm: Scores, histories: Histories, allowed: BoolArray, *, exclude_seen: bool
) -> tuple[Float32Array, CodeArray | None]:
    """Return scores of what can be shown, else minus infinity, and where they come from."""
    table, origin = arm.traced(histories)
    table = _own(arm, table, len(histories))
    if not allowed.all():
        np.copyto(table, -np.inf, where=~allowed)
    if exclude_seen:
        seen = histories.value
        table[np.repeat(np.arange(len(histories)), np.diff(seen.indptr)), seen.indices] = -np.inf
    return table, origin


def _own(arm: Scores, scores: object, n: int) -> Float32Array:
    """Return a copy of scores, which may be what the arm keeps; other shapes are refused."""
    return np.array(_sized(arm, scores, n))


def _sized(arm: Scores, scores: object, n: int) -> Float32Array:
    """Return scores as an array of floats; other shapes and types are refused."""
    shape = (n, len(arm.items))
    try:
        table = np.asarray(scores)
    except ValueError:  # rows of different length
        table = np.empty(0)
    if table.shape != shape or table.dtype.kind not in "fiu":
        raise InvalidDataError(
            f"score of {type(arm).__name__} must be numbers of the shape {shape} (histories, "
            f"items), got {type(scores).__name__} of shape {table.shape}."
        )
    return table if table.dtype.kind == "f" else table.astype(np.float32)


def _silent(table: Float32Array) -> IntArray:
    """Return the rows in which several items can be shown and all of them score alike."""
    best = table.max(axis=1, keepdims=True, initial=-np.inf)
    alike = np.flatnonzero(((table == best) | (table == -np.inf)).all(axis=1))
    rows: IntArray = alike[(table[alike] > -np.inf).sum(axis=1) > 1]
    return rows


def _flagged(arm: Scores, lists: Rankings, fallen: IntArray) -> Rankings:
    """Mark the lists of people about whom the arm has nothing to say."""
    arms = arm.members or (type(arm).__name__.removeprefix("Fitted"),)
    whole = np.full(lists.item.size, -1 if arm.members else 0, np.int32)
    own = whole if lists.source is None else lists.source
    source = np.where(np.isin(lists.owner, fallen), len(arms), own).astype(np.int32)
    return replace(lists, source=source, arms=(*arms, "popularity"))


@final
@dataclass(frozen=True, slots=True)
class Lists:
    """Items and scores of each person's list, one after the other.

    Attributes:
        length: Length of each list, -1 where it is not made yet, shape `(n_people,)`.
        item: Items of the lists that are made.
        score: Their scores.
    """

    length: IntArray
    item: CodeArray
    score: FloatArray

    @classmethod
    def none(cls, n: int) -> Lists:
        """Return lists of `n` people, none of them made."""
        return cls(np.full(n, -1), np.empty(0, np.int32), np.empty(0))

    @classmethod
    def few(
        cls, scores: sparse.csr_array, seen: sparse.csr_array | None, allowed: BoolArray, k: int
    ) -> Lists:
        """Return the lists of those who have more than enough items above 0, and some at 0.

        Args:
            scores: Scores, 0 where nothing is stored, shape `(n_people, n_items)`.
            seen: Items not to show; None for none.
            allowed: Items that may be shown, shape `(n_items,)`.
            k: Length of the lists.
        """
        n, n_items = scores.shape
        owner = np.repeat(np.arange(n), np.diff(scores.indptr))
        above = scores.data > 0
        if not allowed.all():
            above &= allowed[scores.indices]
        owner, item, score = owner[above], scores.indices[above], scores.data[above]
        count, left = np.bincount(owner, minlength=n), np.full(n, int(allowed.sum()))
        met = (
            np.empty(0, np.int64)
            if seen is None
            else np.repeat(np.arange(n), np.diff(seen.indptr))
        )
        n_seen = np.bincount(met, minlength=n)
        made = np.flatnonzero((count - n_seen >= k) & (count + n_seen < left))
        if not made.size:
            return cls.none(n)
        start = np.cumsum(count) - count
        rank = np.arange(int(count[made].max()))
        place = np.minimum(start[made][:, None] + rank, item.size - 1)
        table = np.where(rank < count[made][:, None], score[place], np.float32(-np.inf))
        # as many of the best as there could be seen ones among them, and all equal to the last
        enough = min(k + int(n_seen[made].max()), rank.size)
        edge = -np.partition(-table, enough - 1, axis=1)[:, [enough - 1]]
        row, column = np.nonzero((table >= edge) & (table > -np.inf))
        own, best, worth = made[row], item[place[row, column]], table[row, column]
        if seen is not None:
            new = ~_among(own, best, np.repeat(np.arange(n), n_seen), seen.indices, n_items)
            own, best, worth = own[new], best[new], worth[new]
        order = np.lexsort((best, -worth, own))
        own, best, worth = own[order], best[order], worth[order]
        size = np.bincount(own, minlength=n)
        first = np.arange(own.size) - (np.cumsum(size) - size)[own] < k
        length = np.full(n, -1)
        length[made] = k
        return cls(length, best[first].astype(np.int32), worth[first].astype(np.float64))

    def with_rows(self, rows: IntArray, made: Rankings) -> Lists:
        """Return these lists with those of the rows that were not made yet."""
        assert made.score is not None
        if rows.size == self.length.size:
            return Lists(made.length, made.item, made.score)
        length = self.length.copy()
        length[rows] = made.length
        late = np.repeat(self.length < 0, length)
        item, score = np.empty(late.size, np.int32), np.empty(late.size)
        item[late], item[~late] = made.item, self.item
        score[late], score[~late] = made.score, self.score
        return Lists(length, item, score)


def _among(
    row: IntArray, column: CodeArray, rows: IntArray, columns: CodeArray, n_columns: int
) -> BoolArray:
    """Return which pairs are among others."""
    pairs = np.sort(rows.astype(np.int64) * n_columns + columns)
    wanted = row.astype(np.int64) * n_columns + column
    if not pairs.size:
        return np.zeros(wanted.size, dtype=bool)
    place = np.minimum(np.searchsorted(pairs, wanted), pairs.size - 1)
    among: BoolArray = pairs[place] == wanted
    return among
