"""Lists beside truth, with every shared table made once, on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec.data.rankings import Rankings
from siamrec.errors import InvalidParameterError
from siamrec.metrics import _inputs
from siamrec.metrics._align import (
    Rows,
    as_truth,
    bounds,
    falling_within,
    joint_items,
    joint_users,
    lists_as_rows,
    rows_of,
)
from siamrec.metrics._found import Found, Places
from siamrec.metrics._hits import find_hits
from siamrec.metrics._inputs import Inputs
from siamrec.metrics._prepare import judged_places, tie_blocks
from siamrec.metrics.items import ItemTables
from siamrec.metrics.policies import Policies

if TYPE_CHECKING:
    from siamrec.data.truth import Truth
    from siamrec.typing import BoolArray, CodeArray, FloatArray, IntArray


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
        depth: Greatest cut-off that is foreseen, to save work; without it, whole lists.
        as_given: The lists before any policy changed them; without them, `rankings`.

    Attributes:
        users: Ids of the users.
        items: Ids of the items: those of the rankings, then judged items no list knows.
        of_item: Optional inputs as columns in the order of `items`.
    """

    def __init__(
        self,
        rankings: Rankings,
        truth: Truth | None = None,
        *,
        inputs: Inputs | None = None,
        policies: Policies | None = None,
        depth: int | None = None,
        as_given: Rankings | None = None,
    ) -> None:
        self.rankings = rankings
        self.as_given = rankings if as_given is None else as_given
        self.truth = truth
        self.inputs = Inputs() if inputs is None else inputs
        self.policies = Policies() if policies is None else policies
        self.users = joint_users(rankings, truth)
        self.items = joint_items(rankings, truth, self.inputs.item_ids())
        self.n_users = len(self.users)
        self.n_items = len(self.items)
        self.start = lists_as_rows(rankings, self.users)
        self._depth = rankings.depth if depth is None else min(depth, rankings.depth)
        self.of_item = ItemTables(self.inputs, self.items, rankings)
        self._found: dict[tuple[int | None, float | None], Found] = {}
        self._counted: dict[tuple[int | None, float | None], IntArray] = {}
        self._places: dict[int | None, Places] = {}

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
        if self.judged.grade.min(initial=1.0) > 0:
            return self.judged
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
        return (
            self.positive if limit is None else self.positive.where(self.positive.grade >= limit)
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
        self._reach(k)
        cut = None if k is not None and k >= self._depth else k
        key = (cut, self._limit(rel))
        if key not in self._found:
            found = self._all_found if key[1] is None else self._graded(key[1])
            if cut is not None:
                found = found.at(np.flatnonzero(found.rank < cut))
            self._found[key] = found
        return self._found[key]

    def n_found(self, k: int | None = None, rel: float | None = None) -> IntArray:
        """Return the number of relevant items among the first `k` places, shape `(n_users,)`."""
        self._reach(k)
        cut = None if k is not None and k >= self._depth else k
        key = (cut, self._limit(rel))
        if key not in self._counted:
            self._counted[key] = np.bincount(self.found(k, rel).user, minlength=self.n_users)
        return self._counted[key]

    def expected_found(self, k: int | None, rel: float | None = None) -> FloatArray:
        """Return `n_found`, or its mean over all orders of equal scores if that is the policy."""
        if self.policies.ties != "expected":
            return self.n_found(k, rel).astype(np.float64)
        found = self.found(None, rel)
        return self.expected_sum(found, np.ones(found.user.size), None, k)

    def expected_sum(
        self, found: Found, gain: FloatArray, weight: FloatArray | None, k: int | None
    ) -> FloatArray:
        """Return the gain of each user in the first `k` places, mean over orders of equal scores.

        Args:
            found: Items that gain, in whole lists.
            gain: What each of them gains.
            weight: Weight of each rank; without it, 1.
            k: Cut-off; without it, whole lists.
        """
        of_place = np.zeros(self.rankings.item.size)
        of_place[self.start[found.user] + found.rank] = gain
        mean, places = self.mean_over_ties(of_place), self.places()
        inside = np.ones(mean.size, dtype=np.bool_) if k is None else places.rank < k
        value = mean if weight is None else mean * weight[places.rank]
        return self.sum_by_user(places.user[inside], value[inside])

    def sum_by_user(self, user: IntArray, weights: FloatArray) -> FloatArray:
        """Return the sum of `weights` of each user, added in the given order."""
        total = np.bincount(user, weights, minlength=self.n_users)
        return total.astype(np.float64, copy=False)

    @cached_property
    def ideal_grade(self) -> FloatArray:
        """Grades of the positive items, falling within each user; rows as in `positive`."""
        if self.one_grade is not None:
            return self.positive.grade
        return falling_within(self.positive.grade, self.positive.start)

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
            grade: FloatArray = np.broadcast_to(self.one_grade or 1.0, hits.user.shape)
        else:
            grade = rows.grade[rows.start[hits.user] + hits.entry]
        return Found(hits.user, hits.rank, order, grade)

    def _reach(self, k: int | None) -> None:
        """Look at whole lists from now on if a metric asks for more than was foreseen."""
        depth = self.rankings.depth
        if self._depth < depth and (k is None or k > self._depth):
            self._depth = depth
            self._found, self._counted = {}, {}
            for name in ("table", "_all_found"):
                self.__dict__.pop(name, None)

    def _graded(self, limit: float) -> Found:
        every = self._all_found
        kept = every.at(np.flatnonzero(every.grade >= limit))
        counts = np.bincount(kept.user, minlength=self.n_users)
        order = np.arange(kept.user.size) - (counts.cumsum() - counts)[kept.user]
        return kept._replace(order=order)

    def _limit(self, rel: float | None) -> float | None:
        """Return the smallest relevant grade, or None where every positive grade counts."""
        limit = self.policies.relevance if rel is None else rel
        if not limit:
            return None
        grade = self.positive.grade
        return None if not grade.size or limit <= float(grade.min()) else limit

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
    def is_expected(self) -> BoolArray:
        """Whether an obvious model would show the item of each place, shape `(n_places,)`.

        Raises:
            siamrec.errors.MissingInputError: If `expected` was not given.
        """
        given = self.inputs.expected
        _inputs.require("expected", given, "a metric of surprise")
        assert given is not None
        if not isinstance(given, Rankings):
            obvious = np.zeros(self.n_items, dtype=np.bool_)
            known = self.items.encode(list(given), unknown="code")
            obvious[known[known >= 0]] = True
            return obvious[self.rankings.item]
        marked = np.zeros(self.rankings.item.size, dtype=np.bool_)
        marked[judged_places(self.rankings, as_truth(given))[0]] = True
        return marked

    @cached_property
    def previous(self) -> CodeArray:
        """Lists of an earlier version in the same codes, `(n_users, depth)`, -1 for no item.

        An item that this version's lists do not know has a code below -1.

        Raises:
            siamrec.errors.MissingInputError: If they were not given.
        """
        given = self.inputs.previous
        _inputs.require("previous", given, "a metric of stability")
        assert given is not None
        code = given.items.translate(self.items)
        code[code < 0] = -2
        table = np.where(given.padded() < 0, -1, code[given.padded()]) if given.depth else None
        row = self.users.translate(given.users)
        if table is None:
            return np.empty((self.n_users, 0), dtype=np.int32)
        return np.where(row[:, None] < 0, -1, table[row]).astype(np.int32)

    @cached_property
    def rated(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """User, grade and score of every place that holds a judged item, also of grade 0.

        Raises:
            siamrec.errors.MissingInputError: If the rankings have no scores.
        """
        if self.truth is None:
            _inputs.require("truth", None, "a metric of ratings")
        assert self.truth is not None
        places, grade = judged_places(self.rankings, self.truth)
        return self.rankings.owner[places], grade, self.score[places]

    def sum_rows(self, rows: Rows, of_item: FloatArray) -> FloatArray:
        """Return the sum over each user's entries of grade times a row of `of_item`.

        Args:
            rows: Entries of each user.
            of_item: One row for each item, shape `(n_items, size)`.

        Returns:
            Sums in the order of the entries, shape `(n_users, size)`.
        """
        return rows.sum_of(of_item)

    def listed(self, k: int | None, weight: FloatArray | None = None) -> Rows:
        """Return the first `k` places of the lists as rows.

        Args:
            k: Cut-off; without it, whole lists.
            weight: Weight of each rank, at least `k` long; without it, 1.
        """
        places = self.places(k)
        grade = np.ones(places.item.size) if weight is None else weight[places.rank]
        return Rows(bounds(self.n_shown(k)), places.item.astype(np.int32), grade)

    def mean_over_ties(self, of_place: FloatArray) -> FloatArray:
        """Return, for each place, the mean of a number over the places of equal score."""
        block, _ = tie_blocks(self.rankings)
        size = np.bincount(block)
        return (np.bincount(block, of_place) / size)[block]

    @cached_property
    def has_list(self) -> BoolArray:
        """Whether each user has a list that is not empty, shape `(n_users,)`."""
        return self.length > 0

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


def _no_columns(rankings: Rankings) -> CodeArray:
    return np.empty((len(rankings), 0), dtype=np.int32)
