"""Lists beside truth, with every shared table made once, on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.metrics import _inputs
from siamrec.metrics._align import Rows, joint_items, joint_users, lists_as_rows, rows_of
from siamrec.metrics._hits import find_hits
from siamrec.metrics._inputs import Inputs
from siamrec.metrics.policies import Policies

if TYPE_CHECKING:
    from typing import Any

    from siamrec.data.rankings import Rankings
    from siamrec.data.truth import Truth
    from siamrec.typing import BoolArray, CodeArray, FloatArray, IntArray


class Found(NamedTuple):
    """Relevant items within the first `k` places, in order of user and rank.

    Attributes:
        user: Row of the user, shape `(n_found,)`.
        rank: Rank from 0, shape `(n_found,)`.
        order: How many relevant items stand above in the same list, shape `(n_found,)`.
        grade: Grade of the item, shape `(n_found,)`.
    """

    user: IntArray
    rank: IntArray
    order: IntArray
    grade: FloatArray


class Places(NamedTuple):
    """The first `k` places of every list, in order of user and rank.

    Attributes:
        user: Row of the user, shape `(n_places,)`.
        rank: Rank from 0, shape `(n_places,)`.
        item: Code of the item, shape `(n_places,)`.
    """

    user: IntArray
    rank: IntArray
    item: IntArray


@final
class EvaluationView:
    """What metrics read: lists, truth and inputs in one order of users and items.

    The users are those of the rankings, followed by users who have a truth but no list. Every
    array is read-only by agreement; tables are made on first use and shared by all metrics.

    Args:
        rankings: The lists; no list may repeat an item.
        truth: Judged items; without it, metrics that need a truth are refused.
        inputs: Optional inputs.
        policies: Choices of the suite.
        depth: Greatest cut-off that will be asked for; without it, whole lists.

    Attributes:
        users: Ids of the users.
        items: Ids of the items: those of the rankings, then judged items no list knows.
    """

    def __init__(
        self,
        rankings: Rankings,
        truth: Truth | None = None,
        *,
        inputs: Inputs | None = None,
        policies: Policies | None = None,
        depth: int | None = None,
    ) -> None:
        self.rankings = rankings
        self.truth = truth
        self.inputs = Inputs() if inputs is None else inputs
        self.policies = Policies() if policies is None else policies
        self.users = joint_users(rankings, truth)
        self.items = joint_items(rankings, truth)
        self.n_users = len(self.users)
        self.n_items = len(self.items)
        self.start = lists_as_rows(rankings, self.users)
        self._depth = rankings.depth if depth is None else min(depth, rankings.depth)
        self._found: dict[tuple[int | None, float | None], Found] = {}
        self._counted: dict[tuple[int | None, float | None], IntArray] = {}
        self._places: dict[int | None, Places] = {}

    # --- lists -------------------------------------------------------------------------------

    @cached_property
    def length(self) -> IntArray:
        """Length of each list, shape `(n_users,)`."""
        return np.diff(self.start)

    def n_shown(self, k: int | None) -> IntArray:
        """Return how many of the first `k` places of each list are filled, shape `(n_users,)`."""
        return self.length if k is None else np.minimum(self.length, k)

    def n_places(self, k: int | None) -> FloatArray:
        """Return the divisor of each user at cut-off `k`, by the policy for short lists."""
        if k is None or self.policies.short_list == "actual":
            return self.n_shown(k).astype(np.float64)
        return np.full(self.n_users, float(k))

    @cached_property
    def table(self) -> CodeArray:
        """Item codes of the lists, shape `(n_users, depth)`, -1 where a list has ended."""
        table = self.rankings.padded(self._depth) if self._depth else _no_columns(self.rankings)
        extra = self.n_users - table.shape[0]
        if not extra:
            return table
        return np.concatenate((table, np.full((extra, table.shape[1]), -1, dtype=np.int32)))

    def places(self, k: int | None = None) -> Places:
        """Return the first `k` places of all lists, one after the other."""
        if k is not None and k >= self.rankings.depth:
            k = None
        if k not in self._places:
            lists = self.rankings if k is None else self.rankings.top(k)
            self._places[k] = Places(lists.owner, lists.rank, lists.item.astype(np.int64))
        return self._places[k]

    @cached_property
    def discount(self) -> FloatArray:
        """Logarithmic discount of each rank, `1 / log2(rank + 2)`, as far as any list or truth."""
        depth = max(self._depth, self.rankings.depth, int(self.n_relevant().max(initial=0)), 1)
        return 1.0 / np.log2(np.arange(2, depth + 2))

    @property
    def score(self) -> FloatArray:
        """Score of each place of all lists.

        Raises:
            siamrec.errors.MissingInputError: If the rankings have none.
        """
        _inputs.require("scores", self.rankings.score, "a metric of scores")
        score: FloatArray = self.rankings.score  # type: ignore[assignment]  # required above
        return score

    # --- truth -------------------------------------------------------------------------------

    @cached_property
    def judged(self) -> Rows:
        """All judged items of each user, also those of grade 0."""
        if self.truth is None:
            _inputs.require("truth", None, "a metric of relevance")
        assert self.truth is not None
        return rows_of(self.truth, self.users, self.items)

    @cached_property
    def positive(self) -> Rows:
        """Judged items of a grade above 0."""
        return self.judged.where(self.judged.grade > 0)

    @cached_property
    def one_grade(self) -> float | None:
        """The grade of all positive items if they share one, else None."""
        grade = self.positive.grade
        if not grade.size:
            return 1.0
        return float(grade[0]) if grade.min() == grade.max() else None

    def relevant(self, rel: float | None = None) -> Rows:
        """Return the relevant items of each user.

        Args:
            rel: Smallest relevant grade; without it, the suite's.
        """
        limit = self._limit(rel)
        return self.positive if limit is None else self.positive.where(
            self.positive.grade >= limit
        )

    def n_relevant(self, rel: float | None = None) -> IntArray:
        """Return the number of relevant items of each user, shape `(n_users,)`."""
        if self.truth is None:
            return np.zeros(self.n_users, dtype=np.int64)
        return np.diff(self.relevant(rel).start)

    def found(self, k: int | None = None, rel: float | None = None) -> Found:
        """Return the relevant items among the first `k` places.

        Args:
            k: Cut-off; without it, whole lists.
            rel: Smallest relevant grade; without it, the suite's.
        """
        cut = None if k is not None and k >= self._depth else k
        key = (cut, self._limit(rel))
        if key not in self._found:
            found = self._all_found if key[1] is None else self._graded(key[1])
            if cut is not None:
                keep = found.rank < cut
                found = Found(*(column[keep] for column in found))
            self._found[key] = found
        return self._found[key]

    def n_found(self, k: int | None = None, rel: float | None = None) -> IntArray:
        """Return the number of relevant items among the first `k` places, shape `(n_users,)`."""
        cut = None if k is not None and k >= self._depth else k
        key = (cut, self._limit(rel))
        if key not in self._counted:
            self._counted[key] = np.bincount(self.found(k, rel).user, minlength=self.n_users)
        return self._counted[key]

    def sum_by_user(self, user: IntArray, weights: FloatArray) -> FloatArray:
        """Return the sum of `weights` of each user, added in the given order."""
        total: FloatArray = np.bincount(user, weights, minlength=self.n_users)
        return total

    @cached_property
    def ideal_grade(self) -> FloatArray:
        """Grades of the positive items, falling within each user; rows as in `positive`."""
        if self.one_grade is not None:
            return self.positive.grade
        owner = self.positive.owner
        order = np.lexsort((-self.positive.grade, owner))
        return self.positive.grade[order]

    @cached_property
    def _all_found(self) -> Found:
        rows = self.positive
        known = rows.item  # codes beyond the lists' own items never match
        hits = find_hits(
            self.table, rows.start, known, self.n_items, entries=self.one_grade is None
        )
        counts = np.bincount(hits.user, minlength=self.n_users)
        order = np.arange(hits.user.size) - (counts.cumsum() - counts)[hits.user]
        if hits.entry is None:
            grade = np.broadcast_to(np.float64(self.one_grade or 1.0), hits.user.shape)
        else:
            grade = rows.grade[rows.start[hits.user] + hits.entry]
        return Found(hits.user, hits.rank, order, grade)

    def _graded(self, limit: float) -> Found:
        every = self._all_found
        keep = every.grade >= limit
        user = every.user[keep]
        counts = np.bincount(user, minlength=self.n_users)
        order = np.arange(user.size) - (counts.cumsum() - counts)[user]
        return Found(user, every.rank[keep], order, every.grade[keep])

    def _limit(self, rel: float | None) -> float | None:
        """Return the smallest relevant grade, or None where every positive grade counts."""
        limit = self.policies.relevance if rel is None else rel
        if limit is None:
            return None
        grade = self.positive.grade
        return None if not grade.size or limit <= float(grade.min()) else limit

    # --- inputs ------------------------------------------------------------------------------

    @cached_property
    def popularity(self) -> FloatArray:
        """Past interactions of each item, shape `(n_items,)`; 0 for an item that is not known.

        Raises:
            siamrec.errors.MissingInputError: If it was not given.
        """
        return self._numbers("popularity", missing=0.0)

    @cached_property
    def quality(self) -> FloatArray:
        """Mean rating of each item, shape `(n_items,)`; 0 for an item that is not known.

        Raises:
            siamrec.errors.MissingInputError: If it was not given.
        """
        return self._numbers("quality", missing=0.0)

    @cached_property
    def propensity(self) -> FloatArray:
        """Probability that each item is observed, shape `(n_items,)`; 1 where not known.

        Raises:
            siamrec.errors.MissingInputError: If it was not given.
            siamrec.errors.InvalidDataError: If one is not in (0, 1].
        """
        values = self._numbers("propensity", missing=1.0)
        if ((values <= 0) | (values > 1)).any():
            raise InvalidDataError("propensity must be in (0, 1] for every item.")
        return values

    @cached_property
    def embeddings(self) -> FloatArray:
        """Vectors of the items scaled to unit length, shape `(n_items, dim)`.

        Raises:
            siamrec.errors.MissingInputError: If they were not given.
            siamrec.errors.InvalidDataError: If an item of the lists has none, or a zero vector.
        """
        raw = self.raw_embeddings
        length = np.sqrt(np.einsum("ij,ij->i", raw, raw))
        bad = np.flatnonzero(length == 0)
        if bad.size:
            raise InvalidDataError(
                f"embeddings must not be zero, got a zero vector for {self.items[int(bad[0])]!r}."
            )
        return raw / length[:, None]

    @cached_property
    def raw_embeddings(self) -> FloatArray:
        """Vectors of the items as given, shape `(n_items, dim)`.

        Raises:
            siamrec.errors.MissingInputError: If they were not given.
            siamrec.errors.InvalidDataError: If an item of the lists has none.
        """
        given = self.inputs.embeddings
        _inputs.require("embeddings", given, "a metric of content")
        assert given is not None
        raw = _inputs.vectors(given, self.items, len(self.rankings.items))
        bare = np.isnan(raw[:, 0]) if raw.shape[1] else np.zeros(self.n_items, dtype=bool)
        shown = np.flatnonzero(bare[self.rankings.item])
        if shown.size:
            item = self.items[int(self.rankings.item[shown[0]])]
            raise InvalidDataError(f"embeddings must hold every listed item, got none for {item!r}.")
        return raw

    @cached_property
    def history(self) -> Rows:
        """What each user did before, in the order of users and the codes of items.

        Raises:
            siamrec.errors.MissingInputError: If it was not given.
        """
        given = self.inputs.history
        _inputs.require("history", given, "a metric of the user's past")
        assert given is not None
        rows = rows_of(given, self.users, self.items)
        return rows.where(rows.item >= 0)

    @cached_property
    def categories(self) -> tuple[tuple[Any, ...], FloatArray]:
        """Names of the categories and parts of each item, shape `(n_items, n_categories)`.

        Raises:
            siamrec.errors.MissingInputError: If they were not given.
            siamrec.errors.InvalidDataError: If an item of the lists has none.
        """
        given = self.inputs.categories
        _inputs.require("categories", given, "a metric of categories")
        assert given is not None
        return _inputs.memberships("categories", given, self.items, len(self.rankings.items))

    @cached_property
    def groups(self) -> tuple[tuple[Any, ...], IntArray]:
        """Names of the groups and the group of each item; -1 for items no list knows.

        Raises:
            siamrec.errors.MissingInputError: If they were not given.
            siamrec.errors.InvalidDataError: If an item of the lists has none or several.
        """
        given = self.inputs.groups
        _inputs.require("groups", given, "a metric of item groups")
        assert given is not None
        return _inputs.codes_of_groups(given, self.items, len(self.rankings.items))

    @property
    def catalog_size(self) -> int:
        """Number of items that could have been recommended.

        Raises:
            siamrec.errors.MissingInputError: If it was not given.
            siamrec.errors.InvalidParameterError: If the lists hold more items than that.
        """
        size = self.inputs.catalog_size
        _inputs.require("catalog_size", size, "a metric of the catalogue")
        assert size is not None
        if size < self.n_listed_items:
            raise InvalidParameterError(
                "catalog_size", size, f"at least the {self.n_listed_items} items in the lists"
            )
        return size

    @cached_property
    def n_listed_items(self) -> int:
        """Number of different items in the lists."""
        return int(np.count_nonzero(np.bincount(self.rankings.item, minlength=1)))

    def _numbers(self, name: str, *, missing: float) -> FloatArray:
        given = getattr(self.inputs, name)
        _inputs.require(name, given, "a metric of items")
        return _inputs.numbers(
            name, given, self.items, len(self.rankings.items), missing=missing
        )

    @cached_property
    def has_list(self) -> BoolArray:
        """Whether each user has a list that is not empty, shape `(n_users,)`."""
        return self.length > 0


def _no_columns(rankings: Rankings) -> CodeArray:
    return np.empty((len(rankings), 0), dtype=np.int32)
