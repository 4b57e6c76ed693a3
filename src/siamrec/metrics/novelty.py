"""How far the lists go beyond what everybody knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.accuracy import check_cut, divided
from siamrec.metrics.base import Metric

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.typing import BoolArray, FloatArray

_POPULARITY = frozenset({"popularity"})


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
    needs: ClassVar[frozenset[str]] = _POPULARITY

    k: int | None = None

    def __post_init__(self) -> None:
        check_cut(self.k)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        total = max(float(view.popularity.sum()), 1.0)
        return mean_of_places(view, self.k, -np.log2(np.maximum(view.popularity, 1.0) / total))


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
    needs: ClassVar[frozenset[str]] = _POPULARITY

    k: int | None = None
    head: float = 0.8
    votes: float | None = None
    rating: float | None = None

    def __post_init__(self) -> None:
        check_cut(self.k)
        check.share("head", self.head, open_ends=True)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        tail = tail_of(view, self.head, self.votes, self.rating)
        return mean_of_places(view, self.k, tail.astype(np.float64))


def tail_of(
    view: EvaluationView, head: float, votes: float | None, rating: float | None
) -> BoolArray:
    """Return which items are in the long tail, by head share or by rule."""
    if votes is None:
        return long_tail(view.popularity, head)
    tail: BoolArray = view.popularity < votes
    return tail if rating is None else tail & (view.quality > rating)
