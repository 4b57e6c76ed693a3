"""Whether what a user likes stands high in the list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.accuracy import check_cut, divided
from siamrec.metrics.base import Metric

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.typing import FloatArray

_TRUTH = frozenset({"truth"})


def gain_of(grade: FloatArray, kind: str) -> FloatArray:
    """Return the gain of grades: themselves (`"linear"`) or `2^grade - 1` (`"exp"`)."""
    return grade if kind == "linear" else np.exp2(grade) - 1.0


def dcg(view: EvaluationView, k: int | None, gain: str) -> FloatArray:
    """Return the discounted gain of each user, added in order of rank."""
    found = view.found(k, 0.0)
    if view.one_grade is not None:
        weight = gain_of(np.float64(view.one_grade), gain) * view.discount
        return view.sum_by_user(found.user, weight[found.rank])
    return view.sum_by_user(found.user, gain_of(found.grade, gain) * view.discount[found.rank])


def ideal_dcg(view: EvaluationView, k: int | None, gain: str) -> FloatArray:
    """Return the greatest discounted gain of each user, added in order of rank."""
    counts = np.diff(view.positive.start)
    reach = counts if k is None else np.minimum(counts, k)
    if view.one_grade is not None:
        weight = gain_of(np.float64(view.one_grade), gain) * view.discount
        best: FloatArray = np.concatenate(([0.0], weight.cumsum()))[reach]
        return best
    owner = view.positive.owner
    rank = np.arange(owner.size) - view.positive.start[owner]
    inside = slice(None) if k is None else rank < k
    grade = gain_of(view.ideal_grade[inside], gain)
    return view.sum_by_user(owner[inside], grade * view.discount[rank[inside]])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DCG(Metric):
    """Discounted cumulative gain: `sum over ranks r <= k of gain(grade) / log2(r + 1)`.

    Args:
        k: Cut-off; without it, whole lists.
        gain: `"linear"` takes the grade, `"exp"` takes `2^grade - 1`.

    References:
        Järvelin and Kekäläinen (2002), ACM TOIS 20(4) (linear); Burges et al. (2005), ICML (exp).
    """

    stem: ClassVar[str] = "dcg"
    needs: ClassVar[frozenset[str]] = _TRUTH

    k: int | None = None
    gain: Literal["linear", "exp"] = "linear"

    def __post_init__(self) -> None:
        check_cut(self.k)
        check.one_of("gain", self.gain, ("linear", "exp"))

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return dcg(view, self.k, self.gain)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NDCG(Metric):
    """Discounted gain as a share of the greatest one that the user's judged items allow.

    `NDCG@k = DCG@k / IDCG@k`; the ideal list holds all judged items in order of gain, whether or
    not they were retrieved, cut at `k`. Grades below the relevance threshold keep their gain.

    Args:
        k: Cut-off; without it, whole lists against the whole ideal list.
        gain: `"linear"` takes the grade, `"exp"` takes `2^grade - 1`.

    References:
        Järvelin and Kekäläinen (2002), ACM TOIS 20(4) (linear); Burges et al. (2005), ICML (exp).

    Examples:
        >>> from siamrec.data.rankings import Rankings
        >>> from siamrec.data.truth import Truth
        >>> from siamrec.metrics.view import EvaluationView
        >>> lists = Rankings.from_lists({"ann": ["x", "a"]})
        >>> NDCG(k=2).per_user(EvaluationView(lists, Truth.from_lists({"ann": ["a"]}))).round(4)
        array([0.6309])
    """

    stem: ClassVar[str] = "ndcg"
    needs: ClassVar[frozenset[str]] = _TRUTH

    k: int | None = None
    gain: Literal["linear", "exp"] = "linear"

    def __post_init__(self) -> None:
        check_cut(self.k)
        check.one_of("gain", self.gain, ("linear", "exp"))

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        best = ideal_dcg(view, self.k, self.gain)
        share = divided(dcg(view, self.k, self.gain), best)
        return np.minimum(share, 1.0, out=share)  # sums in another order may exceed by an ulp


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePrecision(Metric):
    """Mean of the precisions at the ranks of the hits.

    `AP@k = sum over hits at r <= k of P@r / D`. The divisor `D` is `|R|` (`"relevant"`, the
    definition of record), `min(k, |R|)` (`"min"`) or `k` (`"k"`).

    Args:
        k: Cut-off; without it, whole lists.
        denominator: What the sum is divided by.
        rel: Smallest relevant grade; without it, the suite's.

    References:
        Buckley and Voorhees (2000), SIGIR; Manning et al. (2008), section 8.4.
    """

    stem: ClassVar[str] = "map"
    needs: ClassVar[frozenset[str]] = _TRUTH

    k: int | None = None
    denominator: Literal["relevant", "min", "k"] = "relevant"
    rel: float | None = None

    def __post_init__(self) -> None:
        check_cut(self.k, self.rel)
        check.one_of("denominator", self.denominator, ("relevant", "min", "k"))

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        found = view.found(self.k, self.rel)
        total = view.sum_by_user(found.user, (found.order + 1.0) / (found.rank + 1.0))
        wanted: FloatArray = view.n_relevant(self.rel).astype(np.float64)
        if self.denominator == "min":
            wanted = np.minimum(wanted, view.n_places(self.k))
        elif self.denominator == "k":
            wanted = np.where(wanted > 0, view.n_places(self.k), 0.0)
        undefined = view.n_relevant(self.rel) == 0
        return np.where(undefined, np.nan, divided(total, wanted, empty=0.0))


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
    needs: ClassVar[frozenset[str]] = _TRUTH

    k: int | None = None
    rel: float | None = None

    def __post_init__(self) -> None:
        check_cut(self.k, self.rel)

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        found = view.found(self.k, self.rel)
        first = found.order == 0
        reciprocal = np.zeros(view.n_users)
        reciprocal[found.user[first]] = 1.0 / (found.rank[first] + 1.0)
        return reciprocal
