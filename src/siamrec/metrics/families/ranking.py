"""Whether what a user likes stands high in the list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.base import POSITIVE, UNIT, Metric
from siamrec.metrics.families.accuracy import divided

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray

_TRUTH = frozenset({"truth"})
_GAINS = ("linear", "exp", "binary")


def gain_of(grade: FloatArray, kind: str) -> FloatArray:
    """Return the gain of grades: themselves, `2^grade - 1` (`"exp"`) or 1 (`"binary"`)."""
    if kind == "linear":
        return grade
    gain: FloatArray = np.exp2(grade) - 1.0 if kind == "exp" else (grade > 0).astype(np.float64)
    return gain


def discount_of(view: EvaluationView, kind: str, k: int | None = None) -> FloatArray:
    """Return the weight of each rank: `1 / log2(r + 1)`, or LensKit's `1 / max(1, log2(r))`."""
    if kind == "log2" and (k is None or k <= view.discount.size):
        return view.discount
    rank = np.arange(1.0, max(view.discount.size, k or 0) + 1.0)
    return 1.0 / (np.log2(rank + 1.0) if kind == "log2" else np.maximum(1.0, np.log2(rank)))


def dcg(view: EvaluationView, k: int | None, gain: str, discount: FloatArray) -> FloatArray:
    """Return the discounted gain of each user, added in order of rank."""
    if view.policies.ties == "expected":
        every = view.found(None, 0.0)
        return view.expected_sum(every, gain_of(every.grade, gain), discount, k)
    found = view.found(k, 0.0)
    if view.one_grade is not None:
        weight = gain_of(np.array([view.one_grade]), gain) * discount
        return view.sum_by_user(found.user, weight[found.rank])
    return view.sum_by_user(found.user, gain_of(found.grade, gain) * discount[found.rank])


def ideal_dcg(view: EvaluationView, k: int | None, gain: str, discount: FloatArray) -> FloatArray:
    """Return the greatest discounted gain of each user, added in order of rank."""
    counts = np.diff(view.positive.start)
    reach = counts if k is None else np.minimum(counts, k)
    if view.one_grade is not None:
        weight = gain_of(np.array([view.one_grade]), gain) * discount
        best: FloatArray = np.concatenate(([0.0], weight.cumsum()))[reach]
        return best
    owner = view.positive.owner
    rank = np.arange(owner.size) - view.positive.start[owner]
    inside = slice(None) if k is None else rank < k
    grade = gain_of(view.ideal_grade[inside], gain)
    return view.sum_by_user(owner[inside], grade * discount[rank[inside]])


