"""How attention and success are shared among groups of items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.base import POSITIVE, UNIT, Metric, PooledMetric
from siamrec.metrics.families.popularity_bias import count_cells
from siamrec.metrics.families.topics import distribution

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray, IntArray

_GROUPS = frozenset({"groups"})


def _known(code: IntArray) -> IntArray:
    """Return the number of items of each group; items that no list knows have the code -1."""
    return np.bincount(code[code >= 0])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureRatio(PooledMetric):
    """Exposure per item of the least exposed group over that of the most exposed; 1 is equal.

    Exposure is `sum of 1 / log2(rank + 1)` over all lists. With `per="utility"` it is divided by
    how often users find items of the group relevant, instead of by the number of items (the
    disparate treatment ratio).

    Args:
        k: Cut-off; without it, whole lists.
        per: `"item"` or `"utility"`; the latter needs the truth.

    References:
        Singh and Joachims (2018), "Fairness of exposure in rankings", KDD.
    """

    stem: ClassVar[str] = "exposure_ratio"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _GROUPS

    k: int | None = None
    per: Literal["item", "utility"] = "item"

    @override
    def _check(self) -> None:
        check.one_of("per", self.per, ("item", "utility"))

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        names, code = view.of_item.groups
        places = view.places(self.k)
        exposure = count_cells(
            group[places.user],
            code[places.item],
            n_groups,
            len(names),
            view.discount[places.rank],
        )
        if self.per == "item":
            # each group of users brings its share of the item counts, so that sums add up
            users = np.bincount(group, minlength=n_groups)[:, None]
            return np.column_stack((exposure, users * _known(code)))
        wanted = view.relevant()
        known = code[wanted.item] >= 0
        owner, item = wanted.owner[known], wanted.item[known]
        return np.column_stack(
            (
                exposure,
                count_cells(group[owner], code[item], n_groups, len(names)),
            )
        )

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        exposure, worth = tally.reshape(2, -1)
        if not (worth > 0).all() or not exposure.any():
            return float("nan")
        rate = exposure / worth
        return float(rate.min() / rate.max())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionFairness(Metric):
    """Total variation between a list's exposure by group and the groups' share of the items.

    `AWRF = 1/2 sum over groups |share of exposure - share of items|`, with exposure
    `1 / log2(rank + 1)`; 0 is proportional, 1 the farthest. NaN for an empty list.

    Args:
        k: Cut-off; without it, whole lists.
        target: `"items"`: in proportion to the items; `"equal"`: the same for each group.

    References:
        Sapiezynski, Zeng, Robertson, Mislove, Wilson (2019), "Quantifying the impact of user
        attention on fair group representation in ranked lists", WWW companion.
    """

    stem: ClassVar[str] = "awrf"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _GROUPS

    k: int | None = None
    target: Literal["items", "equal"] = "items"

    @override
    def _check(self) -> None:
        check.one_of("target", self.target, ("items", "equal"))

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        names, code = view.of_item.groups
        places = view.places(self.k)
        weight = view.discount[places.rank]
        exposure = count_cells(places.user, code[places.item], view.n_users, len(names), weight)
        wanted = np.full(len(names), 1.0 / len(names))
        if self.target == "items":
            wanted = _known(code) / _known(code).sum()
        apart: FloatArray = np.abs(distribution(exposure) - wanted).sum(axis=1) / 2
        return apart


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WorstGroup(PooledMetric):
    """Recall of the group of items that is served worst.

    `min over groups of hits in the group / relevant items of the group`.

    Args:
        k: Cut-off; without it, whole lists.

    References:
        Rawls (1971); Zhu, Wang, Caverlee (2020), SIGIR (recall by group of items).
    """

    stem: ClassVar[str] = "worst_group"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"groups", "truth"})

    k: int | None = None

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        return group_hits(view, self.k, group, n_groups)

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        hits, wanted = tally.reshape(2, -1)
        rate = hits[wanted > 0] / wanted[wanted > 0]
        return float(rate.min()) if rate.size else float("nan")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOpportunity(PooledMetric):
    """Inequality of recall over groups of items: standard deviation over mean (REO); 0 is equal.

    Args:
        k: Cut-off; without it, whole lists.

    References:
        Zhu, Wang, Caverlee (2020), "Measuring and mitigating item under-recommendation bias",
        SIGIR.
    """

    stem: ClassVar[str] = "reo"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = frozenset({"groups", "truth"})

    k: int | None = None

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        return group_hits(view, self.k, group, n_groups)

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        hits, wanted = tally.reshape(2, -1)
        rate = hits[wanted > 0] / wanted[wanted > 0]
        return float(rate.std() / rate.mean()) if rate.size and rate.any() else float("nan")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Theil(PooledMetric):
    """Theil index of exposure per item over groups: 0 equal, log(number of groups) all on one.

    `T = mean of (x / mean x) log(x / mean x)` with `x` the exposure per item of each group.

    Args:
        k: Cut-off; without it, whole lists.

    References:
        Theil (1967), Economics and Information Theory; Speicher et al. (2018), KDD.
    """

    stem: ClassVar[str] = "theil"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _GROUPS

    k: int | None = None

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        return ExposureRatio(k=self.k).tally(view, group, n_groups)

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        exposure, worth = tally.reshape(2, -1)
        return theil_of(exposure / worth) if (worth > 0).all() else float("nan")


def theil_of(values: FloatArray) -> float:
    """Return the Theil index of numbers that are not negative; NaN if all are 0.

    Examples:
        >>> theil_of(np.array([1.0, 1.0])), round(theil_of(np.array([0.0, 2.0])), 4)
        (0.0, 0.6931)
    """
    mean = values.mean() if values.size else 0.0
    if mean <= 0:
        return float("nan")
    part = values[values > 0] / mean
    return float((part * np.log(part)).sum() / values.size)


def group_hits(view: EvaluationView, k: int | None, group: IntArray, n_groups: int) -> FloatArray:
    """Return hits, then relevant items, of each group of items, by group of users."""
    names, code = view.of_item.groups
    found, wanted = view.found(k), view.relevant()
    hit = code[view.table[found.user, found.rank]]
    known = code[wanted.item] >= 0
    owner, item = wanted.owner[known], wanted.item[known]
    return np.column_stack(
        (
            count_cells(group[found.user], hit, n_groups, len(names)),
            count_cells(group[owner], code[item], n_groups, len(names)),
        )
    )
