"""How much of what a user likes is in the list, wherever it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.base import UNIT, Metric

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray


def divided(
    numerator: npt.NDArray[Any], denominator: npt.NDArray[Any], *, empty: float = np.nan
) -> FloatArray:
    """Return a quotient that is `empty` where the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient: FloatArray = numerator / denominator
    quotient[denominator == 0] = empty
    return quotient


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Precision(Metric):
    """Share of the first `k` places that hold a relevant item.

    `P@k = hits in the first k places / k`; a list shorter than `k` is divided by `k` unless the
    policy for short lists is `"actual"`.

    Args:
        k: Cut-off; without it, the length of the list.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Manning, Raghavan, Schütze (2008), Introduction to Information Retrieval, section 8.4.
    """

    stem: ClassVar[str] = "precision"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"truth"})
    averages_ties: ClassVar[bool] = True

    k: int | None = None
    rel: float | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return divided(view.expected_found(self.k, self.rel), view.n_places(self.k), empty=0.0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recall(Metric):
    """Share of a user's relevant items that are among the first `k` places.

    `R@k = hits / |R|`, or `hits / min(k, |R|)` with `capped=True`, so that a full list of hits
    has recall 1.

    Args:
        k: Cut-off; without it, whole lists.
        capped: Whether the divisor is at most `k`.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Manning, Raghavan, Schütze (2008), Introduction to Information Retrieval, section 8.3.
    """

    stem: ClassVar[str] = "recall"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"truth"})
    averages_ties: ClassVar[bool] = True

    k: int | None = None
    capped: bool = False
    rel: float | None = None

    @override
    def _check(self) -> None:
        check.flag("capped", self.capped)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        wanted = view.n_relevant(self.rel)
        if self.capped and self.k is not None:
            wanted = np.minimum(wanted, self.k)
        return divided(view.expected_found(self.k, self.rel), wanted)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FScore(Metric):
    """Weighted harmonic mean of precision and recall.

    `F = (1 + b²) P R / (b² P + R)`, 0 where both are 0.

    Args:
        k: Cut-off; without it, whole lists.
        beta: Weight of recall, above 0; 1 weighs both alike.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        van Rijsbergen (1979), Information Retrieval, chapter 7.
    """

    stem: ClassVar[str] = "f"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"truth"})

    k: int | None = None
    beta: float = 1.0
    rel: float | None = None

    @override
    def _check(self) -> None:
        check.positive("beta", self.beta)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        precision = Precision(k=self.k, rel=self.rel).per_user(view)
        recall = Recall(k=self.k, rel=self.rel).per_user(view)
        weight = self.beta**2
        return divided(
            (1 + weight) * precision * recall, weight * precision + recall, empty=0.0
        ) + np.where(np.isnan(recall), np.nan, 0.0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(Metric):
    """1 where any of the first `k` places holds a relevant item, else 0.

    Args:
        k: Cut-off; without it, whole lists.
        rel: Smallest relevant grade; without it, the suite's.
    """

    stem: ClassVar[str] = "hit"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"truth"})

    k: int | None = None
    rel: float | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return (view.n_found(self.k, self.rel) > 0).astype(np.float64)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RPrecision(Metric):
    """Precision at the user's own number of relevant items: `hits in the first |R| / |R|`.

    Args:
        k: Cut-off that is applied on top: places beyond it do not count.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Manning, Raghavan, Schütze (2008), Introduction to Information Retrieval, section 8.4.
    """

    stem: ClassVar[str] = "r_precision"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = frozenset({"truth"})

    k: int | None = None
    rel: float | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        found = view.found(self.k, self.rel)
        wanted = view.n_relevant(self.rel)
        inside = found.user[found.rank < wanted[found.user]]
        return divided(np.bincount(inside, minlength=view.n_users), wanted)