def retrieved_ideal(
    view: EvaluationView, k: int | None, gain: str, discount: FloatArray
) -> FloatArray:
    """Return the greatest discounted gain that the items of the list allow in its own places."""
    found = view.found(None, 0.0)
    order = np.lexsort((-found.grade, found.user))
    inside = found.order < (view.table.shape[1] if k is None else k)
    grade = found.grade[order][inside]  # the n-th best grade at rank n
    return view.sum_by_user(
        found.user[inside], gain_of(grade, gain) * discount[found.order[inside]]
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DCG(Metric):
    """Discounted cumulative gain: `sum over ranks r <= k of gain(grade) / log2(r + 1)`.

    Args:
        k: Cut-off; without it, whole lists.
        gain: `"linear"` takes the grade, `"exp"` takes `2^grade - 1`, `"binary"` takes 1.

    References:
        Järvelin and Kekäläinen (2002), ACM TOIS 20(4); Burges et al. (2005), ICML (exp).
    """

    stem: ClassVar[str] = "dcg"
    limits: ClassVar[Range] = POSITIVE
    needs: ClassVar[frozenset[str]] = _TRUTH
    averages_ties: ClassVar[bool] = True

    k: int | None = None
    gain: Literal["linear", "exp", "binary"] = "linear"

    @override
    def _check(self) -> None:
        check.one_of("gain", self.gain, _GAINS)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return dcg(view, self.k, self.gain, view.discount)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NDCG(Metric):
    """Discounted gain as a share of the greatest one that the user's judged items allow.

    `NDCG@k = DCG@k / IDCG@k`; the ideal list holds all judged items in order of gain, whether or
    not they were retrieved, cut at `k`. Grades below the relevance threshold keep their gain.

    Args:
        k: Cut-off; without it, whole lists against the whole ideal list.
        gain: `"linear"` takes the grade, `"exp"` takes `2^grade - 1`, `"binary"` takes 1.
        discount: `"log2"` is `1 / log2(r + 1)`; `"lenskit"` is `1 / max(1, log2(r))`, which does
            not tell ranks 1 and 2 apart.
        ideal: `"judged"` is the definition of record. Two others exist to reproduce libraries:
            `"full"` is a list of `k` items of gain 1, `"retrieved"` the items of the list itself.

    References:
        Järvelin and Kekäläinen (2002), ACM TOIS 20(4); Burges et al. (2005), ICML (exp).

    Examples:
        >>> from siamrec.data.rankings import Rankings
        >>> from siamrec.data.truth import Truth
        >>> from siamrec.metrics.view import EvaluationView
        >>> lists = Rankings.from_lists({"ann": ["x", "a"]})
        >>> NDCG(k=2).per_user(EvaluationView(lists, Truth.from_lists({"ann": ["a"]}))).round(4)
        array([0.6309])
    """

    stem: ClassVar[str] = "ndcg"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _TRUTH
    averages_ties: ClassVar[bool] = True

    k: int | None = None
    gain: Literal["linear", "exp", "binary"] = "linear"
    discount: Literal["log2", "lenskit"] = "log2"
    ideal: Literal["judged", "full", "retrieved"] = "judged"

    @override
    def _check(self) -> None:
        check.one_of("gain", self.gain, _GAINS)
        check.one_of("discount", self.discount, ("log2", "lenskit"))
        check.one_of("ideal", self.ideal, ("judged", "full", "retrieved"))

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        discount = discount_of(view, self.discount, self.k)
        reached = dcg(view, self.k, self.gain, discount)
        if self.ideal == "judged":
            best = ideal_dcg(view, self.k, self.gain, discount)
        elif self.ideal == "retrieved":
            best = retrieved_ideal(view, self.k, self.gain, discount)
        else:
            places = view.length if self.k is None else np.full(view.n_users, self.k)
            best = np.concatenate(([0.0], discount.cumsum()))[places]
        empty = np.nan if self.ideal == "judged" else 0.0
        share = divided(reached, best, empty=empty)
        return np.minimum(share, 1.0, out=share)  # sums in another order may exceed by an ulp


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePrecision(Metric):
    """Mean of the precisions at the ranks of the hits.

    `AP@k = sum over hits at r <= k of P@r / D`. The divisor `D` is `|R|` (`"relevant"`, the
    definition of record), `min(k, |R|)` (`"min"`) or `k` (`"k"`). Some libraries divide by the
    number of hits (`"hits"`), which rewards finding less; it is here to reproduce them.

    Args:
        k: Cut-off; without it, whole lists.
        denominator: What the sum is divided by.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Buckley and Voorhees (2000), SIGIR; Manning et al. (2008), section 8.4.
    """

    stem: ClassVar[str] = "map"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _TRUTH

    k: int | None = None
    denominator: Literal["relevant", "min", "k", "hits"] = "relevant"
    rel: float | None = None

    @override
    def _check(self) -> None:
        check.one_of("denominator", self.denominator, ("relevant", "min", "k", "hits"))

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        found = view.found(self.k, self.rel)
        total = view.sum_by_user(found.user, (found.order + 1.0) / (found.rank + 1.0))
        relevant = view.n_relevant(self.rel)
        if self.denominator == "relevant":
            return divided(total, relevant)
        if self.denominator == "hits":
            return divided(total, view.n_found(self.k, self.rel), empty=0.0)
        places = view.n_places(self.k)
        wanted = places if self.denominator == "k" else np.minimum(relevant, places)
        mean = divided(total, wanted, empty=0.0)
        mean[relevant == 0] = np.nan
        return mean


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReciprocalRank(Metric):
    """One over the rank of the first relevant item, 0 where the first `k` places hold none.

    Args:
        k: Cut-off; without it, whole lists.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Voorhees (1999), "The TREC-8 question answering track report", TREC.
    """

    stem: ClassVar[str] = "mrr"
    limits: ClassVar[Range] = UNIT
    needs: ClassVar[frozenset[str]] = _TRUTH

    k: int | None = None
    rel: float | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        found = view.found(self.k, self.rel)
        first = np.flatnonzero(found.order == 0)
        reciprocal = np.zeros(view.n_users)
        reciprocal[found.user[first]] = 1.0 / (found.rank[first] + 1.0)
        return reciprocal
