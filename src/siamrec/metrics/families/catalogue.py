"""How much of the catalogue the lists of all users use, and how evenly."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidParameterError
from siamrec.metrics.base import POSITIVE, UNIT, PooledMetric

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray, IntArray

_CATALOG = frozenset({"catalog_size"})


def list_counts(
    view: EvaluationView, k: int | None, group: IntArray, n_groups: int, *, weighted: bool = False
) -> FloatArray:
    """Return how often each item is listed by each group of users, `(n_groups, n_items)`.

    With `weighted`, a place counts by its logarithmic discount instead of 1.
    """
    places = view.places(k)
    cell = group[places.user] * view.n_items + places.item
    weights = view.discount[places.rank] if weighted else None
    counts = np.bincount(cell, weights, minlength=n_groups * view.n_items)
    return counts.reshape(n_groups, view.n_items).astype(np.float64)


def gini_of(counts: FloatArray, size: int) -> float:
    """Return the Gini coefficient of counts over `size` items; items not counted have 0."""
    listed = np.sort(counts[counts > 0])
    total = listed.sum()
    if total == 0:
        return float("nan")
    place = np.arange(size - listed.size + 1, size + 1)
    return float(((2 * place - size - 1) * listed).sum() / (size * total))


def entropy_of(counts: FloatArray) -> float:
    """Return the Shannon entropy of counts in bits."""
    listed = counts[counts > 0]
    if not listed.size:
        return float("nan")
    part = listed / listed.sum()
    return float(-(part * np.log2(part)).sum())


def _size(catalog_size: int | None, listed: int) -> int:
    if catalog_size is None or catalog_size < listed:
        raise InvalidParameterError(
            "catalog_size", catalog_size, f"at least the {listed} items in the lists"
        )
    return catalog_size


class ListCounts(PooledMetric, ABC):
    """A number of how often each item stands in the first `k` places of the lists."""

    by_item: ClassVar[bool] = True

    k: int | None

    @property
    def discounted(self) -> bool:
        """Whether a place counts by its logarithmic discount instead of 1."""
        return False

    @final
    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        return list_counts(view, self.k, group, n_groups, weighted=self.discounted)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage(ListCounts):
    """Share of the catalogue that stands in the first `k` places of any list.

    Args:
        k: Cut-off; without it, whole lists.
        least: How many lists an item must be in to count as covered.

    References:
        Ge, Delgado-Battenfeld, Jannach (2010), "Beyond accuracy", RecSys.
    """

    stem: ClassVar[str] = "coverage"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _CATALOG

    k: int | None = None
    least: int = 1

    @override
    def _check(self) -> None:
        check.count("least", self.least)

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        listed = int(np.count_nonzero(tally))
        return float(np.count_nonzero(tally >= self.least)) / _size(catalog_size, listed)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Gini(ListCounts):
    """Inequality of how often the items of the catalogue are listed: 0 even, 1 all on one.

    `G = sum over i of (2 i - n - 1) x_i / (n sum x)`, with the counts `x` rising over all `n`
    items of the catalogue, those never listed included.

    Args:
        k: Cut-off; without it, whole lists.
        weight: `"count"` counts places, `"exposure"` weighs them by `1 / log2(rank + 1)`.
        unbiased: Whether to multiply by `n / (n - 1)`, so that one item alone gives exactly 1.

    References:
        Gini (1912); Fleder and Hosanagar (2009), Management Science 55(5); Diaz et al. (2020),
        CIKM (exposure).
    """

    stem: ClassVar[str] = "gini"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _CATALOG

    k: int | None = None
    weight: Literal["count", "exposure"] = "count"
    unbiased: bool = False

    @override
    def _check(self) -> None:
        check.one_of("weight", self.weight, ("count", "exposure"))
        check.flag("unbiased", self.unbiased)

    @property
    @override
    def discounted(self) -> bool:
        return self.weight == "exposure"

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        size = _size(catalog_size, int(np.count_nonzero(tally)))
        gini = gini_of(tally, size)
        return gini * size / (size - 1) if self.unbiased and size > 1 else gini


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Entropy(ListCounts):
    """Shannon entropy, in bits, of which item a random place of the lists holds.

    Args:
        k: Cut-off; without it, whole lists.

    References:
        Shannon (1948), Bell System Technical Journal 27.
    """

    stem: ClassVar[str] = "entropy"
    limits: ClassVar[Range] = POSITIVE

    k: int | None = None

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        return entropy_of(tally)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveCatalogue(ListCounts):
    """Number of evenly listed items that would have the same entropy: `2^entropy`.

    Args:
        k: Cut-off; without it, whole lists.

    References:
        Hill (1973), "Diversity and evenness", Ecology 54(2).
    """

    stem: ClassVar[str] = "effective_catalogue"
    limits: ClassVar[Range] = (1.0, np.inf)

    k: int | None = None

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        return float(2.0 ** entropy_of(tally))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration(ListCounts):
    """Herfindahl-Hirschman index: the chance that two random places hold the same item.

    Args:
        k: Cut-off; without it, whole lists.

    References:
        Herfindahl (1950); Hirschman (1964), American Economic Review 54(5).
    """

    stem: ClassVar[str] = "concentration"
    limits: ClassVar[Range] = UNIT

    k: int | None = None

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        total = tally.sum()
        return float(((tally / total) ** 2).sum()) if total else float("nan")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Personalisation(PooledMetric):
    """How different the lists of two random users are: 1 less their mean overlap.

    `1 - sum over items of c (c - 1) / (k U (U - 1))`, where `c` is the number of lists with the
    item; equal to the mean over all pairs of users of `1 - |L_u and L_v| / k`, without the pairs.

    Args:
        k: Cut-off; without it, the mean length of the lists.

    References:
        Zhou et al. (2010), PNAS 107(10) (inter-user diversity).
    """

    stem: ClassVar[str] = "personalisation"
    limits: ClassVar[Range] = UNIT
    by_item: ClassVar[bool] = True

    k: int | None = None

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        users = np.bincount(group, view.has_list, minlength=n_groups)
        return np.column_stack((users, list_counts(view, self.k, group, n_groups)))

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        users, counts = tally[0], tally[1:]
        if users < 2:
            return float("nan")
        places = self.k if self.k is not None else counts.sum() / users
        return float(1.0 - (counts * (counts - 1)).sum() / (places * users * (users - 1)))
