"""Whether a list serves the different topics that a user or a query has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.base import POSITIVE, UNIT, Metric
from siamrec.metrics.families.accuracy import divided

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import BoolArray, FloatArray

_CATEGORIES = frozenset({"categories"})
_TOPICAL = frozenset({"categories", "truth"})


def _topics_by_user(view: EvaluationView, rel: float | None) -> BoolArray:
    """Return which topics each user's relevant items have, shape `(n_users, n_topics)`."""
    rows = view.relevant(rel)
    topics: BoolArray = view.sum_rows(rows, view.of_item.categories[1]) > 0
    return topics


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SubtopicRecall(Metric):
    """Share of the categories of a user's relevant items that relevant items in the list cover.

    Args:
        k: Cut-off; without it, whole lists.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Zhai, Cohen, Lafferty (2003), "Beyond independent relevance", SIGIR.
    """

    stem: ClassVar[str] = "subtopic_recall"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _TOPICAL

    k: int | None = None
    rel: float | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        wanted = _topics_by_user(view, self.rel)
        member = view.of_item.categories[1] > 0
        covered = np.zeros(wanted.shape, dtype=np.bool_)
        found = view.found(self.k, self.rel)
        item = view.table[found.user, found.rank]
        np.logical_or.at(covered, found.user, member[item])
        return divided((covered & wanted).sum(axis=1), wanted.sum(axis=1))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AlphaNDCG(Metric):
    """NDCG in which a category that was served before counts `1 - alpha` as much each time.

    A relevant item gains `sum over its categories of (1 - alpha)^(times served above)`. The ideal
    list is built greedily, as is usual; the best list is hard to find exactly.

    Args:
        k: Cut-off; without it, whole lists.
        alpha: Chance that one item satisfies the need for a category, in (0, 1).
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Clarke et al. (2008), "Novelty and diversity in information retrieval evaluation", SIGIR.
    """

    stem: ClassVar[str] = "alpha_ndcg"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _TOPICAL

    k: int | None = None
    alpha: float = 0.5
    rel: float | None = None

    @override
    def _check(self) -> None:
        check.share("alpha", self.alpha, open_ends=True)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        member = (view.of_item.categories[1] > 0).astype(np.float64)
        found = view.found(self.k, self.rel)
        item = view.table[found.user, found.rank]
        gain = np.zeros(view.n_users)
        served = np.zeros((view.n_users, member.shape[1]))
        for order in range(int(found.order.max(initial=-1)) + 1):  # the n-th hit of every user
            now = np.flatnonzero(found.order == order)
            user, topics = found.user[now], member[item[now]]
            worth = (topics * (1.0 - self.alpha) ** served[user]).sum(axis=1)
            gain[user] += worth * view.discount[found.rank[now]]
            served[user] += topics
        return divided(gain, self._ideal(view, member))

    def _ideal(self, view: EvaluationView, member: FloatArray) -> FloatArray:
        rows = view.relevant(self.rel)
        ideal = np.zeros(view.n_users)
        for user in range(view.n_users):  # greedy, so each user's next item needs the last
            items = rows.item[rows.start[user] : rows.start[user + 1]]
            left = member[items]
            served = np.zeros(member.shape[1])
            size = len(items) if self.k is None else min(self.k, len(items))
            for rank in range(size):
                worth = left @ (1.0 - self.alpha) ** served
                best = int(np.argmax(worth))
                ideal[user] += worth[best] * view.discount[rank]
                served += left[best]
                left = np.delete(left, best, axis=0)
        return ideal


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryEntropy(Metric):
    """Shannon entropy, in bits, of the categories of a list; NaN for an empty list.

    An item of several categories counts in equal parts.

    Args:
        k: Cut-off; without it, whole lists.

    References:
        Shannon (1948), Bell System Technical Journal 27.
    """

    stem: ClassVar[str] = "category_entropy"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _CATEGORIES

    k: int | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        part = distribution(view.sum_rows(view.listed(self.k), view.of_item.categories[1]))
        with np.errstate(divide="ignore", invalid="ignore"):
            bits = np.where(part > 0, -part * np.log2(part), 0.0).sum(axis=1)
        return np.where(np.isnan(part).all(axis=1), np.nan, bits)


def distribution(sums: FloatArray) -> FloatArray:
    """Return rows that sum to 1; NaN for rows of zeros."""
    return divided(sums, np.broadcast_to(sums.sum(axis=1, keepdims=True), sums.shape))
