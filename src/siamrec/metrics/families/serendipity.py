"""Surprise, and surprise that pleases; each definition of the field under its own name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.base import UNIT, Metric
from siamrec.metrics.families.accuracy import divided

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray


def dissimilarity(view: EvaluationView, k: int | None, to: str) -> FloatArray:
    """Return 1 less the cosine of each of the first `k` places to the user's history.

    Args:
        view: Lists, history and embeddings.
        k: Cut-off; without it, whole lists.
        to: `"mean"` over the history, or the `"nearest"` item of it.

    Returns:
        One number for each place; NaN for users without a history.
    """
    unit, past, places = view.of_item.embeddings, view.history, view.places(k)
    if to == "mean":
        total = view.sum_rows(past.where(past.grade > 0), unit)
        count = np.diff(past.where(past.grade > 0).start)
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = total / count[:, None]
        away: FloatArray = 1.0 - np.einsum("ij,ij->i", unit[places.item], centre[places.user])
        return away
    nearest = np.full(places.item.size, np.nan)
    last = view.n_shown(k).cumsum()
    for user in np.flatnonzero((view.n_shown(k) > 0) & (np.diff(past.start) > 0)):
        # histories differ in length: one small product for each user
        here = slice(int(last[user] - view.n_shown(k)[user]), int(last[user]))
        known = unit[past.item[past.start[user] : past.start[user + 1]]]
        nearest[here] = (unit[places.item[here]] @ known.T).max(axis=1)
    distance: FloatArray = 1.0 - nearest
    return distance


def _mean_of(view: EvaluationView, k: int | None, value: FloatArray) -> FloatArray:
    """Return the mean of a number of each of the first `k` places by user."""
    return divided(view.sum_by_user(view.places(k).user, value), view.n_shown(k))


def _relevant_places(view: EvaluationView, k: int | None, rel: float | None) -> FloatArray:
    """Return 1 for each of the first `k` places that holds a relevant item, else 0."""
    shown = view.n_shown(k)
    found = view.found(k, rel)
    marked = np.zeros(int(shown.sum()))
    marked[(shown.cumsum() - shown)[found.user] + found.rank] = 1.0
    return marked


def _expected_places(view: EvaluationView, k: int | None) -> FloatArray:
    """Return 1 for each of the first `k` places that an obvious model would show, else 0."""
    places = view.places(k)
    expected: FloatArray = view.is_expected[view.start[places.user] + places.rank].astype(float)
    return expected


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Unexpectedness(Metric):
    """Share of the first `k` places that an obvious model would not show: `|L - E| / k`.

    Args:
        k: Cut-off; without it, the length of the list.

    References:
        Murakami, Mori, Orihara (2008); Adamopoulos and Tuzhilin (2014), ACM TIST 5(4).
    """

    stem: ClassVar[str] = "unexpectedness"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"expected"})

    k: int | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        fresh = 1.0 - _expected_places(view, self.k)
        total = view.sum_by_user(view.places(self.k).user, fresh)
        return np.where(view.has_list, divided(total, view.n_places(self.k)), np.nan)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ContentUnexpectedness(Metric):
    """Mean of 1 less the cosine between listed items and the user's history.

    Args:
        k: Cut-off; without it, whole lists.
        to: `"mean"`: over all items of the history; `"nearest"`: to the most similar one.

    References:
        Vargas and Castells (2011), RecSys (profile distance); Kaminskas and Bridge (2017), ACM
        TiiS 7(1).
    """

    stem: ClassVar[str] = "unexpectedness_content"
    limits: ClassVar[Range] = (0.0, 2.0)
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings", "history"})

    k: int | None = None
    to: Literal["mean", "nearest"] = "mean"

    @override
    def _check(self) -> None:
        check.one_of("to", self.to, ("mean", "nearest"))

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return _mean_of(view, self.k, dissimilarity(view, self.k, self.to))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Serendipity(Metric):
    """Share of the first `k` places that are relevant and that no obvious model would show.

    Args:
        k: Cut-off; without it, the length of the list.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Ge, Delgado-Battenfeld, Jannach (2010), RecSys; Adamopoulos and Tuzhilin (2014), ACM TIST
        5(4).
    """

    stem: ClassVar[str] = "serendipity"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"expected", "truth"})

    k: int | None = None
    rel: float | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        liked = _relevant_places(view, self.k, self.rel)
        fresh = liked * (1.0 - _expected_places(view, self.k))
        total = view.sum_by_user(view.places(self.k).user, fresh)
        return divided(total, view.n_places(self.k), empty=0.0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ContentSerendipity(Metric):
    """Mean over listed items of relevance times dissimilarity to the user's history.

    Args:
        k: Cut-off; without it, whole lists.
        to: `"mean"`: over all items of the history; `"nearest"`: to the most similar one.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Zhang, Séaghdha, Quercia, Jambor (2012), "Auralist", WSDM.
    """

    stem: ClassVar[str] = "serendipity_content"
    limits: ClassVar[Range] = (0.0, 2.0)
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings", "history", "truth"})

    k: int | None = None
    to: Literal["mean", "nearest"] = "mean"
    rel: float | None = None

    @override
    def _check(self) -> None:
        check.one_of("to", self.to, ("mean", "nearest"))

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        liked = _relevant_places(view, self.k, self.rel)
        return _mean_of(view, self.k, liked * dissimilarity(view, self.k, self.to))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PopularitySerendipity(Metric):
    """Mean over listed items of relevance times how far the list lifts them above popularity.

    `mean of rel_i max(0, (n + 1 - rank_i) / n - (n + 1 - poprank_i) / n)` over a catalogue of `n`
    items; items of equal popularity share a rank (dense ranks).

    Args:
        k: Cut-off; without it, the length of the list.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        RecTools (MobileTeleSystems), metrics.Serendipity.
    """

    stem: ClassVar[str] = "serendipity_popularity"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"catalog_size", "popularity", "truth"})

    k: int | None = None
    rel: float | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        size = view.catalog_size
        known = np.unique(-view.of_item.popularity[view.of_item.popularity > 0])
        popular = np.searchsorted(known, -view.of_item.popularity) + 1.0
        popular[view.of_item.popularity == 0] = size
        found = view.found(self.k, self.rel)
        item = view.table[found.user, found.rank]
        lift = np.maximum(popular[item] - (found.rank + 1.0), 0.0) / size
        return divided(view.sum_by_user(found.user, lift), view.n_places(self.k), empty=0.0)
