"""Whether lists are fit to be shown at all: filled, fresh, and known to the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.base import UNIT, Metric
from siamrec.metrics.families.accuracy import divided
from siamrec.metrics.families.novelty import mean_of_places

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ShortLists(Metric):
    """1 where a list has fewer than `k` items, else 0; the mean is the share of short lists.

    Args:
        k: Length a list should have.
    """

    stem: ClassVar[str] = "short_lists"
    limits: ClassVar[Range] = UNIT

    k: int

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return (view.length < self.k).astype(np.float64)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CoveredUsers(Metric):
    """1 where a user has a list of at least one item, else 0; the mean is the user coverage."""

    stem: ClassVar[str] = "covered_users"
    limits: ClassVar[Range] = UNIT

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return view.has_list.astype(np.float64)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SeenShare(Metric):
    """Share of the first `k` places that hold an item of the user's history.

    Args:
        k: Cut-off; without it, whole lists.
    """

    stem: ClassVar[str] = "seen_share"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"history"})

    k: int | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        past = view.history
        places = view.places(self.k)
        known = np.unique(past.owner * view.n_items + past.item)
        seen = np.isin(places.user * view.n_items + places.item, known)
        return divided(
            view.sum_by_user(places.user, seen.astype(np.float64)), view.n_shown(self.k)
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ColdItems(Metric):
    """Share of the listed items that have fewer than `least` past interactions.

    Args:
        k: Cut-off; without it, whole lists.
        least: Interactions from which on an item is not cold.
    """

    stem: ClassVar[str] = "cold_items"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"popularity"})

    k: int | None = None
    least: int = 1

    @override
    def _check(self) -> None:
        check.count("least", self.least)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        cold = (view.of_item.popularity < self.least).astype(np.float64)
        return mean_of_places(view, self.k, cold)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats(Metric):
    """Share of a list's places that repeat an item of the same list.

    Suites refuse such lists unless `duplicates="first"`, which takes the repeats out before any
    metric is computed; this one counts them on the lists as they came.
    """

    stem: ClassVar[str] = "repeats"
    limits: ClassVar[Range] = UNIT

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        lists = view.as_given
        key = lists.owner * len(lists.items) + lists.item
        _, first = np.unique(key, return_index=True)
        again = np.ones(key.size)
        again[first] = 0.0
        length = np.zeros(view.n_users)
        length[: len(lists)] = lists.length
        return divided(view.sum_by_user(lists.owner, again), length)
