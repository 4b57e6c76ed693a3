"""How far the lists go beyond what everybody knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.base import POSITIVE, UNIT, Metric, PooledMetric
from siamrec.metrics.families.accuracy import divided
from siamrec.statistics.ranks import average_ranks

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import BoolArray, FloatArray, IntArray

_POPULARITY = frozenset({"popularity"})
_LISTED = 2.0**40


def mean_of_places(view: EvaluationView, k: int | None, of_item: FloatArray) -> FloatArray:
    """Return the mean of a number of the items in the first `k` places; NaN for an empty list."""
    places = view.places(k)
    total = view.sum_by_user(places.user, of_item[places.item])
    return divided(total, view.n_shown(k))


def long_tail(popularity: FloatArray, head_share: float) -> BoolArray:
    """Return which items lie outside the shortest head that holds `head_share` of interactions.

    Items of equal popularity are on the same side: the head takes them only all together.
    """
    order = np.argsort(-popularity, kind="stable")
    falling = popularity[order]
    before = np.concatenate(([0.0], falling.cumsum()[:-1]))
    head = before < head_share * falling.sum() * (1 - 1e-12)
    limit = falling[head].min() if head.any() else np.inf
    tail: BoolArray = popularity < limit
    return tail


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SelfInformation(Metric):
    """Mean surprise of the listed items, in bits: `-log2(c_i / N)`.

    `c_i` is the number of past interactions of the item and `N` that of all items; an item that
    was never seen counts as seen once.

    Args:
        k: Cut-off; without it, whole lists.

    References:
        Zhou et al. (2010), PNAS 107(10); Vargas and Castells (2011), RecSys.
    """

    stem: ClassVar[str] = "novelty"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _POPULARITY

    k: int | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        total = max(float(view.of_item.popularity.sum()), 1.0)
        return mean_of_places(
            view, self.k, -np.log2(np.maximum(view.of_item.popularity, 1.0) / total)
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LongTailShare(Metric):
    """Share of the listed items that belong to the long tail.

    The long tail is what lies outside the shortest popularity head that holds `head` of all past
    interactions; or, with `votes`, the items with fewer past interactions than that and, with
    `rating`, a mean rating above that (`quality=`).

    Args:
        k: Cut-off; without it, whole lists.
        head: Share of interactions that the head holds, in (0, 1).
        votes: Rule instead of a head: fewer interactions than this.
        rating: With `votes`: a mean rating above this.

    References:
        Abdollahpouri, Burke, Mobasher (2019), "Managing popularity bias", FLAIRS (APLT).
    """

    stem: ClassVar[str] = "long_tail_share"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _POPULARITY

    k: int | None = None
    head: float = 0.8
    votes: float | None = None
    rating: float | None = None

    @override
    def _check(self) -> None:
        check.share("head", self.head, open_ends=True)
        check.real_or_none("votes", self.votes)
        check.real_or_none("rating", self.rating)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        tail = tail_of(view, self.head, self.votes, self.rating)
        return mean_of_places(view, self.k, tail.astype(np.float64))


def tail_of(
    view: EvaluationView, head: float, votes: float | None, rating: float | None
) -> BoolArray:
    """Return which items are in the long tail, by head share or by rule."""
    if votes is None:
        return long_tail(view.of_item.popularity, head)
    tail: BoolArray = view.of_item.popularity < votes
    return tail if rating is None else tail & (view.of_item.quality > rating)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class InverseUserFrequency(Metric):
    """Mean inverse user frequency of the listed items, in bits: `-log2(users_i / users)` (MIUF).

    `popularity=` must hold the number of users of each item and `n_users=` the number of users;
    an item without users counts as having one.

    Args:
        k: Cut-off; without it, whole lists.

    References:
        Castells, Hurley, Vargas (2015), Recommender Systems Handbook, chapter 26.
    """

    stem: ClassVar[str] = "miuf"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = frozenset({"n_users", "popularity"})

    k: int | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        users = np.maximum(view.of_item.popularity, 1.0)
        return mean_of_places(view, self.k, np.log2(float(view.inputs.n_users or 1) / users))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PopularityRank(Metric):
    """Mean popularity rank of the listed items: 1 is the most popular item, higher is newer.

    Items of equal popularity share the mean of their ranks. With `percentile=True` the rank is
    scaled so that 0 is the most and 1 the least popular item.

    Args:
        k: Cut-off; without it, whole lists.
        percentile: Whether to scale ranks to [0, 1].

    References:
        Celma and Herrera (2008), "A new approach to evaluating novel recommendations", RecSys.
    """

    stem: ClassVar[str] = "popularity_rank"
    needs: ClassVar[frozenset[str]] = _POPULARITY

    k: int | None = None
    percentile: bool = False

    @override
    def _check(self) -> None:
        check.flag("percentile", self.percentile)

    @property
    @override
    def range(self) -> Range:
        return UNIT if self.percentile else (1.0, np.inf)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        rank = average_ranks(-view.of_item.popularity)
        if self.percentile:
            rank = (rank - 1.0) / max(rank.size - 1, 1)
        return mean_of_places(view, self.k, rank)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PopularityComplement(Metric):
    """Discounted mean of 1 less the popularity of the listed items, over the best seller (EPC).

    `sum w_r rel_r (1 - c_r / max c) / sum w_r`, `w_r = 1 / log2(r + 1)`; with `relevant=True`
    only relevant items gain.

    Args:
        k: Cut-off; without it, whole lists.
        relevant: Whether only relevant items gain; needs the truth.

    References:
        Vargas and Castells (2011), "Rank and relevance in novelty and diversity metrics", RecSys.
    """

    stem: ClassVar[str] = "epc"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _POPULARITY

    k: int | None = None
    relevant: bool = False

    @override
    def _check(self) -> None:
        check.flag("relevant", self.relevant)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        rare = 1.0 - view.of_item.popularity / max(float(view.of_item.popularity.max()), 1.0)
        places = view.places(self.k)
        weight = view.discount[places.rank]
        whole = view.sum_by_user(places.user, weight)
        if not self.relevant:
            return divided(view.sum_by_user(places.user, weight * rare[places.item]), whole)
        found = view.found(self.k)
        item = view.table[found.user, found.rank]
        gain = view.sum_by_user(found.user, view.discount[found.rank] * rare[item])
        return divided(gain, whole)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LongTailCoverage(PooledMetric):
    """Share of the long tail that stands in the first `k` places of any list.

    Args:
        k: Cut-off; without it, whole lists.
        head: Share of interactions that the head holds, in (0, 1).
        votes: Rule instead of a head: fewer interactions than this.
        rating: With `votes`: a mean rating above this.

    References:
        Abdollahpouri, Burke, Mobasher (2019), "Managing popularity bias", FLAIRS.
    """

    stem: ClassVar[str] = "long_tail_coverage"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _POPULARITY
    by_item: ClassVar[bool] = True

    k: int | None = None
    head: float = 0.8
    votes: float | None = None
    rating: float | None = None

    @override
    def _check(self) -> None:
        check.share("head", self.head, open_ends=True)
        check.real_or_none("votes", self.votes)
        check.real_or_none("rating", self.rating)

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        # A tail item counts 1 for being there and a great deal for being listed, so that one
        # column for each item holds both; items join over batches.
        tail = tail_of(view, self.head, self.votes, self.rating)
        places = view.places(self.k)
        inside = tail[places.item]
        cell = group[places.user[inside]] * view.n_items + places.item[inside]
        listed = np.bincount(cell, minlength=n_groups * view.n_items) > 0
        return tail * (1.0 + _LISTED * listed.reshape(n_groups, view.n_items))

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        tail = int((tally > 0).sum())
        return float((tally >= _LISTED).sum() / tail) if tail else float("nan")
