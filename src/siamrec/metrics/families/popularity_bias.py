"""Whether popular items are favoured beyond what users want."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.base import POSITIVE, UNIT, Metric, PooledMetric
from siamrec.metrics.families.accuracy import divided
from siamrec.metrics.families.novelty import mean_of_places, tail_of

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray, IntArray

_POPULARITY = frozenset({"popularity"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePopularity(Metric):
    """Mean number of past interactions of the listed items (ARP).

    Args:
        k: Cut-off; without it, whole lists.

    References:
        Yin, Cui, Li, Yao, Chen (2012), "Challenging the long tail recommendation", VLDB 5(9).
    """

    stem: ClassVar[str] = "arp"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _POPULARITY

    k: int | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return mean_of_places(view, self.k, view.of_item.popularity)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LongTailCount(Metric):
    """Number of long-tail items in the first `k` places (ACLT); 0 for an empty list.

    Args:
        k: Cut-off; without it, whole lists.
        head: Share of interactions that the head holds, in (0, 1).

    References:
        Abdollahpouri, Burke, Mobasher (2019), "Managing popularity bias", FLAIRS.
    """

    stem: ClassVar[str] = "aclt"
    needs: ClassVar[frozenset[str]] = _POPULARITY

    k: int | None = None
    head: float = 0.8

    @override
    def _check(self) -> None:
        check.share("head", self.head, open_ends=True)

    @property
    @override
    def range(self) -> Range:
        return POSITIVE if self.k is None else (0.0, float(self.k))

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        tail = tail_of(view, self.head, None, None).astype(np.float64)
        places = view.places(self.k)
        return view.sum_by_user(places.user, tail[places.item])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PopularityLift(Metric):
    """Relative change of mean popularity from a user's history to the user's list.

    `(mean popularity of the list - that of the history) / that of the history`; above 0 the list
    is more popular than the user's taste. NaN for a user without a list or a history.

    Args:
        k: Cut-off; without it, whole lists.

    References:
        Abdollahpouri, Mansoury, Burke, Mobasher (2020), "The connection between popularity bias,
        calibration and fairness", RecSys.
    """

    stem: ClassVar[str] = "popularity_lift"
    limits: ClassVar[Range] = (-1.0, np.inf)
    needs: ClassVar[frozenset[str]] = frozenset({"history", "popularity"})

    k: int | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        popularity = view.of_item.popularity
        owner = view.history.owner
        past = divided(
            view.sum_by_user(owner, popularity[view.history.item]), np.diff(view.history.start)
        )
        return divided(mean_of_places(view, self.k, popularity) - past, past)


def two_sided_bias(group: FloatArray, reach: FloatArray) -> float:
    """Return standard deviation over mean of `group / reach`; NaN if nothing is reached."""
    if (reach <= 0).any():
        return float("nan")
    rate = group / reach
    return float(rate.std() / rate.mean()) if rate.mean() > 0 else float("nan")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PopularityOpportunity(PooledMetric):
    """How unequally relevant head and tail items reach their users (PopREO); 0 is equal.

    Standard deviation over mean of `hits in the group / relevant items of the group`, over the
    two groups head and tail.

    Args:
        k: Cut-off; without it, whole lists.
        head: Share of interactions that the head holds, in (0, 1).

    References:
        Zhu, Wang, Caverlee (2020), "Measuring and mitigating item under-recommendation bias",
        SIGIR (ranking-based equal opportunity).
    """

    stem: ClassVar[str] = "pop_reo"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"popularity", "truth"})

    k: int | None = None
    head: float = 0.8

    @override
    def _check(self) -> None:
        check.share("head", self.head, open_ends=True)

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        side = tail_of(view, self.head, None, None).astype(np.int64)
        found, wanted = view.found(self.k), view.relevant()
        hit = side[view.table[found.user, found.rank]]
        return np.column_stack(
            (
                count_cells(group[found.user], hit, n_groups, 2),
                count_cells(group[wanted.owner], side[wanted.item], n_groups, 2),
            )
        )

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        return two_sided_bias(tally[:2], tally[2:])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PopularityParity(PooledMetric):
    """How unequally head and tail items are listed where they could be (PopRSP); 0 is equal.

    Standard deviation over mean of `places of the group / items of the group that users do not
    have in their history`, over the two groups head and tail.

    Args:
        k: Cut-off; without it, whole lists.
        head: Share of interactions that the head holds, in (0, 1).

    References:
        Zhu, Wang, Caverlee (2020), "Measuring and mitigating item under-recommendation bias",
        SIGIR (ranking-based statistical parity).
    """

    stem: ClassVar[str] = "pop_rsp"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"history", "popularity"})

    k: int | None = None
    head: float = 0.8

    @override
    def _check(self) -> None:
        check.share("head", self.head, open_ends=True)

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        side = tail_of(view, self.head, None, None).astype(np.int64)
        places, past = view.places(self.k), view.history
        users = np.bincount(group, view.has_list, n_groups)[:, None]
        listed = view.has_list[past.owner]
        seen = count_cells(group[past.owner[listed]], side[past.item[listed]], n_groups, 2)
        return np.column_stack(
            (
                count_cells(group[places.user], side[places.item], n_groups, 2),
                users * np.bincount(side, minlength=2) - seen,
            )
        )

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        return two_sided_bias(tally[:2], tally[2:])


def count_cells(
    row: IntArray,
    column: IntArray,
    n_rows: int,
    n_columns: int,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Return how often each (row, column) occurs, or their summed weights, as a table."""
    flat = np.bincount(row * n_columns + column, weights, n_rows * n_columns)
    return flat.reshape(n_rows, n_columns).astype(np.float64)
