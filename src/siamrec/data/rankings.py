"""Ranked lists of items, one for each user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import counted
from siamrec.data import frames
from siamrec.data._top import best_first, left_out, repeated
from siamrec.data.columnar import Columnar, joined, one_or_more
from siamrec.data.truth import bounds, check_rows, chosen_rows, in_range, own_codes, places_of
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from typing import Self

    import numpy.typing as npt

    from siamrec.data.truth import Truth
    from siamrec.typing import BoolArray, CodeArray, FloatArray, IntArray


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Rankings(Columnar):
    """One ranked list for each user, best item first, never padded.

    The list of user `u` is `item[start[u]:start[u + 1]]`. The order of a list is its ranking;
    scores, where given, travel with it and need not fall (a re-ranked list's do not).

    Args:
        users: Ids of the users, in the order of the lists.
        items: Ids of the items.
        item: Item codes of all lists, one after the other, shape `(n_places,)`.
        start: Row bounds, shape `(n_users + 1,)`.
        score: Score of each place, finite, shape `(n_places,)`.
        source: Place in `arms` of the arm that brought each item, -1 where it is not known,
            shape `(n_places,)`.
        arms: Names of the arms that `source` counts in.

    Attributes:
        n_repeats: How often an item stands in one list more than once, over all lists; counted
            once when the value is made, so that who needs distinct items can refuse cheaply.
        depth: Length of the longest list.

    Raises:
        siamrec.errors.InvalidDataError: If columns differ in length, a code is out of range or a
            score is not finite.

    Examples:
        >>> rankings = Rankings.from_lists({"ann": ["a", "b", "c"], "bob": ["c"]})
        >>> len(rankings), rankings.length.tolist(), rankings.top(2).lists()
        (2, [3, 1], {'ann': ['a', 'b'], 'bob': ['c']})
    """

    users: Vocabulary
    items: Vocabulary
    item: CodeArray
    start: IntArray
    score: FloatArray | None = None
    source: CodeArray | None = None
    arms: tuple[str, ...] = ()
    n_repeats: int = field(init=False)
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        self.users.checked("a user")
        self.items.checked("an item")
        check_rows("Rankings", len(self.users), len(self.items), self.start, self.item)
        check.same_length(item=self.item, score=self.score, source=self.source)
        object.__setattr__(self, "item", check.frozen(self.item, np.int32))
        object.__setattr__(self, "start", check.frozen(self.start, np.int64))
        if self.score is not None:
            score = check.frozen(check.finite("score", self.score), np.float64)
            object.__setattr__(self, "score", score)
        if self.source is not None:
            in_range("source", self.source[self.source != UNKNOWN], len(self.arms))
            object.__setattr__(self, "source", check.frozen(self.source, np.int32))
        object.__setattr__(self, "n_repeats", repeated(self.item, self.start))
        object.__setattr__(self, "depth", int(self.length.max(initial=0)))

    @classmethod
    def from_lists(
        cls,
        lists: Mapping[Any, Iterable[Hashable]],
        *,
        scores: Mapping[Any, Iterable[float]] | None = None,
        items: Vocabulary | None = None,
    ) -> Self:
        """Return the rankings of a mapping from user id to item ids, best first.

        Args:
            lists: Item ids of each user, best first.
            scores: Scores of each user, as long as the lists.
            items: Vocabulary of the items; without it, ids in order of first appearance.

        Raises:
            siamrec.errors.InvalidDataError: If a list and its scores differ in length.
            siamrec.errors.UnknownNameError: If an item is not in `items`.
        """
        check.kind("lists", lists, Mapping)
        rows = [check.many(f"lists[{user!r}]", row) for user, row in lists.items()]
        ids = [id_ for row in rows for id_ in row]
        vocabulary = items if items is not None else Vocabulary.of(ids)
        score = None
        if scores is not None:
            values = [list(scores[user]) for user in lists]
            if [len(row) for row in values] != [len(row) for row in rows]:
                raise InvalidDataError("Each list must be as long as its scores.")
            score = np.array([value for row in values for value in row], dtype=np.float64)
        return cls(
            users=Vocabulary(tuple(lists)),
            items=vocabulary,
            item=vocabulary.encode(ids, name="item"),
            start=bounds([len(row) for row in rows]),
            score=score,
        )

    @classmethod
    def from_arrays(
        cls,
        item: npt.ArrayLike,
        *,
        users: Vocabulary | None = None,
        items: Vocabulary | None = None,
        score: npt.ArrayLike | None = None,
    ) -> Self:
        """Return the rankings of a matrix of item codes.

        Args:
            item: Item codes, best first, shape `(n_users, k)`; -1 means "no item" and is left out.
            users: Vocabulary of the users; without it, row numbers.
            items: Vocabulary of the items; without it the codes are their own ids.
            score: Scores, shape `(n_users, k)`; those of "no item" are ignored.

        Raises:
            siamrec.errors.InvalidDataError: If a shape is wrong or a code is out of range.
        """
        codes: npt.NDArray[Any] = np.asarray(item)
        if codes.ndim != 2 or (codes.size and codes.dtype.kind not in "iu"):
            raise InvalidDataError(
                "item must be a matrix of whole numbers (n_users, k), "
                f"got shape {codes.shape} of {codes.dtype}."
            )
        values = None if score is None else np.asarray(score, dtype=np.float64)
        if values is not None and values.shape != codes.shape:
            raise InvalidDataError(
                f"score must have the shape of item, {codes.shape}, got {values.shape}."
            )
        n_users, depth = codes.shape
        flat = codes.reshape(-1)
        start: IntArray = np.arange(n_users + 1, dtype=np.int64) * depth
        column = None if values is None else values.reshape(-1)
        if flat.size and int(flat.min()) == UNKNOWN:
            real = codes != UNKNOWN
            flat = codes[real]
            start = bounds(real.sum(axis=1))
            column = None if values is None else values[real]
        return cls(
            users=Vocabulary(tuple(range(n_users))) if users is None else users,
            items=own_codes(flat.astype(np.int64, copy=False)) if items is None else items,
            item=flat,
            start=start,
            score=column,
        )

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        user: str = "user",
        item: str = "item",
        rank: str | None = None,
        score: str | None = None,
    ) -> Self:
        """Return the rankings held by a data frame with one row for each place.

        Lists are ordered by rising `rank`, else by falling `score`, else by the order of rows;
        equal ranks or scores keep the order of rows.

        Args:
            frame: Anything with `__arrow_c_stream__`, or a mapping of columns.
            user: Column of user ids.
            item: Column of item ids.
            rank: Column of ranks.
            score: Column of scores; kept beside the items.

        Raises:
            siamrec.errors.UnknownNameError: If a column is missing.
            siamrec.errors.InvalidDataError: If an id is null or a rank or score is not finite.
        """
        table = frames.table_of(frame)
        users, owner = frames.codes_of(frames.pick(table, user, "the user"), user)
        items, codes = frames.codes_of(frames.pick(table, item, "the item"), item)
        scores = _column(table, score, "the score")
        ranks = _column(table, rank, "the rank")
        if ranks is None:
            ranks = np.zeros(owner.size) if scores is None else -scores
        order = np.lexsort((ranks, owner))
        return cls(
            users=users,
            items=items,
            item=codes[order],
            start=bounds(np.bincount(owner, minlength=len(users))),
            score=None if scores is None else scores[order],
        )

    @classmethod
    def from_scores(
        cls,
        scores: npt.ArrayLike,
        *,
        k: int,
        exclude: Truth | BoolArray | None = None,
        users: Vocabulary | None = None,
        items: Vocabulary | None = None,
    ) -> Self:
        """Return the `k` best items of each row of a score matrix.

        Equal scores stand in order of item code, so the result does not depend on the machine.

        Args:
            scores: Scores, shape `(n_users, n_items)`; minus infinity leaves an item out.
            k: Length of the lists, above 0; shorter where fewer items are left.
            exclude: Items to leave out: the truth of an earlier time (users and items are
                matched by id), or a mask of shape `(n_users, n_items)`.
            users: Vocabulary of the rows; without it, row numbers.
            items: Vocabulary of the columns; without it, column numbers.

        Raises:
            siamrec.errors.InvalidDataError: If the shape is wrong or a score is NaN or infinite.
            siamrec.errors.InvalidParameterError: If `k` is not a whole number above 0.

        Examples:
            >>> Rankings.from_scores([[0.1, 0.9, 0.9]], k=2).lists()
            {0: [1, 2]}
        """
        check.count("k", k)
        matrix: npt.NDArray[Any] = np.asarray(scores)
        if matrix.ndim != 2:
            raise InvalidDataError(f"scores must be (n_users, n_items), got {matrix.shape}.")
        n_users, n_items = matrix.shape
        users = Vocabulary(tuple(range(n_users))) if users is None else users
        items = Vocabulary(tuple(range(n_items))) if items is None else items
        if (len(users), len(items)) != matrix.shape:
            raise InvalidDataError(
                f"scores must be {len(users)} users by {len(items)} items, got {matrix.shape}."
            )
        item, score, counts = best_first(matrix, k, left_out(exclude, users, items))
        return cls(users=users, items=items, item=item, start=bounds(counts), score=score)

    @override
    def __len__(self) -> int:
        return len(self.users)

    @override
    def row(self, place: int) -> dict[str, Any]:
        part = slice(int(self.start[place]), int(self.start[place + 1]))
        row: dict[str, Any] = {
            "user": self.users[place],
            "items": self.items.decode(self.item[part]),
        }
        if self.score is not None:
            row["scores"] = self.score[part].tolist()
        if self.source is not None:
            names = (*self.arms, None)
            row["sources"] = [names[code] for code in self.source[part].tolist()]
        return row

    @override
    def title(self) -> str:
        n_used = np.unique(self.item).size
        return (
            f"Rankings: lists of {counted(len(self), 'user')}, up to {self.depth} long, with "
            f"{n_used:,} of {counted(len(self.items), 'item')}"
        )

    @override
    def where(self, rows: BoolArray | IntArray) -> Self:
        """Return the lists of the users of a mask, or of users by number in the order given.

        The vocabulary of items stays; that of users holds the chosen ones.

        Raises:
            siamrec.errors.InvalidDataError: If it is neither, or a user is chosen twice.
        """
        chosen = chosen_rows(rows, len(self))
        places = places_of(self.start, chosen)
        return type(self)(
            users=Vocabulary(tuple(self.users.decode(chosen))),
            items=self.items,
            item=self.item[places],
            start=bounds(self.length[chosen]),
            score=None if self.score is None else self.score[places],
            source=None if self.source is None else self.source[places],
            arms=self.arms,
        )

    @classmethod
    @override
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Return the lists of all parts, over the items and arms of all of them.

        Raises:
            siamrec.errors.InvalidDataError: If there is no part, a user is in two of them, or
                some have scores or sources and some have not.
        """
        listed = one_or_more(parts, cls, "rankings")
        items = listed[0].items
        for part in listed[1:]:
            items = items.extend(part.items)
        arms = tuple(dict.fromkeys(name for part in listed for name in part.arms))
        return cls(
            users=Vocabulary(tuple(id_ for part in listed for id_ in part.users)),
            items=items,
            item=np.concatenate([part.items.translate(items)[part.item] for part in listed]),
            start=bounds(np.concatenate([part.length for part in listed])),
            score=joined("score", [part.score for part in listed]),
            source=joined("source", [_renumbered(part, arms) for part in listed]),
            arms=arms,
        )

    @property
    def length(self) -> IntArray:
        """Length of each list, shape `(n_users,)`."""
        return np.diff(self.start)

    @property
    def owner(self) -> IntArray:
        """User code of each place, shape `(n_places,)`."""
        return np.repeat(np.arange(len(self)), self.length)

    @property
    def rank(self) -> IntArray:
        """Rank of each place within its list, from 0, shape `(n_places,)`."""
        return np.arange(self.item.size) - np.repeat(self.start[:-1], self.length)

    def lists(self) -> dict[Any, list[Any]]:
        """Return the lists as a mapping from user id to item ids."""
        ids = self.items.decode(self.item)
        bounds = self.start.tolist()
        return {
            user: ids[low:high]
            for user, low, high in zip(self.users, bounds, bounds[1:], strict=False)
        }

    def top(self, k: int) -> Self:
        """Return the first `k` places of each list.

        Raises:
            siamrec.errors.InvalidParameterError: If `k` is not a whole number above 0.
        """
        check.count("k", k)
        if self.depth <= k:
            return self
        return self.places(np.flatnonzero(self.rank < k))

    def places(self, chosen: IntArray) -> Self:
        """Return the rankings that hold only the places `chosen`, grouped by user.

        Args:
            chosen: Places (rows of `item`), of rising user but in any order within a user.

        Raises:
            siamrec.errors.InvalidDataError: If the users of the places do not rise.
        """
        owner = self.owner[chosen]
        if (owner[1:] < owner[:-1]).any():
            raise InvalidDataError("chosen must hold places of rising users.")
        return type(self)(
            users=self.users,
            items=self.items,
            item=self.item[chosen],
            start=bounds(np.bincount(owner, minlength=len(self))),
            score=None if self.score is None else self.score[chosen],
            source=None if self.source is None else self.source[chosen],
            arms=self.arms,
        )

    def padded(self, k: int | None = None) -> CodeArray:
        """Return the first `k` items of each list as a matrix; -1 where there is no item.

        Args:
            k: Number of columns; without it, the length of the longest list.

        Returns:
            Item codes, shape `(n_users, k)`; a read-only view when all lists have one length of
            at least `k`.

        Raises:
            siamrec.errors.InvalidParameterError: If `k` is not a whole number above 0.
        """
        n_users, depth = len(self), self.depth
        width = depth if k is None else check.count("k", k)
        if n_users * depth == self.item.size and width <= depth:
            return self.item.reshape(n_users, depth)[:, :width]
        table = np.full((n_users, width), UNKNOWN, dtype=np.int32)
        length = self.length.clip(max=width)
        inside = np.arange(width) < length[:, None]
        table[inside] = self.item if width >= depth else self.item[self.rank < width]
        table.flags.writeable = False
        return table

    def to_arrow(self) -> Any:
        """Return a pyarrow table: user, item, rank from 1, and score and source where known."""
        columns: dict[str, Any] = {
            "user": self.users.decode(self.owner),
            "item": self.items.decode(self.item),
            "rank": self.rank + 1,
        }
        if self.score is not None:
            columns["score"] = self.score
        if self.source is not None:
            columns["source"] = [self.arms[code] if code >= 0 else None for code in self.source]
        return frames.arrow_table(columns)


def _renumbered(part: Rankings, arms: tuple[str, ...]) -> CodeArray | None:
    if part.source is None:
        return None
    moved: CodeArray = np.array([*map(arms.index, part.arms), UNKNOWN], dtype=np.int32)
    return moved[part.source]


def _column(table: Any, name: str | None, purpose: str) -> FloatArray | None:
    if name is None:
        return None
    return check.finite(name, frames.floats_of(frames.pick(table, name, purpose), name))
